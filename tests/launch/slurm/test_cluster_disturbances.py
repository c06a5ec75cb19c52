"""Jobs on a real SLURM that are killed, requeued, preempted, out of time or broken."""

from __future__ import annotations

import os
import signal

import pytest

from degen.storage import RunFolder
from tests.conftest import assert_same_networks
from tests.login import Login

pytestmark = pytest.mark.slurm

KILLED, REQUEUED, PREEMPTED, TIMED_OUT, BROKEN, DIVERGING = range(1, 7)
"""Values of gamma, one per condition."""

CPU = ("hydra/launcher=slurm_cpu", "hydra.launcher.cpus_per_task=1", "checkpoint_seconds=0")
COMMON = ("task=slow", "seeds=2", "training.max_epochs=40")
SLOW = {"SECONDS_PER_EPOCH": "1"}
"""Until the test hurries its jobs, they train long enough to be disturbed."""


def folder(login: Login, gamma: float) -> RunFolder:
    (result,) = login.workspace.glob(f"runs/slow_flip_flop/*gamma{gamma}-*")
    return RunFolder.open(result)


def epoch(login: Login, gamma: float) -> int:
    """Return the epoch of the latest checkpoint."""
    sessions = folder(login, gamma).manifest.read()
    return (sessions[-1]["epoch"] or 0) if sessions else 0


def wait_for_training(login: Login, gamma: float) -> None:
    login.wait(f"gamma {gamma} trains", lambda: epoch(login, gamma) > 2)


def is_requeued(login: Login, gamma: float) -> bool:
    """Return whether a job was requeued, and its process has ended: it has some seconds to do so."""
    job = login.job(gamma)
    return job.restarts > 0 and job.state in ("PENDING", "RUNNING")


def test_disturbed_jobs_end_in_the_right_state(login, tmp_path):
    # SLURM checks every half minute whether a job is near its limit.
    limit = ("hydra.launcher.timeout_min=1", "hydra.launcher.signal_delay_s=5", "training.max_epochs=70")
    login.run("launch.submit", *COMMON, *CPU, f"gamma={TIMED_OUT}", *limit, **SLOW)
    login.run("launch.submit", *COMMON, *CPU, f"gamma={KILLED},{REQUEUED}", **SLOW)
    wait_for_training(login, KILLED)
    (claim,) = folder(login, KILLED).path.glob("shares/*/claim")
    os.kill(int(claim.read_text().split()[1]), signal.SIGKILL)
    wait_for_training(login, REQUEUED)
    identity = login.job(REQUEUED).identity
    login.slurm("scontrol", "requeue", identity)
    login.wait("it waits", lambda: login.job(REQUEUED).state == "PENDING")
    login.slurm("scontrol", "hold", identity)  # so that there is time to look
    rows = login.rows("task=slow", "training.max_epochs=40", "seeds=2", f"gamma={REQUEUED}")
    assert [row["state"] for row in rows.values()] == ["preempted"]
    login.slurm("scontrol", "release", identity)

    gpus = ("hydra.launcher.gres=gpu:4", "device=cpu")
    login.run("launch.submit", *COMMON, *CPU, f"gamma={PREEMPTED}", *gpus, **SLOW)
    wait_for_training(login, PREEMPTED)
    login.slurm("sbatch", "--partition=high", "--gres=gpu:1", "--output=/dev/null", "--wrap=sleep 2")
    login.wait("it is preempted", lambda: is_requeued(login, PREEMPTED))
    login.run("launch.submit", *COMMON, *CPU, "task.breaks=true", f"gamma={BROKEN}")
    login.run("launch.submit", *COMMON, *CPU, "training.optimizer.learning_rate=1e30", f"gamma={DIVERGING}")
    login.wait("it is out of time", lambda: is_requeued(login, TIMED_OUT))
    login.hurry()
    login.wait_for_end()

    rows = {int(name.split("gamma")[1][0]): row for name, row in login.rows().items()}
    assert {gamma: row["state"] for gamma, row in rows.items()} == {
        KILLED: "failed",
        REQUEUED: "done",
        PREEMPTED: "done",
        TIMED_OUT: "done",
        BROKEN: "failed",
        DIVERGING: "diverged",
    }
    ends = {gamma: login.job(gamma).state for gamma in rows}
    failed = {KILLED, BROKEN}
    assert ends == {gamma: "FAILED" if gamma in failed else "COMPLETED" for gamma in rows}
    assert "something broke on this node" in rows[BROKEN]["error"]
    assert rows[KILLED]["error"].count("Killed") > 0

    # Only missing networks are submitted again.
    again = login.run("launch.submit", *COMMON, *CPU, f"gamma={KILLED},{REQUEUED}")
    assert "2 finished, 0 in a job, 2 to train" in again
    login.wait_for_end()
    assert "nothing to submit" in login.run("launch.submit", *COMMON, *CPU, f"gamma={KILLED},{REQUEUED}")

    undisturbed = Login(login.cluster, tmp_path / "undisturbed")
    gammas = f"gamma={KILLED},{REQUEUED},{PREEMPTED}"
    undisturbed.run("launch.train", "-m", *COMMON, gammas)
    undisturbed.run("launch.train", *COMMON, f"gamma={TIMED_OUT}", "training.max_epochs=70")
    for gamma in (KILLED, REQUEUED, PREEMPTED, TIMED_OUT):
        sessions = folder(login, gamma).manifest.read()
        assert len(sessions) > 1, "it was not disturbed"
        epochs = 70 if gamma == TIMED_OUT else 40
        assert sum(session["epochs"] for session in sessions) == epochs, "an epoch was lost"
        assert_same_networks(folder(login, gamma).path, folder(undisturbed, gamma).path)


def test_jobs_of_a_dead_node_resume_when_it_returns(login, tmp_path):
    login.run("launch.submit", *COMMON, *CPU, "gamma=1", **SLOW)
    wait_for_training(login, 1)
    login.cluster.kill_node()
    login.wait("it waits", lambda: is_requeued(login, 1) and login.job(1).state == "PENDING")
    login.hurry()
    login.cluster.start_node()
    login.wait_for_end()
    sessions = folder(login, 1).manifest.read()
    assert len(sessions) == 2
    undisturbed = Login(login.cluster, tmp_path / "undisturbed")
    undisturbed.run("launch.train", *COMMON, "gamma=1")
    assert_same_networks(folder(login, 1).path, folder(undisturbed, 1).path)
