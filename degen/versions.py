"""Versions: of the package, and of the numbers that its training produces."""

VERSION = "0.2.0"
"""Of the package; `pyproject.toml` reads it here."""

NUMERICS = 2
"""Raised whenever a change of the code changes the final bits of a network.

`tests/training/test_golden_bits.py` fails when the bits change. Training warns about a run folder that
holds networks of another numerics version.
"""
