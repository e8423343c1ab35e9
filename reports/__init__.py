"""A run directory in, pictures and pages out. No judging, no running."""
