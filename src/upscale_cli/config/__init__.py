"""TOML files read into typed, checked settings."""
