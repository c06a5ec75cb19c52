"""Overrides of the command line: numbers as names of options, sweeps, and paths."""

from __future__ import annotations

import hydra
import pytest
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from degen.errors import BadInputError
from launch.config import CONF, compose_all, expand_sweep, quote_numbers, resolved
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


LINES = [
    ["task=flip_flop", "task.channels=2", "width=16"],
    ["task=flip_flop", "task.channels=3", "width=16"],
    ["task=flip_flop", "width=16"],
    ["task=flip_flop", "width=24", "gamma=1"],
    ["task=flip_flop", "width=24", "width=64", "gamma=0.5"],
    ["task=sine_wave", "gamma=1"],
    ["task.channels=3", "task=delayed_discrimination", "task.max_delay=30", "task.channels=1"],
    ["experiment=demo", "scale=reduced", "task.n_steps=${seeds}", "seeds=[3,4]", "runs=a.b"],
    ["task.channels=1", "task.channels=2", "task.channels=1"],
    ["submit={conditions_per_job: 2, seeds_per_job: 3}", "submit.conditions_per_job=4"],
    ["submit.conditions_per_job=4", "submit={conditions_per_job: 2, seeds_per_job: 3}"],
    ["submit.conditions_per_job=4", "submit=null"],
    ["task.channels=2", "++task.channels=3"],
    ["task.channels=2", "~task.channels"],
    ["++training.max_epochs=3", "hydra.job.name=x", "gamma=0.5"],
    ["regularizer=l1", "regularizer.strength=1e-5", "training.optimizer={learning_rate: 0.1}"],
]
"""Overrides that share a composition, and overrides whose order matters."""


def test_configurations_composed_together_equal_those_of_hydra():
    with hydra.initialize_config_dir(CONF, version_base="1.3"):
        expected = [resolved(hydra.compose("train", quote_numbers(line))) for line in LINES]
        assert compose_all("train", LINES) == expected


def test_a_width_in_an_experiment_file_wins_as_in_hydra(tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "own.yaml").write_text("# @package _global_\nwidth: 24\n")
    search_path = f"hydra.searchpath=[number://,'file://{tmp_path}']"
    lines = [[search_path, "experiment=own", f"width={width}", "gamma=0.5"] for width in (8, 16)]
    with hydra.initialize_config_dir(CONF, version_base="1.3"):
        expected = [resolved(hydra.compose("train", quote_numbers(line))) for line in lines]
        assert compose_all("train", lines) == expected
    assert [config["parameterization"]["width"] for config in expected] == [24, 24]


def test_an_error_names_the_number_that_was_given():
    with hydra.initialize_config_dir(CONF, version_base="1.3"):
        with pytest.raises(HydraException) as expected:
            hydra.compose("analyze", ["experiment=demo", "width='24'"])
        with pytest.raises(HydraException) as raised:
            compose_all("analyze", [["experiment=demo", "width=24"]])
    assert str(raised.value).endswith("+width=24")
    assert str(raised.value) == str(expected.value)


@pytest.mark.parametrize(
    "override",
    [
        "task.chanels=2",
        "task.channels.low=2",
        "task.channels={",
        "task.channels=1,2",
        "submit.conditions_per_job=${nothing}",
        "width=wide",
        "width=-",
    ],
)
def test_a_wrong_override_has_the_error_of_hydra(override):
    with hydra.initialize_config_dir(CONF, version_base="1.3"):
        with pytest.raises((HydraException, OmegaConfBaseException)) as expected:
            resolved(hydra.compose("train", [override]))
        with pytest.raises(type(expected.value)) as raised:
            compose_all("train", [[], [override]])
    assert str(raised.value) == str(expected.value)
