"""Experiment files and folders of configurations that a user writes."""

from __future__ import annotations

import re

import hydra
import pytest

from degen.errors import BadInputError
from launch.cli import require_config_dir
from launch.config import CONF
from launch.experiment import experiments
from tests.in_process import rejection, run_in_process

PACKAGE = "# @package _global_\n"
GRIDS = '  grids: [[task=flip_flop, "gamma=0.5,1", width=8]]\n'


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            f"{PACKAGE}experiment:\n  factor: gamma\n  label: g\n  grids: [[task=flip_flop, gamma=0.5,1]]\n",
            r"experiment.grids of experiment/mine.yaml must be a list of lists of overrides, with several",
        ),
        (
            f"{PACKAGE}experiment:\n  factor: gamma\n  label: g\n  grids: [task=flip_flop, width=8]\n",
            r"experiment.grids of experiment/mine.yaml must be a list of lists of overrides",
        ),
        (
            f"{PACKAGE}experiment:\n  factor: gamma\n  label: g\n",
            r"experiment.grids of experiment/mine.yaml must be .*, got None\.$",
        ),
        (
            f"experiment:\n  factor: gamma\n  label: g\n{GRIDS}",
            r"experiment/mine.yaml must be a file that begins with the line # @package _global_",
        ),
        (
            f"{PACKAGE}experiment:\n  label: g\n{GRIDS}",
            r"experiment.factor of experiment/mine.yaml must be .* swept value, a text, got None\.$",
        ),
        (
            f"{PACKAGE}experiment:\n  factor: gamma\n{GRIDS}",
            r"experiment.label of experiment/mine.yaml must be the name of the axis, a text, got None\.$",
        ),
        (
            f"{PACKAGE}experiment:\n  factor: width\n  label: w\n{GRIDS}",
            r"experiment.factor of .* must be a field that .* differ in \(all 2 have 8\), got 'width'\.$",
        ),
        (
            f"{PACKAGE}experiment:\n  factor: gamma\n  label: g\n  grid: []\n",
            r"experiment of experiment/mine.yaml must be made of the keys factor, label, .*, got 'grid'\.$",
        ),
        (
            f"{PACKAGE}experiment:\n  factor: gamma\n  label: g\n{GRIDS}scale: reduced\n",
            r"scale is a group of options, and an experiment file sets it to 'reduced'\. Write 'override ",
        ),
        (
            f"{PACKAGE}experiment:\n  factor: gamma\n  label: g\n{GRIDS}sedes: 3\n",
            r"field of experiment/mine.yaml must be one of .*seeds.*, got 'sedes'\.$",
        ),
    ],
)
def test_a_faulty_experiment_file_is_rejected_in_one_sentence(tmp_path, content, sentence):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(content)
    search_path = f"hydra.searchpath=[number://,'file://{tmp_path}']"
    with (
        hydra.initialize_config_dir(CONF, version_base="1.3"),
        pytest.raises(BadInputError, match=f"^{sentence}"),
    ):
        experiments("mine", [search_path])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            "experiment:\n\tfactor: gamma\n",
            r".*/experiment/mine.yaml must be indented with spaces, got a tab in line 3\.$",
        ),
        (
            "experiment: {factor: gamma, label: g, grids: [[gamma 1]]}\n",
            r"an override must be name=value, .*, got 'gamma 1'\.$",
        ),
        (
            f"experiment:\n  factor: gamma\n  label: g\n{GRIDS.replace('width', 'widht')}",
            r"widht must be one of .* \(no such field\), got 8\.$",
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_rejected_in_one_sentence(tmp_path, content, sentence):
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    (tmp_path / "conf" / "experiment" / "mine.yaml").write_text(PACKAGE + content)
    result = rejection(tmp_path, "launch.train", "--config-dir", "conf", "experiment=mine")
    assert re.match(sentence, result)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"# Gr\xf6\xdfe\n", "must be text in UTF-8, got other bytes ('utf-8' codec can't decode byte 0xf6"),
        (
            b"\xef\xbb\xbf# text\n",
            "must be text in UTF-8 without a byte order mark, which hides its first line",
        ),
        (None, "must be a file that can be read, got a link to a missing file."),
    ],
)
def test_a_configuration_that_is_no_text_is_rejected(tmp_path, content, sentence):
    file = tmp_path / "experiment" / "mine.yaml"
    file.parent.mkdir()
    if content is None:
        file.symlink_to("gone")
    else:
        file.write_bytes(content)
    with pytest.raises(
        BadInputError, match="^" + re.escape(f"experiment/mine.yaml in --config-dir {sentence}")
    ):
        require_config_dir(str(tmp_path))


@pytest.mark.parametrize("override", ["overrides=[seeds=8]", "overrides", "gamma=["])
def test_an_unreadable_override_is_rejected_with_an_example(tmp_path, override):
    result = rejection(tmp_path, "analysis.__main__", "experiment=demo", override)
    assert result.startswith("an override must be name=value, with text that holds = or spaces in quotes")
    assert result.endswith(f", such as 'overrides=[\"seeds=8\"]', got {override!r}.")


def test_a_home_folder_in_an_override_is_rejected_with_advice(tmp_path):
    result = rejection(tmp_path, "launch.train", "task=flip_flop", "runs=~/my runs")
    assert result.startswith(
        'an override must be name=value, with $HOME in place of ~, such as runs="$HOME/runs"'
    )


@pytest.mark.parametrize("arguments", [[], ["--config-dir", "."]])
def test_an_unknown_experiment_names_the_folder_option(tmp_path, arguments):
    result = rejection(tmp_path, "launch.train", *arguments, "experiment=mine")
    assert ("or in FOLDER/experiment/ of --config-dir FOLDER" in result) == (arguments == [])
    assert result.endswith(", got 'mine'.")


def test_a_file_named_like_one_of_degen_is_rejected(tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text("")
    require_config_dir(str(tmp_path))
    (tmp_path / "experiment" / "demo.yaml").write_text("")
    with pytest.raises(
        BadInputError, match=r"^experiment/demo.yaml in --config-dir must be a name that degen does not use"
    ):
        require_config_dir(str(tmp_path))
    with pytest.raises(BadInputError, match=r"^--config-dir must be a folder, got '.*nowhere'\.$"):
        require_config_dir(str(tmp_path / "nowhere"))


def test_a_folder_of_configurations_may_contain_other_files(tmp_path):
    (tmp_path / "compose.yml").write_bytes(b"\xf6")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "notes.yml").write_bytes(b"\xf6")
    require_config_dir(str(tmp_path))


@pytest.mark.parametrize(
    ("module", "command"),
    [
        ("launch.train", "degen train"),
        ("analysis.__main__", "degen analyze"),
        ("analysis.paper", "degen report"),
        ("analysis.diagnostics.convergence", "python -m analysis.diagnostics.convergence"),
    ],
)
def test_help_shows_examples(module, command, tmp_path):
    ended = run_in_process(tmp_path, module, "--help")
    assert (ended.code, ended.stderr) == (0, "")
    assert f"\n    {command} " in ended.stdout


@pytest.mark.parametrize("module", ["launch.train", "analysis.__main__"])
def test_a_command_without_arguments_prints_its_help(module, tmp_path):
    ended = run_in_process(tmp_path, module)
    assert (ended.code, ended.stderr) == (2, "")
    assert "Examples:" in ended.stdout
    assert list(tmp_path.iterdir()) == []
