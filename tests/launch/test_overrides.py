"""Overrides of the command line: numbers as names of options, sweeps, and paths."""

from __future__ import annotations

import pytest

from degen.errors import BadInputError
from launch.config import expand_sweep, quote_numbers
from launch.settings import require_folder


@pytest.mark.parametrize(
    ("override", "quoted"),
    [
        ("width=100", "width='100'"),
        ("gamma=-2", "gamma='-2'"),
        ("gamma=0.5,1", "gamma='0.5','1'"),
        ("gamma=0.5, 1", "gamma='0.5','1'"),
        ("gamma=choice(0.5,1)", "gamma='0.5','1'"),
        ("width=range(8,25,8)", "width='8','16','24'"),
        ("gamma=range(0.5,2,0.5)", "gamma='0.5','1.0','1.5'"),
        ("width=null", "width='null'"),
        ("gamma='1'", "gamma='1'"),
        ("width=128,wide", "width=128,wide"),
        ("task=flip_flop,sine_wave", "task=flip_flop,sine_wave"),
        ("task=glob(*)", "task=glob(*)"),
        ("training.max_epochs=3", "training.max_epochs=3"),
    ],
)
def test_numbers_of_groups_are_quoted(override, quoted):
    assert quote_numbers([override]) == [quoted]


def test_a_range_of_widths_is_a_sweep():
    expected = [["width='8'", "gamma='1'"], ["width='16'", "gamma='1'"]]
    assert expand_sweep(["width=range(8,17,8)", "gamma=1"]) == expected


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("~/runs", r"^runs must be a path without ~ .*, got '~/runs'\.$"),
        ("", r"^runs must be the path of a folder, got ''\.$"),
        (None, r"^runs must be the path of a folder, got None\.$"),
        ("file", r"^runs must be the path of a folder \(file is a file\), got 'file'\.$"),
        ("file/below", r"^runs must be the path of a folder \(.*file is a file\), got 'file/below'\.$"),
    ],
)
def test_a_path_that_cannot_be_a_folder_is_rejected(tmp_path, monkeypatch, value, sentence):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInputError, match=sentence):
        require_folder("runs", value)


def test_a_folder_that_exists_or_can_be_made_is_allowed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for value in (".", "new", "new/below", str(tmp_path / "new")):
        require_folder("runs", value)


def test_a_sweep_over_a_file_and_a_folder_with_an_apostrophe(start, tmp_path):
    (tmp_path / "file").write_text("")
    launched = start("-m", "gamma=1,2", "runs=file")
    assert launched.wait() == 2
    assert launched.stderr.startswith("error: runs must be the path of a folder")
    (tmp_path / "o'brien").mkdir()
    status = start("--config-dir", "o'brien", "width=8", module="launch.status")
    assert status.wait() == 0, status.stderr
