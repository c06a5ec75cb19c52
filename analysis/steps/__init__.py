"""Steps of an analysis, one module each."""
