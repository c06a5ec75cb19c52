"""The examples of docs/compare.md run as written."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.conftest import Launched

PAGE = (Path(__file__).parents[2] / "docs" / "compare.md").read_text()
SECTIONS = {section.partition("\n")[0]: section for section in PAGE.split("\n## ")[1:]}
EXAMPLES = [title for title in SECTIONS if title.startswith("Example: ")]


def block(title: str, language: str) -> str:
    """The only block of a language in a section."""
    (text,) = re.findall(rf"```{language}\n(.*?)```", SECTIONS[title], re.DOTALL)
    return text


def run_example(title: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Run the Python block of a section in a folder, and return its names."""
    monkeypatch.chdir(folder)
    names: dict[str, object] = {"__name__": "__main__"}
    exec(compile(block(title, "python"), title, "exec"), names)
    return names


def test_the_page_has_the_examples():
    assert len(EXAMPLES) == 3


def test_networks_of_a_plain_pytorch_loop(tmp_path, monkeypatch, capsys):
    names = run_example(EXAMPLES[0], tmp_path, monkeypatch)
    result = names["result"]
    assert list(result.measures) == ["dsa", "svcca", "pif", "losses"]
    assert max(max(losses) for losses in names["losses"].values()) < 0.2  # the networks solve the task
    assert "Differences between groups" in capsys.readouterr().out
    assert "data:image/png" in Path("out.html").read_text()

    command = shlex.split(block(EXAMPLES[0], "sh"))
    assert command[0] == "degen"
    ended = Launched(tuple(command[1:]), tmp_path, module="launch.command")
    assert ended.wait() == 0, ended.stderr
    assert "10 steps: 5 networks" in ended.stdout
    # The files give the distances of the loop.
    from_loop, from_files = (
        [line.split() for line in text.splitlines() if re.match(r"\s*DSA\s+10 steps, 30 steps", line)]
        for text in (str(result), ended.stdout)
    )
    assert from_loop == from_files != []
    assert Path("report.html").exists()


def test_networks_of_different_sizes(tmp_path, monkeypatch):
    result = run_example(EXAMPLES[1], tmp_path, monkeypatch)["result"]
    assert result.n_networks == {"GRU": 3}
    assert list(result.measures) == ["dsa", "input_dsa", "svcca"]
    assert Path("gru.png").exists()


def test_networks_and_recordings(tmp_path, monkeypatch):
    result = run_example(EXAMPLES[2], tmp_path, monkeypatch)["result"]
    assert list(result.measures) == ["dsa"]
    assert "svcca" in result.skipped
    # Recordings and model rotate at different speeds.
    assert result.differences()["p"].item() < 0.01
