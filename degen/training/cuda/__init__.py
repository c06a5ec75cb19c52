"""Training on a GPU: networks form a batch, and a training step is a CUDA graph."""
