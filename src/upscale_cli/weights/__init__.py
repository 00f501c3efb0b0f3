"""Checkpoints: which there are (catalogue), where they lie (store), how they arrive (download), how they are read."""
