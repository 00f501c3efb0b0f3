"""Tiled inference: pure geometry, the upscaler, the self-ensemble, devices and precision."""
