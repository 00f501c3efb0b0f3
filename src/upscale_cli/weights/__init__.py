"""Checkpoints: the catalogue, the cache, the downloader, the safe reader."""
