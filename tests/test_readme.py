"""The commands and code of the README run as written."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import degen

README = (Path(__file__).parent.parent / "README.md").read_text()


def block(language: str, holding: str) -> str:
    """The fenced block of that language that holds that text."""
    found = [text for text in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL) if holding in text]
    assert len(found) == 1
    return found[0]


def test_a_users_task_trains_without_changing_this_repository(tmp_path):
    (tmp_path / "my_conf/task").mkdir(parents=True)
    (tmp_path / "my_tasks.py").write_text(block("python", "class EvidenceAccumulation"))
    (tmp_path / "my_conf/task/evidence_accumulation.yaml").write_text(block("yaml", "my_tasks."))
    command = re.search(r"python -m (launch\.train --config-dir .*)\n", README)
    assert command is not None
    arguments = [word for word in command[1].split() if not word.startswith("seeds=")]
    subprocess.run(
        [sys.executable, "-m", *arguments, "seeds=2", "training.max_epochs=25"], cwd=tmp_path, check=True
    )
    sys.path.insert(0, str(tmp_path))
    try:
        (folder,) = (tmp_path / "runs/evidence_accumulation").iterdir()
        run = degen.load(folder)
    finally:
        sys.path.remove(str(tmp_path))
    assert run.converged.seeds == [0, 1]
    # As the README reads a run folder.
    names = {"run": run, "degen": degen}
    exec(block("python", "degen.load(").partition("degen.load(")[2].partition("\n")[2], names)
    assert names["hidden"].shape == (1, 64, 50, 32)


def test_the_commands_name_existing_files():
    for path in re.findall(r"\]\(((?:docs|conf)/[^)]+)\)", README):
        assert (Path(__file__).parent.parent / path).exists(), path
