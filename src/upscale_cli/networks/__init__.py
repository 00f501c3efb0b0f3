"""Networks that several rooms need: a discriminator, and those whose features pictures are compared by."""
