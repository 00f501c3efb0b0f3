"""Pictures in and out, faithful in depth, colour, alpha and orientation."""
