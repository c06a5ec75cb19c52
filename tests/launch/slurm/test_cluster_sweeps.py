"""Sweeps on a real SLURM: submission, limits, snapshots, packing, cancellation, and Hydra's launcher."""

from __future__ import annotations

import shutil
import signal
import time

import pytest

import degen
from launch.slurm.submissions import read_submissions, read_tasks
from tests.cluster import ROOT, Cluster
from tests.conftest import assert_same_networks
from tests.login import MAX_ARRAY_SIZE, MODULE, PATIENCE, Login, started

pytestmark = pytest.mark.slurm

CPU = ("hydra/launcher=slurm_cpu", "hydra.launcher.cpus_per_task=1", "checkpoint_seconds=0")


def assert_as_trained_here(login: Login, *arguments: str) -> None:
    """Assert that runs/ is bit for bit what `launch.train` writes with these arguments."""
    here = Login(login.cluster, login.workspace / "here")
    here.run("launch.train", "-m", *arguments)
    folders = {path.parent.name for path in here.workspace.glob("runs/*/*/condition.yaml")}
    assert folders == {path.parent.name for path in login.workspace.glob("runs/*/*/condition.yaml")}
    for name in folders:
        (mine,), (theirs,) = login.workspace.glob(f"runs/*/{name}"), here.workspace.glob(f"runs/*/{name}")
        assert_same_networks(mine, theirs)
        assert not list(mine.rglob("*.part")) + list(mine.rglob("checkpoint*"))


def test_a_sweep_runs_once_capped_and_from_a_snapshot(login, tmp_path):
    code = tmp_path / "code"
    for name in ("degen", "launch", "analysis", "conf"):
        shutil.copytree(ROOT / name, code / name)
    sweep = ("task=slow", "gamma=0.5,1,2,4", "task.channels=1,2,3", "seeds=2")
    cap = 3
    submit = ("launch.submit", "--config-dir", "conf", *sweep, *CPU)
    two = [login.start_python(code, *submit, f"hydra.launcher.array_parallelism={cap}") for _ in range(2)]
    # The submitting processes are killed as soon as they have submitted.
    records = lambda: list(tmp_path.glob("runs/.submissions/*/submission.json"))  # noqa: E731
    login.wait("one has submitted", lambda: records() and len(login.jobs()) == 12)
    time.sleep(1)
    for process in two:
        process.send_signal(signal.SIGKILL)
    assert len(records()) == 1
    assert len({job.partition("_")[0] for job in login.jobs()}) == 2, f"arrays of at most {MAX_ARRAY_SIZE}"
    (code / "degen" / "training" / "ensemble.py").write_text("raise RuntimeError('edited while jobs waited')")
    (code / "conf" / "train.yaml").write_text("nonsense")
    (tmp_path / "slow.py").write_text("raise RuntimeError('edited while jobs waited')")
    at_once = []
    while jobs := login.jobs():
        at_once.append(sum(state == "RUNNING" for state in jobs.values()))
        time.sleep(0.5)
    assert 1 < max(at_once) <= cap
    (tmp_path / "slow.py").write_text(MODULE)
    assert_as_trained_here(login, *sweep)
    sessions = [degen.load(path).sessions for path in tmp_path.glob("runs/slow_flip_flop/*")]
    assert [len(session) for session in sessions] == [1] * 12
    assert {row["state"] for row in login.rows().values()} == {"done"}
    assert "24 finished, 0 in a job, 0 to train" in login.run("launch.submit", *sweep, *CPU)


def test_conditions_are_packed_and_ensembles_split_by_seeds(login):
    packed = ("task=slow", "gamma=1,2,3", "submit.conditions_per_job=2")
    printed = login.run("launch.submit", *packed, *CPU, "seeds=2")
    assert "3 conditions, 6 networks; 0 finished, 0 in a job, 6 to train" in printed
    assert "jobs: 2 in 1 array" in printed
    # More seeds while these jobs run: only the new seeds are submitted.
    split = ("task=slow", "gamma=1,2,3", "seeds=5", "submit.seeds_per_job=2", "submit.conditions_per_job=3")
    plan = login.run("launch.submit", *split, *CPU, "--dry-run")
    assert "9 to train" in plan
    assert plan.count("seeds 2-3\n") == plan.count("seeds 4\n") == 3
    assert "jobs: 2 in 1 array" in login.run("launch.submit", *split, *CPU)
    watched = login.run("launch.status", "--watch", "task=slow", "gamma=1,2,3", "seeds=5")
    assert watched.splitlines()[-1] == "3 done"
    assert login.jobs() == {}
    assert_as_trained_here(login, "task=slow", "gamma=1,2,3", "seeds=5")
    plan = login.run("launch.submit", *split, *CPU, "--dry-run", "seeds=6")
    assert "device hours" in plan
    assert plan.count("seeds 5\n") == 3


def test_cancel_stops_only_jobs_of_the_experiment(login):
    (login.workspace / "conf" / "experiment").mkdir()
    for name, gamma in (("one", 1), ("other", 2)):
        (login.workspace / "conf" / "experiment" / f"{name}.yaml").write_text(
            f"# @package _global_\nexperiment: {{factor: task.channels, label: bits, grids: "
            f'[[task=slow, "task.channels=1,2", gamma={gamma}]]}}\nseeds: 1\n'
        )
        login.run(
            "launch.submit", f"experiment={name}", *CPU, "training.max_epochs=60", SECONDS_PER_EPOCH="10"
        )
    arguments = ("experiment=one", "training.max_epochs=60")
    cancel = login.start_python(ROOT, "launch.cancel", "experiment=one")
    assert "2 jobs cancelled" in cancel.communicate(timeout=PATIENCE)[0]
    assert cancel.returncode == 0
    # Cancelled jobs run until SLURM kills them (KillWait).
    states = lambda: {row["state"] for row in login.rows(*arguments).values()}  # noqa: E731
    login.wait("cancelled jobs have ended", lambda: states() == {"missing"})
    others = login.rows("experiment=other", "training.max_epochs=60").values()
    assert {row["state"] for row in others} <= {"running", "queued"}
    login.hurry()
    again = login.run("launch.submit", *arguments, *CPU)
    assert "2 conditions, 2 networks; 0 finished, 0 in a job, 2 to train" in again
    login.wait_for_end()
    assert {row["state"] for row in login.rows().values()} == {"done"}


def ends(login: Login) -> list[str]:
    """Return the states of this user's ended jobs, as the controller remembers them."""
    # Accounting learns of an end some time later, and so may list jobs of an earlier test as new ones.
    jobs = login.cluster.answer("squeue", "--states=all", "--array", "--noheader", "--format=%T %Z")
    states = [line.split(maxsplit=1) for line in jobs.splitlines()]
    return sorted(state for state, folder in states if folder == str(login.workspace))


def test_hydras_launcher_trains_the_same_and_reports_failures(login):
    sweep = ("task=slow", "gamma=1,2", "seeds=2")
    # Python starts anew, because jobs then unpickle a function of `__main__`.
    train = ("launch.train", "--config-dir", "conf", "-m", "task=slow", *CPU)
    training = login.start_python(ROOT, *train, "gamma=1,2", "seeds=2")
    _, stderr = training.communicate(timeout=PATIENCE)
    assert (training.returncode, stderr) == (0, "")
    assert_as_trained_here(login, *sweep)
    failing = login.start_python(ROOT, *train, "task.breaks=true,false", "gamma=3", "seeds=1")
    _, stderr = failing.communicate(timeout=PATIENCE)
    assert failing.returncode != 0
    assert "something broke on this node" in stderr
    login.wait_for_end()
    assert ends(login) == ["COMPLETED", "COMPLETED", "COMPLETED", "FAILED"]
    # The other job is not affected. The failing job ended in the check of its task, before it made a folder.
    assert [row["state"] for row in login.rows().values()] == ["done", "done", "done"]


def test_status_and_plan_work_without_accounting(tmp_path, tmp_path_factory, monkeypatch):
    with started(Cluster(tmp_path_factory.mktemp("bare"), accounting=False)) as cluster:
        monkeypatch.setenv("SLURM_CONF", cluster.variables["SLURM_CONF"])
        login = Login(cluster, tmp_path)
        sweep = ("task=slow", "gamma=1,2", "seeds=1", "task.breaks=false,true", *CPU)
        login.run("launch.submit", *sweep)
        login.wait_for_end()
        assert sorted(row["state"] for row in login.rows(*sweep).values()) == [
            "done",
            "done",
            "failed",
            "failed",
        ]
        # The controller forgets jobs some time after they have ended.
        forgotten = "a name that no job has"
        monkeypatch.setattr("launch.slurm.submissions.Submission.array_name", lambda self, array: forgotten)
        tasks = read_tasks(read_submissions(tmp_path / "runs"))
        assert sorted(task.has_failed for task in tasks) == [False, False, True, True]
        assert "2 to train" in login.run("launch.submit", *sweep, "--dry-run")
