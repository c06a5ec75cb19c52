"""Summary and report of an experiment."""
