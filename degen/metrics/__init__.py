"""Degeneracy metrics: arrays in, numbers out; one file a family, one pair loop."""
