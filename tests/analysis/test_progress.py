"""Progress of the stages of an analysis."""

from __future__ import annotations

import logging
import os
import pty
import subprocess
import sys
import termios
import time

import pytest
import torch

from analysis import progress
from analysis.progress import Stage, track
from degen.metrics.pairs import thread_map
from tests.conftest import ROOT

SLOW = """
import time
from analysis import progress
from launch.cli import configure_logging
configure_logging()
progress.DELAY_S, progress._LINE_INTERVAL_S, progress._BAR_INTERVAL_S = 0.05, 0.05, 0.05
for _ in progress.track("distances: dsa", range(3)):
    time.sleep(0.2)
"""


@pytest.fixture
def stage():
    """A stage of four items with a clock that tests set."""
    stage = Stage("stage", 4, "conditions")
    yield stage
    stage.close()


def test_the_time_left_follows_from_finished_items_and_batches(stage):
    stage.started_at = stage.item_started_at = stage.call_started_at = 0.0
    assert stage.seconds_left(3.0) is None
    # A quarter of the first item took 3 s: 9 s of it are left, and 12 s for each of three further items.
    stage.fraction = 0.25
    assert stage.seconds_left(3.0) == pytest.approx(9 + 3 * 12)
    # Two items took 20 s. The third has run for 4 s.
    stage.n_done, stage.fraction, stage.item_started_at = 2, 0.0, 20.0
    assert stage.seconds_left(24.0) == pytest.approx(6 + 10)
    assert stage.describe(24.0) == "2 of 4 conditions, 24 s, about 00:16 left"
    # The current item takes longer than the others: half of its batches took 30 s.
    stage.fraction, stage.call_started_at = 0.5, 20.0
    assert stage.seconds_left(50.0) == pytest.approx(30 + 10)


def test_batches_of_a_computation_are_observed():
    tracked = track("stage", [0])
    next(tracked)
    stage = Stage._current
    assert stage is not None
    seen = thread_map(lambda i: stage.fraction, range(4), torch.device("cpu"))
    assert seen == [0.0, 0.25, 0.5, 0.75]
    assert stage.fraction == 1.0
    tracked.close()


def test_a_short_stage_shows_nothing(caplog):
    caplog.set_level(logging.INFO)
    assert list(track("stage", [1, 2])) == [1, 2]
    assert caplog.records == []


def test_a_stage_that_an_error_left_open_ends_with_the_next(monkeypatch, caplog):
    monkeypatch.setattr(progress, "DELAY_S", 0.02)
    monkeypatch.setattr(progress, "_LINE_INTERVAL_S", 0.02)
    caplog.set_level(logging.INFO)
    left_open = track("first", [1, 2])
    next(left_open)
    for _ in track("second", [1]):
        caplog.clear()
        time.sleep(0.2)
    assert {record.args[0] for record in caplog.records} == {"second"}
    caplog.clear()
    time.sleep(0.1)
    assert caplog.records == []


def test_plain_lines_are_printed_where_there_is_no_terminal():
    ended = subprocess.run([sys.executable, "-c", SLOW], cwd=ROOT, capture_output=True, text=True, check=True)
    lines = ended.stdout.splitlines()
    assert ended.stderr == ""
    assert "  distances: dsa: 0 of 3 conditions, 0 s" in lines
    assert "  distances: dsa: 2 of 3 conditions, 0 s, about 00:00 left" in lines


def test_a_bar_is_shown_on_a_terminal():
    terminal, end = pty.openpty()
    termios.tcsetwinsize(end, (24, 100))
    os.set_blocking(terminal, False)
    ended = subprocess.run(
        [sys.executable, "-c", SLOW], cwd=ROOT, stdout=subprocess.PIPE, stderr=end, check=True
    )
    shown = os.read(terminal, 100_000).decode()
    for descriptor in (terminal, end):
        os.close(descriptor)
    assert ended.stdout == b""
    assert "distances: dsa: |" in shown
    assert "2 of 3 conditions, 0 s, about 00:00 left" in shown
