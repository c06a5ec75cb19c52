"""Checks of training apart from the analysis of an experiment."""
