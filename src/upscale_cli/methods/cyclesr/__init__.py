"""Unsupervised Image Super-Resolution with an Indirect Supervised Path (Han et al., 2019)."""
