"""Training on a GPU: an ensemble is one batch, and a training step is a CUDA graph."""
