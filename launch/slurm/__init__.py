"""Submission of training to SLURM."""
