"""On a real SLURM: jobs killed, requeued, preempted, over their time, broken; each ends as it should."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import degen
from tests.conftest import assert_same_networks
from tests.launch.conftest import Login

CPU = ("hydra/launcher=slurm_cpu", "hydra.launcher.cpus_per_task=1", "checkpoint_seconds=0")


def folder(login: Login, gamma: float) -> Path:
    (found,) = login.place.glob(f"runs/slow_flip_flop/*gamma{gamma:g}-*")
    return found


def process(login: Login, gamma: float) -> int:
    """The process that trains it."""
    (claim,) = folder(login, gamma).glob("shares/*/claim")
    return int(claim.read_text().split()[1])


def epoch(login: Login, gamma: float) -> int:
    """The epoch of the latest checkpoint."""
    sessions = [
        session
        for path in login.place.glob(f"runs/slow_flip_flop/*gamma{gamma:g}-*/condition.yaml")
        for session in degen.storage.RunFolder.open(path.parent).read_manifest()
    ]
    return sessions[-1]["epoch"] or 0 if sessions else 0


def test_disturbed_jobs_end_as_they_should(login, monkeypatch):
    monkeypatch.syspath_prepend(str(login.place))
    common = ("task=slow", "seeds=2", *CPU)
    killed, requeued, preempted, timed_out, broken, diverging = 1, 2, 3, 4, 5, 6
    long = ("training.max_epochs=60",)
    slow = {"SECONDS_PER_EPOCH": "0.5"}
    sweep = (*common, *long, f"gamma={killed},{requeued}")
    login.run("launch.submit", *sweep, **slow)
    gpus = ("hydra.launcher.gres=gpu:4", "device=cpu")
    login.run("launch.submit", *common, *long, f"gamma={preempted}", *gpus, **slow)
    limit = ("hydra.launcher.timeout_min=1", "hydra.launcher.signal_delay_s=5")
    login.run("launch.submit", *common, "training.max_epochs=120", f"gamma={timed_out}", *limit, **slow)
    login.run("launch.submit", *common, *long, "task.breaks=true", f"gamma={broken}")
    login.run("launch.submit", *common, "training.learning_rate=1e30", f"gamma={diverging}")

    login.wait("two train", lambda: epoch(login, killed) > 2 and epoch(login, requeued) > 2)
    os.kill(process(login, killed), signal.SIGKILL)
    ((job, _),) = [item for item in login.rows(*sweep).items() if f"gamma{requeued}-" in item[0]]
    (identity,) = login.rows(*sweep)[job]["jobs"]
    login.slurm("scontrol", "requeue", identity)
    login.wait("it is preempted", lambda: login.rows(*sweep)[job]["state"] == "preempted")

    login.wait("one trains on GPUs", lambda: epoch(login, preempted) > 2)
    login.slurm("sbatch", "--partition=high", "--gres=gpu:1", "--output=/dev/null", "--wrap=sleep 5")
    login.wait_for_end()

    states = {name.split("-")[-2]: row["state"] for name, row in login.rows().items()}
    assert states == {
        f"gamma{killed}": "failed",
        f"gamma{requeued}": "done",
        f"gamma{preempted}": "done",
        f"gamma{timed_out}": "done",
        f"gamma{broken}": "failed",
        f"gamma{diverging}": "diverged",
    }
