"""The generic real-world degradation model."""
