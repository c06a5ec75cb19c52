"""Training on a SLURM cluster: plan, submission records, code snapshots, and the jobs themselves."""
