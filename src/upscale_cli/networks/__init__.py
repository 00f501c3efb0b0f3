"""Networks that several rooms need: those whose features training and measuring compare pictures by."""
