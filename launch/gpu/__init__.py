"""Training and analysis on a CUDA machine that is borrowed for a limited time."""
