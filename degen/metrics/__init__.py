"""Measures of how different the networks of an ensemble are: arrays in, numbers out."""
