"""The wheel: installed outside of the checkout, it holds everything that its commands need."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from launch.paths import PROJECT_ROOT

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the installed wheel; its dependencies are those of this environment."""
    workspace = tmp_path_factory.mktemp("wheel")
    # From a copy: setuptools would build in the checkout, where files of earlier builds remain.
    source = workspace / "source"
    source.mkdir()
    for name in ("degen", "launch", "analysis", "conf"):
        shutil.copytree(PROJECT_ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(PROJECT_ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-index"]
    build = [*pip, "wheel", *offline, "--no-build-isolation", "--wheel-dir", str(workspace), str(source)]
    subprocess.run(build, check=True)
    (wheel,) = workspace.glob("degen_rnn-*.whl")
    subprocess.run([*pip, "install", *offline, "--target", str(workspace / "site"), str(wheel)], check=True)
    return workspace / "site"


@pytest.fixture
def environment(installed: Path, tmp_path: Path) -> dict[str, str]:
    """The environment of a process that imports the wheel; its folder holds files named like ours."""
    for name in ("analysis.py", "launch.py"):
        (tmp_path / name).write_text("raise SystemExit('the user's own module was imported')\n")
    (tmp_path / "conf").mkdir()
    return {**os.environ, "PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1"}


@pytest.fixture
def degen(environment: dict[str, str], tmp_path: Path) -> Run:
    """Run the command `degen` of the wheel."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "launch.command", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

    return run


def test_the_installed_command_trains_and_analyzes(degen, installed, tmp_path):
    (tmp_path / "my_conf" / "task").mkdir(parents=True)
    (tmp_path / "my_tasks.py").write_text(
        "import launch.paths\nfrom degen.tasks import FlipFlop\n"
        f"assert str(launch.paths.CONF) == {str(installed / 'launch' / 'conf')!r}\n"
        "class MyTask(FlipFlop):\n    pass\n"
    )
    (tmp_path / "my_conf" / "task" / "mine.yaml").write_text(
        "# @package _global_\ndefaults: [flip_flop, _self_]\ntask: {_target_: my_tasks.MyTask, n_steps: 20}\n"
    )
    tiny = ("width=8", "training.batch_size=8", "training.steps_per_epoch=2", "training.max_epochs=1")
    trained = degen("train", "--config-dir", "my_conf", "task=mine", *tiny, "seeds=2")
    assert trained.returncode == 0, trained.stderr
    assert len(list(tmp_path.glob("runs/my_task/*/networks/*"))) == 2
    analyzed = degen("analyze", "experiment=demo")
    assert analyzed.returncode == 2
    assert analyzed.stderr.startswith("error: experiment must be one with finished networks below runs")


def test_the_wheel_contains_the_templates_of_the_report(installed):
    sources = [path for name in ("degen", "analysis") for path in (PROJECT_ROOT / name).rglob("*.j2")]
    assert len(sources) == 4
    assert all((installed / path.relative_to(PROJECT_ROOT)).is_file() for path in sources)


HELPS = """
import contextlib, io, json, sys
from launch.command import main
shown = {}
for command in ("train", "submit", "status", "cancel", "analyze", "compare", "report"):
    sys.argv = ["degen", command, "--help"]
    output = io.StringIO()
    try:
        with contextlib.redirect_stdout(output):
            main()
    except SystemExit as end:
        shown[command] = end.code or 0, output.getvalue()
json.dump(shown, sys.stdout)
"""
"""One process for all commands, so that everything is imported once."""


def test_every_command_has_help(environment, tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", HELPS], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    shown = json.loads(ended.stdout)
    assert list(shown) == ["train", "submit", "status", "cancel", "analyze", "compare", "report"]
    for command, (code, text) in shown.items():
        assert code == 0
        assert f"degen {command}" in text
        assert "python -m" not in text


def test_an_unknown_command_is_rejected(degen):
    ended = degen("learn")
    assert ended.returncode == 2
    assert (
        ended.stderr
        == "error: degen must be given one of train, submit, status, cancel, analyze, compare, report, "
        "completion, got 'learn'.\n"
    )
    assert degen().returncode == 2
    assert degen("--help").returncode == 0
