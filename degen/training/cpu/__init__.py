"""Training on a CPU: networks are distributed over processes, or one network's trials over several."""
