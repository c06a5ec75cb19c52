"""Tables, matrices and figures of `python -m analysis` on a tiny experiment."""

from __future__ import annotations

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
import torch

import degen
from analysis.figures.degeneracy import draw
from degen.files import read_tensors
from degen.metrics.behavior import sigma_log_ood
from degen.reporting.style import Caption
from degen.statistics import true_coverage
from degen.streams import Stream
from degen.training.gradients import task_loss
from tests.analysis.conftest import METRICS, run_folders, signatures, table

SIGMAS = ("sigma", "sigma_log")
OOD = ("_noise", "_long", "_outside", "_settled")
LEVELS = METRICS | {
    **{f"{metric}_null": level for metric, level in METRICS.items() if level == "dynamics"},
    **{f"{kind}_test{which}": "behavior" for kind in SIGMAS for which in ("", "_settled")},
    **{f"{kind}_ood{which}": "behavior" for kind in (*SIGMAS, "mean") for which in ("", *OOD)},
    **dict.fromkeys(("weight_change", "kernel_alignment", "representation_alignment"), "feature learning"),
    **dict.fromkeys(("participation_ratio", "near_zero_fraction"), "structure"),
}


def test_degeneracy_has_a_row_per_condition_and_measure(analyzed):
    result = table(analyzed, "degeneracy")
    pairs = {(signature, measure) for signature in signatures(analyzed) for measure in LEVELS}
    assert set(zip(result["condition"], result["measure"], strict=True)) == pairs
    assert len(result) == len(pairs)
    assert result["level"].tolist() == [LEVELS[measure] for measure in result["measure"]]
    counts = result[["networks", "converged", "unconverged", "diverged", "missing"]]
    assert (counts == [6, 6, 1, 1, 1]).all(axis=None)
    assert (result["low"] <= result["high"]).all()
    assert np.isfinite(result[["value", "low", "high"]]).all(axis=None)
    assert (
        result["factor_value"]
        == result["condition"].map(dict(zip(signatures(analyzed), (1, 2), strict=True)))
    ).all()
    assert set(result["factor_name"]) == {"task.channels"}
    assert result["task.channels"].tolist() == result["factor_value"].tolist()
    assert pd.read_csv(analyzed / "results" / "tiny" / "degeneracy.csv").shape == result.shape


def test_the_table_is_printed_with_intervals_and_counts(analyzed):
    printed = (analyzed / "printed").read_text()
    assert "converged/unconverged/diverged/missing" in printed
    assert printed.count("6/1/1/1") == 2
    for row in table(analyzed, "degeneracy").itertuples():
        assert f"{row.level}: {row.measure}" in printed
        assert f"{row.value:.3g} [{row.low:.3g}, {row.high:.3g}]" in printed


def test_required_networks_are_stated_for_distances_only(analyzed):
    result = table(analyzed, "degeneracy")
    assert (result["networks_for_10_percent"].notna() == result["measure"].isin(METRICS)).all()


def test_every_interval_has_its_true_coverage(analyzed):
    result = table(analyzed, "degeneracy")
    kinds = {True: "distance", False: "mean"}
    for row in result.itertuples():
        is_deviation = row.measure.startswith("sigma")
        kind = "deviation" if is_deviation else kinds[row.measure in METRICS]
        assert row.true_coverage == true_coverage(kind, 5)
    assert "true coverage of the intervals in the worst simulated case" in (analyzed / "printed").read_text()


@pytest.mark.parametrize("metric", METRICS)
def test_matrices_are_distances_of_converged_networks(analyzed, metric):
    result = table(analyzed, "degeneracy").set_index(["condition", "measure"])
    for signature in signatures(analyzed):
        arrays, metadata = read_tensors(
            analyzed / "results" / "tiny" / "matrices" / metric / f"{signature}.safetensors"
        )
        distances = arrays["distances"].numpy()
        assert metadata["seeds"] == [0, 1, 2, 3, 4, 5]
        assert distances.shape == (6, 6)
        assert (distances == distances.T).all()
        assert (np.diag(distances) == 0).all()
        off_diagonal = distances[np.triu_indices(6, 1)]
        assert (off_diagonal > 0).all()
        assert result.loc[(signature, metric), "value"] == pytest.approx(off_diagonal.mean(), rel=1e-12)
        assert ("null" in arrays) == ("half_distances" in arrays) == (METRICS[metric] == "dynamics")


DYNAMICS = [metric for metric, level in METRICS.items() if level == "dynamics"]


@pytest.mark.parametrize("metric", DYNAMICS)
def test_distances_of_dynamics_have_a_split_half_baseline(analyzed, metric):
    result = table(analyzed, "degeneracy").set_index(["condition", "measure"])
    for signature in signatures(analyzed):
        path = analyzed / "results" / "tiny" / "matrices" / metric / f"{signature}.safetensors"
        arrays = read_tensors(path)[0]
        null, between = arrays["null"].numpy(), arrays["half_distances"].numpy()
        assert null.shape == between.shape == (6,)
        assert (null > 0).all()
        assert result["value"][signature, f"{metric}_null"] == pytest.approx(null.mean(), rel=1e-12)
        ratio = between.mean() / null.mean()
        assert result["baseline_ratio"][signature, metric] == pytest.approx(ratio, rel=1e-12)
    with_ratio = set(result.index[result["baseline_ratio"].notna()].get_level_values("measure"))
    assert with_ratio == set(DYNAMICS)


def test_metrics_of_dynamics_are_variants_of_dsa(analyzed):
    variants = table(analyzed, "degeneracy").set_index("measure")["variant_of"].dropna()
    assert set(variants) == {"DSA"}
    assert set(variants.index) == set(DYNAMICS) - {"dsa_geometry"}


def test_networks_table_agrees_with_the_run_folders(analyzed):
    gathered = table(analyzed, "networks")
    assert gathered["seed"].tolist() == [0, 1, 2, 3, 4, 5, 6, 7] * 2
    assert gathered["status"].tolist() == [*["converged"] * 6, "unconverged", "diverged"] * 2
    assert len(table(analyzed, "history")) == 2 * (6 * 2 + 6 + 1)
    run = degen.load(run_folders(analyzed)[1])
    task = run.task.ood()
    trials = task.generate(8, Stream.named([0], "ood trials"))
    row = gathered[gathered["condition"] == run.condition.signature].iloc[2]
    weights, settled = run.networks[2].weights, run.networks[2].settled
    for column, measured in (("ood_loss", weights), ("ood_loss_settled", settled)):
        loss = float(task_loss(run.model(measured, trials), trials))
        assert row[column] == pytest.approx(loss, rel=1e-6)
    assert row["ood_loss_settled"] != row["ood_loss"]
    assert row["test_loss_settled"] != row["test_loss"]
    assert row["ood_loss_outside"] == row["ood_loss"]  # all trials are longer than in training
    history = run.networks[2].history
    assert row["final_loss"] == history.validation_loss[0]  # converged after one epoch, then settled
    assert (row["epochs"], row["epochs_to_threshold"], row["epochs_to_convergence"]) == (2, 1, 1)
    assert row["test_loss_ratio"] == row["test_loss"] / 10
    change = run.model.recurrent(weights) - run.model.recurrent(run.networks[2].initial)
    assert row["weight_change"] == pytest.approx(float(change.square().sum().sqrt()), rel=1e-6)


def test_behavior_and_weight_change_are_over_converged_networks(analyzed):
    gathered = table(analyzed, "networks")
    good = gathered[gathered["status"] == "converged"]
    result = table(analyzed, "degeneracy").set_index(["condition", "measure"])["value"]
    for signature, networks in good.groupby("condition"):
        for which in ("", *OOD):
            losses = networks[f"ood_loss{which}"].to_numpy()
            assert result[signature, f"sigma_ood{which}"] == pytest.approx(losses.std(ddof=0), rel=1e-12)
            assert result[signature, f"sigma_log_ood{which}"] == pytest.approx(
                sigma_log_ood(losses), rel=1e-9
            )
            assert result[signature, f"mean_ood{which}"] == pytest.approx(losses.mean(), rel=1e-12)
        assert result[signature, "weight_change"] == pytest.approx(
            networks["weight_change"].mean(), rel=1e-12
        )


def test_activations_are_the_hidden_states_on_one_probe_for_all(analyzed):
    for folder in run_folders(analyzed):
        run = degen.load(folder)
        signature = run.condition.signature
        arrays, _ = read_tensors(analyzed / "results" / "tiny" / "activations" / f"{signature}.safetensors")
        probe = run.task.generate(8, Stream.named([0], "probe"))
        for member, network in enumerate(run.converged.networks):
            hidden = run.model.unroll(network.weights, probe)[0]
            assert torch.allclose(arrays["hidden"][member], hidden, rtol=0, atol=1e-6)
            assert torch.equal(arrays["recurrent"][member], run.model.recurrent(network.weights)[0])
            assert torch.equal(arrays["inputs"], probe.inputs[0])


@pytest.mark.parametrize(
    "name", ["main-measures", "degeneracy", "loss", "embedding-dsa", "hyperparameters-dsa"]
)
def test_every_figure_is_a_pdf_and_a_png_that_show_something(analyzed, name):
    figure = analyzed / "results" / "tiny" / "figures" / name
    content = figure.with_suffix(".pdf").read_bytes()
    assert content.startswith(b"%PDF-")
    assert len(content) > 5000
    assert matplotlib.image.imread(figure.with_suffix(".png"))[..., :3].std() > 0.02
    assert f"figure: results/tiny/figures/{name}.pdf\n" in (analyzed / "printed").read_text()


# Again ------------------------------------------------------------------------------------------------------


def test_text_values_keep_the_order_of_the_file_on_the_axis(analyzed, monkeypatch, tmp_path):
    drawn = []
    monkeypatch.setattr(
        "analysis.figures.degeneracy.save_figure", lambda figure, folder, name: drawn.append(figure)
    )
    result = table(analyzed, "degeneracy")
    named = result["factor_value"].map({1: "small", 2: "large"})
    draw(
        result.assign(factor_value=named),
        "size",
        dict.fromkeys(result["measure"], "distance"),
        Caption(),
        tmp_path,
    )
    labels = [label.get_text() for label in drawn[0].axes[0].get_xticklabels()]
    assert labels == ["small", "large"]
