"""Completion of `degen` by bash, run without a terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from launch.completion import SCRIPT, completions

COMMANDS = {"train", "submit", "status", "cancel", "analyze", "compare", "report", "completion"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("degen ", COMMANDS),
        ("degen ana", {"analyze"}),
        ("degen train task=fl", {"task=flip_flop"}),
        ("degen train task=flip_flop task.ch", {"task.channels="}),
        ("degen train width=100 parameterization=l", {"parameterization=low_rank", "parameterization=lstm"}),
        ("degen train training.optimizer.l", {"training.optimizer.learning_rate="}),
        ("degen submit hydra/launcher=slurm_g", {"hydra/launcher=slurm_gpu"}),
        ("degen status --watch experiment=dem", {"experiment=demo"}),
        ("degen analyze experiment=dem", {"experiment=demo"}),
        ("degen analyze experiment=demo weights_", {"weights_at="}),
        ("degen report experiment=app", {"experiment=appendix"}),
        ("degen train task=unknown see", set()),
        ("degen train --conf", set()),
        ("degen learn ta", set()),
    ],
)
def test_words_that_may_follow(line, words):
    assert set(completions(line)) == words


def test_a_folder_of_own_configurations_counts(tmp_path):
    (tmp_path / "task").mkdir()
    (tmp_path / "task" / "echo.yaml").write_text("# @package _global_\ntask: {n_steps: 3}\n")
    line = f"degen train --config-dir {tmp_path} task=e"
    assert completions(line) == ["task=echo"]


def complete(folder: Path, line: str) -> list[str]:
    """Return what bash offers for a line of words without quotes, split as bash does at spaces and `=`."""
    words = line.replace("=", " = ").split(" ")
    shell = f"""
        eval "$(degen completion)"
        COMP_LINE={line!r} COMP_POINT={len(line)} COMP_WORDS=({" ".join(map(repr, words))})
        COMP_CWORD={len(words) - 1}
        compopt() {{ :; }}  # bash allows it while it completes only
        _degen
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    command = folder / "degen"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m launch.command "$@"\n')
    command.chmod(0o755)
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}
    ended = subprocess.run(["bash", "-c", shell], env=environment, capture_output=True, text=True)
    assert ended.stderr == ""
    return ended.stdout.split()


def test_bash_completes_commands_groups_and_fields(tmp_path):
    assert complete(tmp_path, "degen sub") == ["submit"]
    # Bash replaces what stands behind "=" only.
    assert complete(tmp_path, "degen train parameterization=l") == ["low_rank", "lstm"]
    assert complete(tmp_path, "degen train task=flip_flop task.chan") == ["task.channels="]


def test_the_script_is_registered_for_the_command():
    shell = f"{SCRIPT}\ncomplete -p degen"
    ended = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True)
    assert ended.stdout == "complete -o default -F _degen degen\n"
