"""The first experiment of docs/getting_started.md, with smaller networks, runs as written."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pandas as pd

from tests.conftest import Launched
from tests.test_factor_page import ANALYSIS, TRAINING

PAGE = (Path(__file__).parent.parent / "docs/getting_started.md").read_text()
FILES = re.findall(r"Write\s+`(.*?)`.*?```yaml\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = re.findall(r"^degen (?:train|status|analyze) --config-dir .*$", PAGE, re.MULTILINE)


def test_the_first_experiment_runs_as_written(tmp_path):
    for name, content in FILES:
        (tmp_path / name).parent.mkdir(parents=True)
        # The file gives the width, which an override would not change.
        (tmp_path / name).write_text(content.replace("width=32", "width=8"))
    training = [text for text in TRAINING if not text.startswith("width=")]
    assert len(COMMANDS) == 3
    for command in COMMANDS:
        words = shlex.split(command)[1:]
        if words[0] == "analyze":
            words += [f"overrides=[{','.join(repr(text) for text in training)}]", *ANALYSIS]
        else:
            words += training
        launched = Launched(tuple(words), tmp_path, module="launch.command")
        assert launched.wait() == 0, launched.stderr
    trends = pd.read_csv(tmp_path / "results/richness/trends.csv")
    assert {"dynamics", "weights", "behavior"} <= set(trends["level"])
