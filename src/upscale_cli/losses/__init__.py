"""Losses that several rooms need."""
