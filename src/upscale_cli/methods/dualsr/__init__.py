"""DualSR (Emad et al., WACV 2021): an upsampler and a downsampler that learn from the one picture at hand."""
