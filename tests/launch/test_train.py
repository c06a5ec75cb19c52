"""`python -m launch.train`: trained and skipped networks, and printed lines."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pty
import shutil
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

import degen
from launch.settings import parse_seeds
from launch.training_record import cpu_seconds
from tests.conftest import ROOT, TINY, assert_same_networks, build, run_folder


def stamps(folder: Path) -> dict[str, int]:
    """Return the time of the last write to each file in a folder."""
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")}


def test_the_command_trains_once_and_prints_plain_lines(tmp_path, launch):
    command = [sys.executable, "-m", "launch.train", *TINY, "seeds=2"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    first = ended.stdout
    folder = run_folder(tmp_path)
    run_path = folder.relative_to(tmp_path)
    assert first.startswith(f"{run_path}: training 2 networks\n")
    assert first.endswith("s  2 unconverged\n")
    assert not {"\r", "\033"} & set(first)
    before = stamps(folder)
    again = launch(*TINY, "seeds=2")
    assert (again.stdout, again.stderr) == (f"{run_path}: all 2 networks are finished\n", "")
    assert stamps(folder) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs"]


def test_a_terminal_gets_a_progress_bar(tmp_path):
    terminal, inside = pty.openpty()
    termios.tcsetwinsize(inside, (24, 80))
    command = [sys.executable, "-m", "launch.train", *TINY, "seeds=2"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=inside)
    os.close(inside)
    shown = ""
    with contextlib.suppress(OSError):  # the end of a terminal that nobody writes to any more
        while True:
            shown += os.read(terminal, 1024).decode()
    os.close(terminal)
    assert ended.returncode == 0
    assert ended.stdout.decode().endswith(": training 2 networks\n")
    assert "2/2" in shown
    assert "\r" in shown


def test_only_missing_seeds_are_trained(tmp_path, launch):
    launch(*TINY, "seeds=[1,4]")
    folder = run_folder(tmp_path)
    before = stamps(folder)
    assert "training 3 networks" in launch(*TINY, "seeds=5").stdout
    assert degen.load(folder).seeds == [0, 1, 2, 3, 4]
    assert before.items() <= stamps(folder).items()
    assert [session["seeds"] for session in degen.load(folder).sessions] == [[1, 4], [0, 2, 3]]
    assert "all 2 networks are finished" in launch(*TINY, "seeds=[2,4]").stdout


def test_networks_do_not_depend_on_the_number_of_sessions(tmp_path, launch, tiny_run):
    launch(*TINY, "seeds=[2]")
    launch(*TINY, "seeds=3")
    folder = run_folder(tmp_path)
    assert_same_networks(folder, tiny_run)


def test_cpu_seconds_include_forked_processes():
    def compute() -> None:
        started = time.process_time()
        while time.process_time() - started < 0.3:
            pass

    before = cpu_seconds()
    process = multiprocessing.get_context("fork").Process(target=compute)
    process.start()
    process.join()
    assert 0.25 < cpu_seconds() - before < 2


def test_seeds_are_a_number_or_a_list():
    assert parse_seeds(3) == [0, 1, 2]
    assert parse_seeds([4, 0]) == [4, 0]


def test_a_sweep_trains_every_value_once(tmp_path, launch):
    sweep = ("-m", *TINY, "gamma=0.5,2", "task.channels=1,2", "seeds=1")
    assert launch(*sweep).stdout.count("training 1 networks") == 4
    trained = {path.name for path in tmp_path.glob("runs/flip_flop/*")}
    expected = {
        build(*TINY, f"gamma={gamma}", f"task.channels={channels}").name
        for gamma in (0.5, 2)
        for channels in (1, 2)
    }
    assert trained == expected
    assert launch(*sweep).stdout.count("all 1 networks are finished") == 4
    assert "all 1 networks are finished" in launch(*TINY, "gamma=2", "task.channels=1", "seeds=1").stdout


def test_an_experiment_trains_all_conditions_with_overrides(tmp_path, launch):
    printed = launch("experiment=demo", *TINY, "seeds=1").stdout
    names = [build(*TINY, f"task.channels={channels}").name for channels in (1, 2, 3)]
    assert [line.split("/")[-1] for line in printed.splitlines() if "training" in line] == [
        f"{name}: training 1 networks" for name in names
    ]
    assert "[3/3] runs/flip_flop/" in printed
    assert sorted(path.name for path in tmp_path.glob("runs/flip_flop/*")) == sorted(names)


def test_a_condition_of_two_experiments_is_trained_once(launch):
    launch(*TINY, "task.channels=2", "seeds=1")
    printed = launch("experiment=demo", *TINY, "seeds=1").stdout
    assert printed.count("training 1 networks") == 2
    assert printed.count("all 1 networks are finished") == 1


@pytest.mark.parametrize("runs", ["elsewhere", "deep/er/elsewhere"])
def test_run_folders_are_written_to_runs(tmp_path, launch, runs):
    launch(*TINY, "seeds=1", f"runs={tmp_path / runs}")
    assert [path.name for path in (tmp_path / runs / "flip_flop").iterdir()] == [build(*TINY).name]


def test_networks_do_not_depend_on_checkpoints(tmp_path, launch, tiny_run):
    launch(*TINY, "seeds=3", "checkpoint_seconds=0")
    folder = run_folder(tmp_path)
    assert not (folder / "checkpoint.safetensors").exists()
    assert_same_networks(folder, tiny_run)


def test_a_moved_run_folder_loads_with_the_library_only(tmp_path, tiny_run):
    moved = shutil.copytree(tiny_run, tmp_path / "elsewhere" / tiny_run.name)
    shutil.copytree(ROOT / "degen", tmp_path / "library" / "degen")
    program = "import sys, degen; run = degen.load(sys.argv[1]); print(run.seeds, type(run.task).__name__, "
    program += "len(run.history), *run.weights['recurrent'].shape, degen.__file__, 'hydra' in sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", program, str(moved)],
        cwd=tmp_path / "elsewhere",
        env=os.environ | {"PYTHONPATH": str(tmp_path / "library")},
        capture_output=True,
        text=True,
    )
    library = tmp_path / "library" / "degen" / "__init__.py"
    assert ended.stdout == f"[0, 1, 2] FlipFlop 12 3 8 8 {library} False\n", ended.stderr
