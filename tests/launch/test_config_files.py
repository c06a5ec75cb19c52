"""Configuration files are parsed once, and again after they change."""

from __future__ import annotations

import pytest
from hydra._internal.core_plugins.file_config_source import FileConfigSource

from launch.config import compose

FILE = "# @package _global_\ntask:\n  n_steps: {}\n"


@pytest.fixture
def overrides(tmp_path):
    (tmp_path / "scale").mkdir()
    (tmp_path / "scale" / "own.yaml").write_text(FILE.format(20) + "scale: {seeds: 2, name: own, width: 8}\n")
    return [f"hydra.searchpath=[number://,'file://{tmp_path}']", "scale=own"]


def test_a_file_is_parsed_once(overrides, monkeypatch):
    first = compose("train", overrides)
    monkeypatch.setattr(FileConfigSource, "load_config", None)
    assert compose("train", overrides) == first
    assert compose("train", [*overrides, "seeds=3"]) == first | {"seeds": 3}


def test_a_changed_file_is_parsed_again(overrides, tmp_path):
    assert compose("train", overrides)["task"]["n_steps"] == 20
    file = tmp_path / "scale" / "own.yaml"
    file.write_text(file.read_text().replace("20", "30"))
    assert compose("train", overrides)["task"]["n_steps"] == 30
