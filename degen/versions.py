"""Version of the package, and version of the numbers that training produces."""

VERSION = "0.2.0"
"""Version of the package. `pyproject.toml` reads it here."""

NUMERICS = 2
"""Version of the numbers. Increase it when a change of the code changes any bit of a trained network.

`tests/training/test_golden_bits.py` fails when the bits change. Training warns about a run folder that
holds networks of another numerics version.
"""
