"""Imports of a process: training starts without SciPy, completion without torch, and names are available."""

from __future__ import annotations

import subprocess
import sys

import pytest

import degen

TRAINING = "import sys, launch.train; assert not {'scipy', 'matplotlib', 'sklearn'} & sys.modules.keys()"
NAMES = "degen.statistics.Bootstrap, degen.comparison.Network, degen.compare, degen.load"


def test_training_starts_without_scipy():
    subprocess.run([sys.executable, "-c", f"{TRAINING}; import degen; {NAMES}"], check=True)


def test_completion_starts_without_torch():
    completion = "import sys, launch.command; sys.argv = ['degen', 'completion']; launch.command.main()"
    subprocess.run([sys.executable, "-c", f"{completion}; assert 'torch' not in sys.modules"], check=True)


def test_a_misspelled_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'degen' has no attribute 'compere'"):
        degen.compere  # noqa: B018
