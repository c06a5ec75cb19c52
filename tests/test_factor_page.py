"""The commands of docs/factors.md, with smaller networks, print what the page shows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from launch.command import MODULES
from tests.conftest import Launched

PAGE = (Path(__file__).parent.parent / "docs/factors.md").read_text()
CODE = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
SUMMARIES = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
TRAINING = ("training.batch_size=8", "training.steps_per_epoch=2", "training.max_epochs=3")
TRAINING = (*TRAINING, "training.threshold=10", "training.patience=1", "training.settle_epochs=1")
TRAINING = (
    *TRAINING,
    "training.validation_trials=8",
    "training.confirmation_trials=16",
    "seeds=6",
    "width=8",
)
ANALYSIS = ("metrics.dsa.highest_lag=2", "metrics.dsa.ranks=[2,3]", "bootstrap.n_samples=200")
ANALYSIS = (*ANALYSIS, "probe.n_trials=8", "ood.n_trials=8", "feature_learning.n_trials=2")
ANALYSIS = (*ANALYSIS, "permutation_test.n_permutations=99")


def names(printed: str) -> set[str]:
    """Return what each line of a summary is about: task, level, measure and term."""
    summary = printed[printed.index("How does degeneracy change") :]
    return set(re.findall(r"^  (N-bit flip-flop, .*?): ", summary, re.MULTILINE))


@pytest.mark.parametrize("number", [0, 1])
def test_the_page_prints_what_it_shows(tmp_path, number):
    for line in CODE[number].splitlines():
        degen, command, *words = shlex.split(line)
        assert degen == "degen"
        given = {word.partition("=")[0] for word in TRAINING}
        remaining = [word for word in words if word.partition("=")[0] not in given]
        extra = ANALYSIS if command == "analyze" else ()
        finished = Launched((*remaining, *TRAINING, *extra), tmp_path, module=MODULES[command])
        assert finished.wait() == 0, finished.stderr
    assert names(finished.stdout) == names(SUMMARIES[number])
    assert len(names(SUMMARIES[number])) >= 12
    (report,) = tmp_path.glob("results/*/report.html")
    text = report.read_text()
    assert all(name in text for name in names(SUMMARIES[number]))
