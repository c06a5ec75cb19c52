"""Interrupted training: at most the work since the last checkpoint is lost, and the same command resumes.

Every test ends with the same comparison: the networks are bit for bit those of a run without interruption.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
from pathlib import Path

import pytest

import launch.train
from degen.storage import RunFolder
from degen.storage.checkpoints import Checkpoints
from degen.training import Ensemble
from launch.training_record import TrainingRecord
from tests.conftest import TINY, TINY_OFTEN, Launched, assert_same_networks, run_folder
from tests.launch.hooks import AtCall, LongestFile, Signal

SHELL = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}
"""Exit codes: the shell's if the process ends itself, the kernel's if the signal ends it."""


def left_overs(folder: Path) -> list[Path]:
    return [*folder.rglob("*.part"), *folder.glob("checkpoint*")]


@pytest.mark.parametrize("moment", ["half written", "before the renaming", "after the renaming"])
@pytest.mark.parametrize(
    ("file", "nth"),
    [
        ("condition.yaml", 1),
        ("manifest.json", 1),
        ("manifest.json", 3),
        ("checkpoint.safetensors", 1),
        ("checkpoint.safetensors", 3),
        ("00000.safetensors", 1),
        ("00001.safetensors", 1),
    ],
)
def test_a_kill_inside_any_write_changes_no_network(tmp_path, start, launch, tiny_run, file, nth, moment):
    assert start(*TINY_OFTEN, before=Signal(file, moment, nth)).wait() == -signal.SIGKILL
    launch(*TINY_OFTEN)
    assert left_overs(run_folder(tmp_path)) == []
    assert_same_networks(run_folder(tmp_path), tiny_run)


def test_each_process_resumes_from_the_last_checkpoint(tmp_path, start, launch, tiny_run):
    dies = Signal("checkpoint.safetensors", "after the renaming")
    for epochs in (1, 2, 3):
        assert start(*TINY_OFTEN, before=dies).wait() == -signal.SIGKILL
        saved = RunFolder.open(run_folder(tmp_path)).checkpoints.read()
        assert [len(history.loss) for history in saved.histories] == [epochs] * 3
    launch(*TINY_OFTEN)
    assert_same_networks(run_folder(tmp_path), tiny_run)


@pytest.fixture(scope="module")
def calls(all_cores: None, tmp_path_factory: pytest.TempPathFactory) -> int:
    """Number of functions that a process calls during training, which forks a process per core."""
    workspace = tmp_path_factory.mktemp("counted")
    assert Launched(TINY_OFTEN, workspace, before=AtCall(0)).wait() == 0
    return int((workspace / "calls").read_text())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interruptions_at_random_moments_change_no_network(tmp_path, start, launch, tiny_run, calls, number):
    moments, codes = random.Random(int(number)), []
    while len(codes) < 5 and 0 not in codes:
        # At least two are interrupted: neither trains more than a third.
        launched = start(*TINY_OFTEN, before=AtCall(moments.randint(1, calls // 3), number))
        codes.append(launched.wait())
        assert launched.stderr == ""
        if codes[-1] > 0:
            assert launched.stdout.endswith(": interrupted and saved; run the same command again to resume\n")
    assert codes.count(SHELL[number]) >= 2
    assert set(codes) <= {SHELL[number], 0}
    launch(*TINY_OFTEN)
    assert left_overs(run_folder(tmp_path)) == []
    assert_same_networks(run_folder(tmp_path), tiny_run)


def test_a_process_killed_before_it_trains_is_as_if_it_never_was(tmp_path, start, launch, tiny_run):
    for n in (1, 1000, 100_000):  # of some 150,000 calls
        assert start(*TINY_OFTEN, before=AtCall(n, signal.SIGKILL, is_training=False)).wait() == -9
    launch(*TINY_OFTEN)
    assert_same_networks(run_folder(tmp_path), tiny_run)


def test_training_resumes_after_a_full_disk(tmp_path, start, launch, tiny_run):
    # Room for a network, not for the checkpoint of three.
    network = next((tiny_run / "networks").glob("*")).stat().st_size
    launched = start(*TINY_OFTEN, before=LongestFile(network))
    assert launched.wait() == 1
    assert launched.stderr == (
        f"error: {run_folder(tmp_path).relative_to(tmp_path)}/checkpoint.safetensors "
        "cannot be written (File too large): files written earlier are intact; "
        "run the same command again to resume.\n"
    )
    assert left_overs(run_folder(tmp_path)) == []
    launch(*TINY_OFTEN)
    assert_same_networks(run_folder(tmp_path), tiny_run)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("file", "nth"), [("manifest.json", 2), ("checkpoint.safetensors", 1), ("00001.safetensors", 1)]
)
def test_a_signal_inside_a_write_waits_for_its_end(tmp_path, start, launch, tiny_run, number, file, nth):
    interrupted = start(*TINY_OFTEN, before=Signal(file, "half written", nth, number))
    assert interrupted.wait() == SHELL[number]
    assert interrupted.stderr == ""
    assert interrupted.stdout.endswith("interrupted and saved; run the same command again to resume\n")
    assert list(run_folder(tmp_path).rglob("*.part")) == []
    launch(*TINY_OFTEN)
    assert_same_networks(run_folder(tmp_path), tiny_run)


def test_a_second_ctrl_c_inside_a_write_acts_at_once(tmp_path, start, launch, tiny_run):
    twice = Signal("checkpoint.safetensors", "half written", number=signal.SIGINT, times=2)
    interrupted = start(*TINY_OFTEN, before=twice)
    assert interrupted.wait() == 130
    assert interrupted.stderr == "interrupted; run the same command again to resume\n"
    assert left_overs(run_folder(tmp_path)) == []
    launch(*TINY_OFTEN)
    assert_same_networks(run_folder(tmp_path), tiny_run)


def _ctrl_c_when_seeds_are_read() -> None:
    launch.train.parse_seeds = lambda seeds: signal.raise_signal(signal.SIGINT)


def test_ctrl_c_before_training_writes_nothing(tmp_path, start):
    interrupted = start(*TINY_OFTEN, before=_ctrl_c_when_seeds_are_read)
    assert interrupted.wait() == 130
    assert interrupted.stderr == "interrupted; run the same command again to resume\n"
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_experiment_starts_no_further_condition(tmp_path, start):
    last_write = Signal("00002.safetensors", "after the renaming", number=signal.SIGTERM)
    interrupted = start("experiment=demo", *TINY_OFTEN, before=last_write)
    assert interrupted.wait() == 143
    assert interrupted.stdout.count("training") == 1


def _warned_in_the_first_epoch() -> None:
    """Be a job of SLURM that SIGTERM reaches once, and note every checkpoint in a file."""
    os.environ["SLURM_JOB_ID"] = "1"
    count, write = TrainingRecord.count_epoch, Checkpoints.write

    def count_and_warn(record: TrainingRecord) -> None:
        count(record)
        if record.record["epochs"] == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    def write_and_note(checkpoints: Checkpoints, ensemble: Ensemble) -> None:
        write(checkpoints, ensemble)
        with open("checkpoints", "a") as file:
            file.write(f"{[len(history.loss) for history in ensemble.histories]}\n")

    TrainingRecord.count_epoch, Checkpoints.write = count_and_warn, write_and_note


def test_in_a_slurm_job_sigterm_saves_and_training_continues(tmp_path, launch, tiny_run):
    arguments = (*TINY, "seeds=3", "checkpoint_seconds=1000")
    launch(*arguments, before=_warned_in_the_first_epoch)
    # The last one is that nothing is in training.
    assert (tmp_path / "checkpoints").read_text() == "[1, 1, 1]\n[]\n"
    assert_same_networks(run_folder(tmp_path), tiny_run)


def test_usr2_is_raised_again_once_everything_is_saved(tmp_path, start, launch, tiny_run):
    warned = start(*TINY_OFTEN, before=Signal("manifest.json", "half written", 2, signal.SIGUSR2))
    assert warned.wait() == -signal.SIGUSR2
    assert warned.stdout.endswith("interrupted and saved; run the same command again to resume\n")
    saved = RunFolder.open(run_folder(tmp_path)).checkpoints.read()
    assert len(saved.histories[0].loss) == 1
    launch(*TINY_OFTEN)
    assert_same_networks(run_folder(tmp_path), tiny_run)


def _asks_in_vain(number: int, frame: object) -> None:
    """Fail as submitit's handler does in a container without scontrol."""
    subprocess.check_call(["no-scontrol-in-this-image", "requeue", "1"])


class NotRequeued(Signal):
    def __call__(self) -> None:
        signal.signal(signal.SIGUSR2, _asks_in_vain)
        super().__call__()


def test_a_job_that_cannot_be_requeued_fails_with_a_message(tmp_path, start, launch, tiny_run):
    warned = start(*TINY_OFTEN, before=NotRequeued("manifest.json", "half written", 2, signal.SIGUSR2))
    assert warned.wait() == 128 + signal.SIGUSR2
    assert "this job could not be requeued; submit it again ([Errno 2]" in warned.stdout
    launch(*TINY_OFTEN)
    assert_same_networks(run_folder(tmp_path), tiny_run)
