"""What a terminal or an inherited environment may not support."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest

from launch.cli import exit_on_user_error


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_characters_that_a_terminal_lacks_are_escaped(monkeypatch, encoding):
    text = "Gr\u00f6\u00dfe \u7f51 \udcff"  # the last is a byte of a file name that is not UTF-8
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    with exit_on_user_error():
        print(text)
    sys.stdout.flush()
    assert sys.stdout.buffer.getvalue() == f"{text}\n".encode(encoding, errors="backslashreplace")


def test_an_unknown_backend_of_matplotlib_does_not_matter(tmp_path):
    environment = os.environ | {"MPLBACKEND": "junk"}
    command = [sys.executable, "-m", "launch.command", "analyze", "experiment=demo"]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: experiment must be one with finished networks below runs")
