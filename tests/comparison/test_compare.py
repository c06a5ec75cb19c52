"""Comparison of arrays: agreement with the metrics, groups of unequal networks, tables, figure and report."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import torch

import degen
from degen.comparison import compare_networks
from degen.comparison.networks import Network
from degen.errors import BadInputError
from degen.metrics import dsa, pif, representation
from degen.statistics import GroupDifference, Ratio
from tests.comparison.rotating import FAST, INPUTS, SLOW, WEIGHTS, rotating

LOSSES = {"slow": [1.0, 2.0, 3.0, 4.0, 5.0], "fast": np.array([1.0, 1.1, 1.2, 1.3, 1.5])}


@pytest.fixture(scope="module")
def result() -> degen.comparison.Comparison:
    """Two groups compared by all metrics. Weights are known of one of them."""
    return degen.compare(
        {"slow": np.stack(SLOW), "fast": FAST}, weights={"slow": WEIGHTS}, inputs=INPUTS, losses=LOSSES
    )


def test_distances_are_those_of_the_metrics(result):
    operators = dsa.operators([*SLOW, *FAST], result.hyperparameters)
    expected = {
        "dsa": dsa.distance_matrix(operators),
        "svcca": representation.svcca([*SLOW, *FAST]),
        "pif": pif.distance_matrix(WEIGHTS),
        "losses": np.abs(np.subtract.outer(losses := np.concatenate(list(LOSSES.values())), losses)),
    }
    for name, distances in expected.items():
        np.testing.assert_array_equal(result.measures[name].distances, distances)
    assert list(result.measures) == ["dsa", "input_dsa", "svcca", "pif", "losses"]
    halves = [
        dsa.operators([states[half] for states in (*SLOW, *FAST)], result.hyperparameters)
        for half in dsa.matched_halves(INPUTS)
    ]
    np.testing.assert_array_equal(result.measures["dsa"].baselines, dsa.half_distances(*halves).within)


def test_hyperparameters_are_selected_on_all_networks(result):
    assert (
        result.hyperparameters
        == dsa.select_hyperparameters([*SLOW, *FAST], lags=range(1, 11)).hyperparameters
    )


def test_table_has_the_degeneracy_of_each_group(result):
    table = result.table().set_index(["metric", "group"])
    matrix, baselines = result.measures["dsa"].distances, result.measures["dsa"].baselines
    for group, members in (("slow", range(5)), ("fast", range(5, 10))):
        row = table.loc["dsa", group]
        pairs = [matrix[i, j] for i, j in itertools.combinations(members, 2)]
        assert row["value"] == pytest.approx(np.mean(pairs))
        assert row["low"] < row["value"] < row["high"]
        assert row["baseline"] == pytest.approx(baselines[list(members)].mean())
        assert row["networks"] == len(members)
        assert table.loc[("losses", group), "value"] == pytest.approx(np.std(LOSSES[group]))
    assert np.isnan(table.loc[("svcca", "slow"), "baseline"])
    assert ("pif", "fast") not in table.index


def test_differences_compare_each_pair_of_groups(result):
    table = result.differences().set_index("metric")
    assert list(table.index) == ["dsa", "input_dsa", "svcca", "losses"]  # weights of one group only
    row, degeneracy = table.loc["dsa"], result.measures["dsa"].degeneracy
    assert (row["first"], row["second"]) == ("slow", "fast")
    assert row["between"] == pytest.approx(result.measures["dsa"].distances[:5, 5:].mean())
    assert row["ratio"] == pytest.approx(degeneracy["fast"].value / degeneracy["slow"].value)
    # Two of the 252 ways to divide ten networks into two groups of five separate them.
    assert row["p"] == pytest.approx(1 / 126, abs=0.005)
    assert table.loc["losses", "ratio"] == pytest.approx(np.std(LOSSES["fast"]) / np.std(LOSSES["slow"]))


def test_networks_of_all_sizes_and_trials_are_compared():
    groups = {"small": rotating(0.1, 3, units=3, trials=25, time=15), "large": rotating(0.8, 3, 9)}
    result = degen.compare(groups)
    assert list(result.measures) == ["dsa"]
    assert result.measures["dsa"].distances.shape == (6, 6)
    assert result.skipped["svcca"].endswith(
        "(25, 15) for network 0 of 'small' and (30, 20) for network 0 of 'large'."
    )
    within, between = result.table()["value"], result.differences()["between"]
    assert between.item() > 3 * within.max()


def test_rotated_networks_have_no_distance():
    rotation = np.linalg.qr(np.random.default_rng(1).standard_normal((5, 5)))[0]
    result = degen.compare({"original": SLOW[:1], "rotated": [SLOW[0] @ rotation]}, metrics=["dsa", "svcca"])
    for measure in result.measures.values():
        assert measure.distances[0, 1] < 1e-3


def test_one_network_is_compared_with_a_group():
    result = degen.compare({"recording": SLOW[:1], "models": FAST}, metrics=["dsa"])
    table = result.table().set_index("group")
    assert np.isnan(table.loc["recording", "value"])
    row = result.differences().iloc[0]
    assert np.isnan(row["ratio"])
    assert row["p"] == pytest.approx(1 / 6, abs=0.02)  # the recording is the farthest of six
    assert "recording" in str(result)


def test_tensors_and_arrays_give_equal_results():
    tensors = [torch.tensor(states, requires_grad=True) for states in FAST]
    first, second = (degen.compare({"fast": states}, metrics=["dsa"]) for states in (tensors, FAST))
    np.testing.assert_array_equal(first.measures["dsa"].distances, second.measures["dsa"].distances)


@pytest.mark.parametrize(
    "convert", [list, np.array, torch.tensor, lambda values: [np.array([v]) for v in values]]
)
def test_losses_are_numbers_or_arrays(convert):
    result = degen.compare(
        {"fast": FAST}, losses={"fast": convert([1.0, 2.0, 4.0, 3.0, 7.0])}, metrics=["losses"]
    )
    np.testing.assert_array_equal(result.measures["losses"].losses, [1, 2, 4, 3, 7])


def test_given_hyperparameters_are_used():
    hyperparameters = dsa.Hyperparameters(n_components=2, lag=1, rank=2)
    result = degen.compare({"fast": FAST}, metrics=["dsa"], hyperparameters=hyperparameters)
    operators = dsa.operators(FAST, hyperparameters)
    np.testing.assert_array_equal(result.measures["dsa"].distances, dsa.distance_matrix(operators))
    assert "n_components 2, lag 1, rank 2" in str(result)


def test_notes_point_out_estimation_errors():
    walks = np.random.default_rng(0).standard_normal((4, 6, 12, 3)).cumsum(axis=2)
    result = degen.compare({"many": rotating(0.1, 3), "few": walks}, metrics=["dsa"])
    assert any("DSA of few does not exceed its split-half baseline" in note for note in result.notes)
    assert any("networks have 72 to 600 samples" in note for note in result.notes)
    assert degen.compare({"slow": SLOW}, metrics=["svcca"]).notes == []


def test_notes_point_out_missing_losses_and_small_groups():
    hidden = {"slow": SLOW, "fast": FAST[:1]}
    result = degen.compare(hidden, metrics=["svcca"])
    assert result.notes == [
        "p of slow, fast is never below 0.17 with 5 and 1 networks: a large p is no evidence that they are "
        "equal."
    ]
    networks = [Network.from_arrays("slow", f"{i}", states, loss=i or None) for i, states in enumerate(SLOW)]
    (note,) = compare_networks(networks, metrics=["losses"]).notes
    assert note == "losses covers 4 of 5 networks of slow: the others lack the data."
    assert "tensor" not in repr(networks)


def test_notes_point_out_a_ratio_that_is_undecided(monkeypatch):
    ratio = Ratio(0.6, 0.3, 1.2, 0.02)
    monkeypatch.setattr(GroupDifference, "distance_ratio", lambda *arguments: ratio)
    result = degen.compare({"slow": SLOW, "fast": FAST}, metrics=["svcca"])
    (note,) = result.notes
    assert note.startswith("the interval and p of the ratio of 1 - SVCCA of slow, fast disagree")


def test_plot_leaves_the_settings_of_matplotlib(result):
    settings, backend = dict(mpl.rcParams), mpl.get_backend()
    figure = result.plot()
    assert dict(mpl.rcParams) == settings
    assert mpl.get_backend() == backend
    titles = [axis.get_title() for axis in figure.axes]
    assert [title for title in titles if title.endswith(": distances")] == [
        f"{label}: distances" for label in ("DSA", "input DSA", "1 - SVCCA", "PIF", "losses")
    ]


def test_names_of_groups_are_not_mathematics(tmp_path):
    with mpl.rc_context({"text.usetex": True}):
        figure = degen.compare({"$x^$": FAST[:2], "_$y_": SLOW[:2]}, metrics=["svcca"]).plot()
        figure.savefig(tmp_path / "figure.png")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["$x^$", "_$y_"]


def test_embedding_separates_the_groups(result):
    positions = result.measures["dsa"].embedding()
    slow, fast = positions[:5], positions[5:]
    spread = max(np.ptp(group, axis=0).max() for group in (slow, fast))
    assert np.linalg.norm(slow.mean(axis=0) - fast.mean(axis=0)) > 2 * spread


def test_report_has_tables_figure_and_escaped_names(tmp_path):
    path = degen.compare({"<b>&": SLOW, "$x_y$": FAST}, metrics=["svcca"]).report(tmp_path / "report.html")
    text = path.read_text()
    assert "&lt;b&gt;&amp;" in text
    assert "<b>&" not in text
    assert text.count("<table") == 2
    assert text.count("data:image/png;base64,") == 1
    with pytest.raises(BadInputError, match="folder of the report must be an existing folder"):
        degen.compare({"slow": SLOW}, metrics=["svcca"]).report(tmp_path / "missing" / "report.html")


def test_gated_networks_have_one_permutation():
    generator = np.random.default_rng(0)
    gru = generator.standard_normal((4, 3, 5, 5))
    order = generator.permutation(5)
    twin = gru[:, :, order][..., order]
    weights = {"a": gru.reshape(4, 15, 5), "b": twin.reshape(4, 15, 5)}
    result = degen.compare({"a": FAST[:4], "b": FAST[:4]}, weights=weights, metrics=["pif"])
    assert result.measures["pif"].distances.diagonal(4) == pytest.approx(np.zeros(4), abs=1e-6)


def test_errors_of_a_metric_name_the_network():
    flat = FAST[1].copy()
    flat[:, :, 1:] = 0  # one component
    hyperparameters = dsa.Hyperparameters(n_components=2, lag=1, rank=2)
    with pytest.raises(BadInputError, match="of network 0 of 'b'"):
        degen.compare({"a": SLOW, "b": [flat]}, metrics=["dsa"], hyperparameters=hyperparameters)


def test_figure_libraries_are_imported_when_needed():
    pattern = re.compile(r"^(import|from) (matplotlib|seaborn|sklearn|hydra)", re.MULTILINE)
    modules = (Path(degen.__file__).parent / "comparison").glob("*.py")
    assert [path.name for path in modules if pattern.search(path.read_text())] == ["figure.py"]
