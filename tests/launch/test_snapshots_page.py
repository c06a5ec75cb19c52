"""The example of docs/snapshots.md runs as written."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "snapshots.md").read_text()


def block(language: str) -> str:
    """The only block of a language."""
    (text,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return text


def test_the_example_shows_when_seeds_part(tmp_path, launch, monkeypatch):
    command = shlex.split(block("sh").replace("\\\n", " "))
    assert command[:2] == ["degen", "train"]
    assert "6 converged" in launch(*command[2:]).stdout
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}
    exec(compile(block("python"), "docs/snapshots.md", "exec"), names)
    between, own_end, ends = names["between"], names["own_end"], names["between_ends"]
    assert list(between) == list(own_end) == [0, 1, 2, 5, 10]
    assert 2.4 < between[0].value < 2.6
    assert 3.0 < ends.value < 3.2
    values = [estimate.value for estimate in own_end.values()]
    assert values == sorted(values, reverse=True)
    # All networks are below the threshold at their end, but not all of them already at a snapshot.
    assert between[10].value < list(names["at_loss"].values())[-1].value <= ends.value
    assert Path("when-do-seeds-part.png").exists()
