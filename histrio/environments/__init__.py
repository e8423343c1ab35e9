"""The worlds a trial can run in. What differs between them is here and nowhere else."""
