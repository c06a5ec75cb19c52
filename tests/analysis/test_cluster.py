"""On a real SLURM: an experiment analyzed as an array of jobs gives the tables that one process gives."""

from __future__ import annotations

from pathlib import Path

import torch

from degen.files import read_tensors

CPU = ("hydra/launcher=slurm_cpu", "hydra.launcher.cpus_per_task=1")
EXPERIMENT = """
# @package _global_
experiment: {factor: task.channels, label: bits, grids: [[task=slow, "task.channels=1,2,3"]]}
seeds: 3
training: {threshold: 10.0, extra_epochs: 1}
"""


def tables(results: Path) -> list[str]:
    return [(results / "tiny" / name).read_text() for name in ("degeneracy.csv",)]


def test_an_array_of_jobs_computes_what_one_process_computes(login):
    (login.place / "conf" / "experiment").mkdir()
    (login.place / "conf" / "experiment" / "tiny.yaml").write_text(EXPERIMENT)
    login.run("launch.train", "experiment=tiny")
    few = ("experiment=tiny", "metrics.dsa.highest_lag=3", "metrics.dsa.ranks=[4]", "bootstrap.n_samples=50")
    dry = login.run("analysis.submit", *few, *CPU, "--dry-run")
    assert "3 for the matrices" in dry
    assert not (login.place / "results").exists()
    login.run("analysis.submit", *few, *CPU)
    login.wait_for_end()
    logs = "".join(path.read_text() for path in login.place.glob("results/tiny/.submissions/*/logs/*/*.err"))
    assert "Traceback" not in logs
    login.run("analysis", *few, "results=here")
    assert tables(login.place / "results") == tables(login.place / "here")
    computed = sorted(login.place.glob("results/tiny/matrices/*/*.safetensors"))
    assert len(computed) == 15
    for path in computed:
        expected, _ = read_tensors(login.place / "here" / path.relative_to(login.place / "results"))
        assert torch.equal(read_tensors(path)[0]["distances"], expected["distances"])
    assert list(login.place.glob("results/tiny/figures/*.pdf"))
