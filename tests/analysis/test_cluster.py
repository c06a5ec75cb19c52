"""On a real SLURM: an experiment analyzed as an array of jobs gives the tables that one process gives."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from degen.files import read_tensors
from tests.cluster import ROOT
from tests.login import PATIENCE

pytestmark = pytest.mark.slurm

CPU = ("hydra/launcher=slurm_cpu", "hydra.launcher.cpus_per_task=1")
EXPERIMENT = """
# @package _global_
experiment: {factor: task.channels, label: bits, grids: [[task=slow, "task.channels=1,2,3"]]}
seeds: 3
training: {threshold: 10.0, patience: 1}
"""


WIDTHS = """
# @package _global_
experiment: {factor: width, label: units, grids: [[task=slow, task.channels=1, "width=8,10"]]}
seeds: 3
training: {threshold: 10.0, patience: 1}
"""
BOTH = "# @package _global_\nexperiment: {experiments: [tiny, widths]}\n"


def tables(results: Path) -> list[str]:
    return [(results / name / "degeneracy.csv").read_text() for name in ("tiny", "widths")]


def test_arrays_of_jobs_compute_what_one_process_computes(login):
    (login.workspace / "conf" / "experiment").mkdir()
    for name, text in (("tiny", EXPERIMENT), ("widths", WIDTHS), ("both", BOTH)):
        (login.workspace / "conf" / "experiment" / name).with_suffix(".yaml").write_text(text)
    login.run("launch.train", "experiment=both")
    few = (
        "experiment=both",
        "metric=[dsa,pif]",
        "metrics.dsa.highest_lag=3",
        "metrics.dsa.ranks=[4]",
        "bootstrap.n_samples=50",
        "share_hyperparameters=true",
    )
    dry = login.run("analysis.submit", *few, *CPU, "--dry-run")
    assert "3 for distances" in dry
    assert not (login.workspace / "results").exists()
    login.run("analysis.submit", *few, *CPU)
    login.wait_for_end()
    logs = {
        kind: login.workspace.glob(f"results/*/.submissions/*/logs/*/*.{kind}") for kind in ("err", "out")
    }
    printed = {kind: "".join(path.read_text() for path in paths) for kind, paths in logs.items()}
    assert "Traceback" not in printed["err"]
    # On the five conditions of both, whichever was prepared last.
    assert re.findall(r"hyperparameters: dsa of .* on (\d+) networks\n", printed["out"]) == ["15", "15"]
    alone = login.start("analysis.__main__", *few, "results=here")
    assert alone.wait() == 0, alone.stdout + alone.stderr
    assert all(
        line.startswith("warning: ") for line in alone.stderr.splitlines()
    )  # so few candidates and networks
    assert tables(login.workspace / "results") == tables(login.workspace / "here")
    computed = sorted(login.workspace.glob("results/*/matrices/*/*.safetensors"))
    assert len(computed) == 2 * (3 + 2)
    for path in computed:
        expected, _ = read_tensors(login.workspace / "here" / path.relative_to(login.workspace / "results"))
        assert torch.equal(read_tensors(path)[0]["distances"], expected["distances"])
    assert list(login.workspace.glob("results/tiny/figures/*.pdf"))


SCALE = """
name: tiny
seeds: 3
width: 8
widths: "6,8"
"""
SCALED = """
# @package _global_
training: {batch_size: 8, steps_per_epoch: 2, max_epochs: 3, threshold: 10.0, patience: 1}
"""


def test_make_paper_runs_on_a_cluster(login):
    for name, text in (("scale/tiny", SCALE), ("scale_overrides/tiny_delayed_discrimination", SCALED)):
        (login.workspace / "conf" / name).with_suffix(".yaml").parent.mkdir()
        (login.workspace / "conf" / name).with_suffix(".yaml").write_text(text)

    def make(launcher: str) -> subprocess.CompletedProcess[str]:
        given = ["INSTALLED=", f"BIN={Path(sys.executable).parent}", "CONFIG_DIR=conf", "SCALE=tiny"]
        given += ["EXPERIMENT=auxiliary_loss", f"LAUNCHER={launcher}"]
        command = ["make", "--file", str(ROOT / "Makefile"), "paper", *given]
        return subprocess.run(
            command,
            cwd=login.workspace,
            env=login.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

    made = make("slurm_cpu")
    assert made.returncode == 0, made.stdout + made.stderr
    assert made.stdout.index("2 missing") < made.stdout.index("6 to train") < made.stdout.index("2 done")
    assert login.jobs() == {}
    results = login.workspace / "results" / "tiny"
    assert (results / "report.html").exists()
    assert (results / "figures" / "figure-04-auxiliary-loss-attractors.pdf").exists()

    # What is missing only is trained, and where that fails nothing is analyzed.
    next(login.workspace.glob("runs/*/*/networks/00001.safetensors")).unlink()
    launcher = login.workspace / "conf" / "hydra" / "launcher" / "broken.yaml"
    launcher.parent.mkdir(parents=True)
    launcher.write_text("defaults: [slurm_cpu, _self_]\nsetup: ['exit 3']\n")
    made = make("broken")
    assert made.returncode == 2, made.stdout + made.stderr
    assert "5 finished, 0 in a job, 1 to train" in made.stdout
    assert "1 failed, 1 done" in made.stdout
    assert "analysis.submit" not in made.stdout


def test_a_running_analysis_is_not_submitted_again(login):
    experiment = login.workspace / "conf" / "experiment" / "tiny.yaml"
    experiment.parent.mkdir()
    experiment.write_text(EXPERIMENT)
    login.run("launch.train", "experiment=tiny")
    few = ("experiment=tiny", "metric=pif", "bootstrap.n_samples=50", "feature_learning.n_trials=2")
    few = (*few, f"submit.python='env DEGEN_IN_A_CONTAINER=1 {sys.executable}'")
    fails = f"until test -e {login.workspace}/go; do sleep 1; done; exit 3"
    login.run("analysis.submit", *few, *CPU, f"hydra.launcher.setup=['{fails}']")
    waiting = login.start("analysis.submit", *few, *CPU, "--wait")
    waiting.wait_for("tiny: running, not submitted again\n")
    assert "3 for distances" in waiting.stdout.splitlines()[0]
    (login.workspace / "go").touch()
    assert waiting.wait() == 1, waiting.stdout + waiting.stderr
    assert re.match(r"tiny failed \(.*/results/tiny/.submissions/.*\):\n", waiting.stderr)
    assert login.jobs() == {}
    login.run("analysis.submit", *few, *CPU, "--wait")
    assert (login.workspace / "results" / "tiny" / "degeneracy.csv").exists()
    scripts = list((login.workspace / "results" / "tiny" / ".submissions").rglob("*.sh"))
    assert len(scripts) >= 4
    assert all("env DEGEN_IN_A_CONTAINER=1" in script.read_text() for script in scripts)
