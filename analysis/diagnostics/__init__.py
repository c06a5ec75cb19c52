"""Commands that check training: convergence, coordinate check, memory demand of tasks."""
