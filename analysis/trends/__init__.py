"""Trends of degeneracy along the factors of an experiment: measures, tests and outcomes."""
