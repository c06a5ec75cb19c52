"""Entry points that train a condition, a sweep or an experiment, on this machine or on a SLURM cluster."""
