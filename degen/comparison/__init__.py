"""Comparison of networks from anywhere: arrays, files or files of a PyTorch `state_dict`, in groups.

`degen.compare` takes arrays, `read_folder` and `compare_networks` take files. docs/compare.md has examples.
"""

from degen.comparison.compare import compare, compare_networks
from degen.comparison.files import read_folder
from degen.comparison.measure import Measure
from degen.comparison.metrics import METRICS
from degen.comparison.networks import Network
from degen.comparison.result import Comparison
from degen.comparison.state_dict import StateDictRun, run_state_dict

__all__ = [
    "METRICS",
    "Comparison",
    "Measure",
    "Network",
    "StateDictRun",
    "compare",
    "compare_networks",
    "read_folder",
    "run_state_dict",
]
