"""The user's modules: which files a condition depends on, and names that shadow degen's."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from degen.errors import BadInputError
from degen.versions import NUMERICS
from launch.cli import require_config_dir
from launch.user_code import source_files
from tests.conftest import TINY
from tests.in_process import run_in_process

FILES = {
    "lab/__init__.py": "",
    "lab/echo.py": "import torch\nfrom degen import Stream\nfrom . import shapes\nfrom .deep import noise\n",
    "lab/shapes.py": "def late():\n    import helpers.units as units\n",
    "lab/deep/__init__.py": "",
    "lab/deep/noise.py": "from ..shapes import late\nfrom constants import *\n",
    "lab/unused.py": "",
    "helpers/units.py": "import lab.echo\n",
    "constants.py": "SCALE = 1\n",
    "degen/__init__.py": "",
}
USED = ["constants", "helpers.units", "lab", "lab.deep", "lab.deep.noise", "lab.echo", "lab.shapes"]


def write(folder: Path) -> None:
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def imported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    write(folder)
    monkeypatch.setattr("sys.path", [*sys.path, str(folder)])  # at the end, so that degen is ours
    monkeypatch.setattr("sys.modules", dict(sys.modules))
    importlib.import_module("lab.echo")
    return source_files(["lab.echo"])


def test_imported_modules_of_the_user_are_found(tmp_path, monkeypatch):
    files = imported(tmp_path, monkeypatch)
    assert list(files) == USED
    assert all(file.is_relative_to(tmp_path) for file in files.values())


def test_of_an_installed_module_only_its_package_counts(tmp_path, monkeypatch):
    files = imported(tmp_path / "site-packages", monkeypatch)
    assert list(files) == [name for name in USED if name.startswith("lab")]


def test_modules_of_degen_are_not_the_users():
    import degen.tasks.flip_flop

    assert source_files([degen.tasks.flip_flop.__name__]) == {}


@pytest.mark.parametrize("name", ["degen.py", "analysis/notes.txt"])
def test_a_file_that_hides_a_package_is_rejected(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("")
    command = [sys.executable, "-m", "launch.train", "task=flip_flop"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    hidden = tmp_path / Path(name).parts[0]
    assert (
        f"{hidden} has a name that only degen may have: rename it, or run the command degen" in ended.stderr
    )


def test_submitting_warns_of_networks_of_other_code(tiny_run, tmp_path):
    folder = shutil.copytree(tiny_run, tmp_path / "runs" / "flip_flop" / tiny_run.name)
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace(f'"numerics": {NUMERICS}', '"numerics": 1'))
    ended = run_in_process(
        tmp_path, "launch.submit", *TINY, "seeds=3", "hydra/launcher=slurm_cpu", "--dry-run"
    )
    run_path = folder.relative_to(tmp_path)
    changed = f"degen's numerics (version 1 then, {NUMERICS} now) changed since networks here were trained"
    assert f"warning: {run_path}: {changed}; they may not be comparable\n" in ended.stderr


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        (
            "task/mine.yml",
            "",
            r"task/mine.yml in --config-dir must be a file whose name ends in .yaml, got '",
        ),
        (
            "metric/mine.yaml",
            "# @package metrics.dsa\n",
            r"metric/mine.yaml .* @package metrics.mine, got 'metrics.dsa'",
        ),
        (
            "task/flip_flop.yaml",
            "",
            r"task/flip_flop.yaml in --config-dir must be a name that degen does not use",
        ),
        (
            "width/100.yaml",
            "",
            r"width/100.yaml in --config-dir must be a name that is not a number",
        ),
    ],
)
def test_a_configuration_that_hydra_would_not_find_is_rejected(tmp_path, file, content, sentence):
    (tmp_path / file).parent.mkdir()
    (tmp_path / file).write_text(content)
    with pytest.raises(BadInputError, match=f"^{sentence}"):
        require_config_dir(str(tmp_path))
