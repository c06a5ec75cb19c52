"""Comparison with the paper: Table 1, the report, and manipulation checks."""
