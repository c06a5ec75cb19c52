"""Hyperparameters selected once per task: which analyses select, reuse or repeat the selection."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pandas as pd
import pytest

from analysis.trends.measures import available_measures
from degen.files import read_entry, read_metadata, read_tensors
from degen.locks import exclusive_lock
from degen.storage import RunFolder
from launch.config import compose
from tests.analysis.conftest import LIST, SMALL, YAML, analyze_dsa, analyze_in, lines, store
from tests.analysis.drawing import draw_nothing
from tests.conftest import Launched


def selections(workspace: Path, results: str = "results") -> list[Path]:
    """Return the stored selections relative to `place`, the newest last."""
    stored = (workspace / results / "hyperparameters").glob("dsa-flip_flop-*.parquet")
    result = [path for path in stored if pd.read_parquet(path)["lag"].max() > 1]  # not of dsa_lag_1
    return [path.relative_to(workspace) for path in sorted(result, key=lambda path: path.stat().st_mtime_ns)]


def values(workspace: Path) -> dict[str, dict[str, float]]:
    """DSA by experiment and condition."""
    tables = {
        path.parent.name: pd.read_parquet(path) for path in workspace.glob("results/*/degeneracy.parquet")
    }
    dsa = {name: table[table["measure"] == "dsa"].set_index("condition") for name, table in tables.items()}
    return {name: table["value"].to_dict() for name, table in dsa.items()}


@pytest.fixture(scope="module")
def together(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of both experiments, analyzed together. Read only."""
    workspace = shutil.copytree(trained, tmp_path_factory.mktemp("together") / "place")
    (workspace / "printed").write_text("\n".join(analyze_dsa(workspace, "both")))
    return workspace


@pytest.fixture
def both(together: Path, tmp_path: Path) -> Path:
    """A copy of it to work in."""
    return shutil.copytree(together, tmp_path / "both")


@pytest.fixture(scope="module")
def with_dsa(analyzed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tiny experiment, analyzed with the single metric `dsa`. Read only."""
    workspace = shutil.copytree(analyzed, tmp_path_factory.mktemp("dsa") / "place")
    launched = analyze_in(workspace, "metric=[dsa]")
    (workspace / "printed").write_text(launched.stdout)
    (workspace / "errors").write_text(launched.stderr)
    return workspace


def test_experiments_analyzed_together_share_a_selection(together):
    printed = (together / "printed").read_text().splitlines()
    # Six of tiny's other condition, six that both have, six of ten units.
    (line,) = lines(printed, "hyperparameters: ")
    assert line.endswith(", on 18 networks")
    # The shared condition is measured once.
    new = [line.partition("conditions, ")[2] for line in lines(printed, "distances: ")]
    assert new[1] == "1 of them new"
    result = values(together)
    (shared,) = result["tiny"].keys() & result["wide"].keys()
    assert result["tiny"][shared] == result["wide"][shared]
    hyperparameters = [
        read_metadata(path)["hyperparameters"]
        for path in together.glob("results/*/matrices/dsa/*.safetensors")
    ]
    assert len(hyperparameters) == 4
    assert all(selected == hyperparameters[0] for selected in hyperparameters)
    curve = pd.read_parquet(together / selections(together)[-1])
    assert curve[curve["selected"]].iloc[0][list(hyperparameters[0])].to_dict() == hyperparameters[0]


def test_a_later_experiment_reuses_the_selection(two):
    (selection,) = selections(two)  # on the networks of tiny
    before = pd.read_parquet(two / selection)
    (line,) = lines(analyze_dsa(two, "wide"), "hyperparameters: ")
    assert line.endswith(f"on 12 networks (without 6 of these: delete {selection} to select again)")
    pd.testing.assert_frame_equal(pd.read_parquet(two / selection), before)
    # An analysis that contains all networks used before, and more, repeats the selection. Others reuse it.
    (line,) = lines(analyze_dsa(two, "both"), "hyperparameters: ")
    assert line.endswith(", on 18 networks")
    after = values(two)
    for name in ("tiny", "wide"):
        printed = analyze_dsa(two, name)
        assert lines(printed, "hyperparameters: ")[0].endswith(", on 18 networks")
        assert lines(printed, "distances: ") == ["distances: dsa of 2 conditions, 0 of them new"]
    assert values(two) == after


def test_two_analyses_do_not_choose_at_the_same_time(two):
    given = ("--config-dir", "settings", "experiment=wide", *SMALL, "metric=[dsa]")
    with exclusive_lock(two / "results", "results"):  # as an analysis that selects does
        other = Launched(given, two, before=draw_nothing, module="analysis.__main__")
        other.wait_for("waiting: another process is working in results\n")
        time.sleep(0.5)  # of waiting, in which it looks ten times whether the lock is free
        assert "feature learning: " in other.stdout
        assert "hyperparameters: " not in other.stdout
    assert other.wait() == 0, other.stderr
    assert "hyperparameters: " in other.stdout


def test_the_selection_does_not_depend_on_the_order(both):
    before = pd.read_parquet(both / selections(both)[-1])
    (both / "settings" / "experiment" / "both.yaml").write_text(LIST.replace("tiny, wide", "wide, tiny"))
    analyze_dsa(both, "both", "results=again")
    again = pd.read_parquet(both / selections(both, "again")[-1])
    pd.testing.assert_frame_equal(again, before, check_exact=True)


def test_metrics_of_one_class_and_options_share_a_selection(two):
    stored = two / "results" / "hyperparameters"
    before = set(stored.iterdir())
    alike = [small.replace("metrics.dsa", "metrics.input_dsa") for small in SMALL[:2]]
    metrics = ("metric=[dsa,input_dsa,dsa_lag_1]", *alike, "metrics.dsa_lag_1.ranks=[2,3]")
    printed = analyze_in(two, *metrics).stdout.splitlines()
    assert len(lines(printed, "hyperparameters: ")) == 3
    assert set(stored.iterdir()) > before
    assert len(set(stored.iterdir())) == len(before) + 1
    folder = two / "results" / "tiny"
    lags = {
        name: pd.read_parquet(folder / "matrices" / name / "flip_flop-hyperparameters.parquet")["lag"]
        for name in ("dsa", "input_dsa", "dsa_lag_1")
    }
    assert list(lags["dsa"]) == list(lags["input_dsa"])
    assert set(lags["dsa_lag_1"]) == {1} < set(lags["dsa"])
    measured = available_measures(pd.read_parquet(folder / "degeneracy.parquet"))
    assert set(measured["dynamics"]) == {"DSA", "input_dsa", "dsa_lag_1"}


@pytest.mark.parametrize("change", ["metrics.dsa.ranks=[2]", "probe.seed=1"])
def test_other_candidates_or_probes_give_another_selection(two, change):
    before = pd.read_parquet(two / selections(two)[0])
    (line,) = lines(analyze_dsa(two, "wide", change), "hyperparameters: ")
    assert line.endswith(", on 12 networks")  # of wide's two conditions
    assert len(selections(two)) == 2
    # Another score uses the same selection. The first selection is stored as well.
    assert lines(analyze_dsa(two, "wide", change, "metrics.dsa.score=frobenius"), "hyperparameters: ") == [
        line
    ]
    assert lines(analyze_dsa(two, "tiny"), "hyperparameters: ")[0].endswith(", on 12 networks")
    assert len(selections(two)) == 2
    pd.testing.assert_frame_equal(pd.read_parquet(two / selections(two)[0]), before)


def test_selections_of_others_leave_an_experiment_unchanged(two):
    own = two / "results" / "tiny" / "matrices" / "dsa" / "flip_flop-hyperparameters.parquet"
    before = own.read_bytes()
    (two / selections(two)[0]).unlink()
    analyze_dsa(two, "wide")
    assert own.read_bytes() == before


def test_deleted_activations_do_not_repeat_the_selection(two):
    before = pd.read_parquet(two / selections(two)[0])
    shutil.rmtree(two / "results" / "tiny" / "activations")
    (line,) = lines(analyze_dsa(two, "wide"), "hyperparameters: ")
    assert " on 12 networks (without 6 of these: " in line
    pd.testing.assert_frame_equal(pd.read_parquet(two / selections(two)[0]), before)


def test_deleted_networks_do_not_prevent_a_selection(both):
    for path in both.glob("runs/*/*/networks/00003.safetensors"):
        path.unlink()
    assert lines(analyze_dsa(both, "both"), "hyperparameters: ")[0].endswith(", on 15 networks")


def test_new_networks_repeat_the_selection(with_dsa, tmp_path):
    workspace = shutil.copytree(with_dsa, tmp_path / "place")
    printed = (workspace / "printed").read_text().splitlines()
    assert lines(printed, "hyperparameters: ")[0].endswith(", on 12 networks")
    for path in workspace.glob("runs/flip_flop/*"):
        store(RunFolder.open(path), 8, [9.0, 8.0])
    assert lines(analyze_dsa(workspace, "tiny"), "hyperparameters: ")[0].endswith(", on 14 networks")


def test_a_network_too_small_for_the_selection_is_rejected(workspace):
    (workspace / "settings" / "experiment" / "thin.yaml").write_text(
        YAML.replace("task.channels=1,2", "task.channels=2").replace("width=8", "width=2")
    )
    given = ("--config-dir", "settings", "experiment=thin")
    assert Launched((*given, "seeds=2"), workspace).wait() == 0
    (selection,) = selections(workspace)
    whole = pd.read_parquet(workspace / selection)
    assert whole["n_components"].iloc[0] > 2
    launched = Launched(
        (*given, *SMALL, "metric=[dsa]"), workspace, before=draw_nothing, module="analysis.__main__"
    )
    assert launched.wait() == 2
    assert "n_components must be at most the 2 units" in launched.stderr
    assert "got 6, with n_components 6, lag " in launched.stderr
    assert "(analyze the experiment without share_hyperparameters" in launched.stderr
    pd.testing.assert_frame_equal(pd.read_parquet(workspace / selection), whole)
    own = analyze_dsa(workspace, "thin", "share_hyperparameters=false")
    assert lines(own, "hyperparameters: dsa of flip_flop, n_components 2,")


def test_experiments_select_on_their_own_networks_by_default(two):
    shared = selections(two)
    printed = analyze_dsa(two, "both", "share_hyperparameters=false")
    for line in lines(printed, "hyperparameters: "):
        assert line.endswith(", on 12 networks")  # of the two conditions of each experiment
    assert len(lines(printed, "hyperparameters: ")) == 2
    for name in ("tiny", "wide"):
        (own,) = (two / "results" / name / "hyperparameters").glob("dsa-flip_flop-*.parquet")
        used = pd.read_parquet(own).attrs["networks"]
        copy = pd.read_parquet(
            two / "results" / name / "matrices" / "dsa" / "flip_flop-hyperparameters.parquet"
        )
        assert copy.attrs["networks"] == used
        assert sum(len(networks["seeds"]) for networks in used.values()) == 12
    assert selections(two) == shared


def test_the_papers_lists_of_experiments_share_hyperparameters():
    for name, shares in (("paper", True), ("appendix", True), ("demo", False)):
        assert compose("analyze", [f"experiment={name}"])["share_hyperparameters"] is shares


def test_selection_stores_warnings_and_components_of_networks(with_dsa):
    curve = pd.read_parquet(with_dsa / selections(with_dsa)[-1])
    selected = curve[curve["selected"]].iloc[0]
    assert len(curve.attrs["warnings"]) == (selected["lag"] == 2) + (selected["rank"] == 3)
    for warning in curve.attrs["warnings"]:
        assert f"warning: hyperparameters: dsa of flip_flop: {warning}\n" in (with_dsa / "errors").read_text()
    for networks in curve.attrs["networks"].values():
        assert len(networks["components_needed"]) == len(networks["seeds"]) == 6
    most = max(max(networks["components_needed"]) for networks in curve.attrs["networks"].values())
    assert selected["n_components"] == most


def test_distances_near_their_baseline_have_a_warning(with_dsa):
    paths = list(with_dsa.glob("results/tiny/matrices/dsa/*.safetensors"))
    near = [path for path in paths if read_metadata(path)["baseline_ratio"] < 2]
    assert (with_dsa / "errors").read_text().count("times the split-half baseline, below 2\n") == len(near)


def test_one_network_of_stored_activations_is_read_alone(analyzed):
    file = next(analyzed.glob("results/tiny/activations/*"))
    hidden = read_tensors(file)[0]["hidden"]
    assert (read_entry(file, "hidden", 2) == hidden[2]).all()
