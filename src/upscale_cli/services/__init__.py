"""The use cases: plain arguments in, a frozen report out; no printing, no exit."""
