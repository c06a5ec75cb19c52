"""A tiny experiment in a user's configuration folder, and two of the paper's made tiny, analyzed once."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import filelock
import pandas as pd
import pytest

from degen.storage import RunFolder
from degen.training import Ensemble, History
from tests.analysis.drawing import draw_nothing
from tests.composed import experiment_of
from tests.conftest import Launched

OWN = ("--config-dir", "settings", "experiment=tiny")
SMALL = ("metrics.dsa.highest_lag=2", "metrics.dsa.ranks=[2,3]", "bootstrap.n_samples=200")
SMALL = (*SMALL, "probe.n_trials=8", "ood.n_trials=8", "feature_learning.n_trials=2")
SMALL = (*SMALL, "permutation_test.n_permutations=99", "share_hyperparameters=true")
"""Arguments of the analysis that make it a matter of a second. Hyperparameters are shared."""

YAML = """
# @package _global_
experiment:
  factor: task.channels
  label: bits
  grids:
    - [task=flip_flop, "task.channels=1,2", width=8]

seeds: 9
task:
  n_steps: 20
training:
  batch_size: 8
  steps_per_epoch: 4
  max_epochs: 6
  threshold: 10  # solved from the start
  patience: 1
  settle_epochs: 1
  validation_trials: 8
  confirmation_trials: 16
"""

METRICS = {
    "dsa": "dynamics",
    "dsa_weighted": "dynamics",
    "dsa_geometry": "dynamics",
    "dsa_lag_1": "dynamics",
    "pif": "weights",
    "pif_unaligned": "weights",
    "pif_initial": "weights",
    "pif_signed": "weights",
    "pif_signed_initial": "weights",
    "svcca": "representation",
}
"""The metrics of an analysis, and the level of each."""


def run_folders(workspace: Path) -> list[Path]:
    return sorted(workspace.glob("runs/flip_flop/*"))  # by the number of bits


def signatures(workspace: Path) -> list[str]:
    return [path.name.rpartition("-")[2] for path in run_folders(workspace)]


def table(workspace: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(workspace / "results" / "tiny" / f"{name}.parquet")


def summary_word(row: dict[str, Any]) -> str:
    """Return what the summary says about a row of trends."""
    is_uninformative = row["outcome"] == "no effect seen" and not row["detectable_change"] <= 1
    return "only a change of" if is_uninformative else str(row["outcome"])


def store(folder: RunFolder, seed: int, losses: list[float]) -> None:
    """Store a finished network with these losses, which training does not give on demand.

    It has converged at its first loss below the threshold.
    """
    condition = folder.condition
    network = Ensemble.new([seed], condition.task, condition.model)
    zeros, confirmed = [0.0] * len(losses), [float("nan")] * len(losses)
    below = [epoch for epoch, loss in enumerate(losses) if loss < condition.training.threshold]
    if below:
        confirmed[below[0]] = losses[below[0]]
        network.converged = {name: weights.clone() for name, weights in network.parameters.items()}
    network.histories = [History(losses, zeros, [0.001] * len(losses), losses, confirmed, zeros)]
    folder.networks.write(network, 0)


def make_once(factory: pytest.TempPathFactory, make: Callable[[Path], None]) -> Path:
    """Return a folder that the first worker of pytest-xdist fills, and that all workers read."""
    root = factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root
    folder, done = root / f"{make.__name__}-shared", root / f"{make.__name__}-done"
    with filelock.FileLock(root / f"{make.__name__}-lock"):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a worker that failed
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def analyzed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder: of nine seeds six converged, one not, one diverged, one is missing. Read only."""
    return make_once(tmp_path_factory, _analyzed)


def _analyzed(workspace: Path) -> None:
    (workspace / "settings" / "experiment").mkdir(parents=True)
    (workspace / "settings" / "experiment" / "tiny.yaml").write_text(YAML)
    trained = Launched((*OWN, "seeds=6"), workspace)
    assert trained.wait() == 0, trained.stderr
    for path in workspace.glob("runs/flip_flop/*"):
        store(RunFolder.open(path), 6, [20.0] * 6)
        store(RunFolder.open(path), 7, [float("nan")])
    launched = Launched((*OWN, *SMALL), workspace, module="analysis.__main__")
    assert launched.wait() == 0, launched.stderr
    (workspace / "printed").write_text(launched.stdout)


@pytest.fixture
def workspace(analyzed: Path, tmp_path: Path) -> Path:
    """A copy of it to work in."""
    return shutil.copytree(analyzed, tmp_path / "place")


Analyze = Callable[..., Launched]
Before = Callable[[], None] | None


def analyze_in(
    workspace: Path, *arguments: str, experiment: str = "tiny", before: Before = draw_nothing
) -> Launched:
    """Analyze an experiment of the folder, which must succeed; figures only on demand."""
    given = ("--config-dir", "settings", f"experiment={experiment}", *SMALL, *arguments)
    launched = Launched(given, workspace, before=before, module="analysis.__main__")
    assert launched.wait() == 0, launched.stderr
    return launched


@pytest.fixture
def analyze(workspace: Path) -> Analyze:
    """Analyze the copy again."""
    return functools.partial(analyze_in, workspace)


# Two experiments that share a condition

LIST = "# @package _global_\nexperiment:\n  experiments: [tiny, wide]\n"


def analyze_dsa(workspace: Path, experiment: str, *arguments: str) -> list[str]:
    """Return the printed lines of an analysis with the single metric `dsa`."""
    return analyze_in(workspace, "metric=[dsa]", *arguments, experiment=experiment).stdout.splitlines()


def lines(printed: list[str], beginning: str) -> list[str]:
    return [line for line in printed if line.startswith(beginning)]


@pytest.fixture(scope="session")
def trained(analyzed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy with a second experiment `wide`: one condition of `tiny`, and one with more units. Read only."""
    workspace = shutil.copytree(analyzed, tmp_path_factory.mktemp("trained") / "place")
    settings = workspace / "settings" / "experiment"
    wide = YAML.replace("task.channels=1,2", "task.channels=2").replace("width=8", '"width=8,10"')
    (settings / "wide.yaml").write_text(wide.replace("factor: task.channels", "factor: width"))
    (settings / "both.yaml").write_text(LIST)
    launched = Launched(("--config-dir", "settings", "experiment=wide", "seeds=6"), workspace)
    assert launched.wait() == 0, launched.stderr
    return workspace


@pytest.fixture
def two(trained: Path, tmp_path: Path) -> Path:
    """A copy of both experiments to work in."""
    return shutil.copytree(trained, tmp_path / "two")


# Two of the paper's experiments

TINY = (
    "scale=reduced",
    "scale.width=8",
    'scale.widths="6,8,10"',
    "training.batch_size=8",
    "training.steps_per_epoch=2",
    "training.max_epochs=3",
    "training.threshold=10",  # solved from the start
    "training.patience=1",
    "training.settle_epochs=1",
    "training.validation_trials=8",
    "training.confirmation_trials=16",
    "seeds=6",
)
OVERRIDES = "overrides=[" + ",".join("'" + text.replace("'", '"') + "'" for text in TINY) + "]"
EXPERIMENTS = ("auxiliary_loss", "network_size")
PAPER = (f"experiments=[{','.join(EXPERIMENTS)}]", OVERRIDES)
"""Arguments of `analysis.paper` for both."""


def run(workspace: Path, module: str, *arguments: str) -> Launched:
    """Run a module there, which must succeed; an analysis without its own figures."""
    before = draw_nothing if module == "analysis.__main__" else None
    launched = Launched(arguments, workspace, before=before, module=module)
    assert launched.wait() == 0, launched.stderr
    return launched


@pytest.fixture(scope="session")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs, results and report of two experiments. Read only.

    One condition has an unconverged network.
    """
    return make_once(tmp_path_factory, _paper)


def _paper(workspace: Path) -> None:
    for name in EXPERIMENTS:
        run(workspace, "launch.train", f"experiment={name}", *TINY)
    widest = experiment_of("network_size", TINY).conditions[2]
    folder = RunFolder.of(workspace / "runs", widest)
    (folder.path / "networks" / "00003.safetensors").unlink()
    store(folder, 3, [20.0] * 3)
    for name in EXPERIMENTS:
        run(workspace, "analysis.__main__", f"experiment={name}", OVERRIDES, *SMALL)
    (workspace / "printed").write_text(run(workspace, "analysis.paper", *PAPER).stdout)


@pytest.fixture(scope="session")
def outcomes(paper: Path) -> pd.DataFrame:
    """Table 1 of this folder."""
    return pd.read_csv(paper / "results" / "table-1.csv")
