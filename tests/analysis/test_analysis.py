"""`python -m analysis` on a tiny experiment: what it stores, and what it leaves alone when it runs again."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
import torch

import degen
from analysis.figures.degeneracy import draw
from degen.files import read_tensors
from degen.storage import RunFolder
from degen.streams import Stream
from degen.training.gradients import task_loss
from tests.analysis.conftest import OWN, SMALL, YAML, store
from tests.conftest import Launched

METRICS = {
    "dsa": "dynamics",
    "pif": "weights",
    "pif_unaligned": "weights",
    "pif_initial": "weights",
    "svcca": "representation",
}
LEVELS = METRICS | {
    "dsa_null": "dynamics",
    "sigma_test": "behaviour",
    **{f"{kind}_ood{which}": "behaviour" for kind in ("sigma", "mean") for which in ("", "_noise", "_long")},
    **dict.fromkeys(("weight_change", "kernel_alignment", "representation_alignment"), "feature learning"),
    **dict.fromkeys(("participation_ratio", "near_zero_fraction"), "structure"),
}


def run_folders(place: Path) -> list[Path]:
    return sorted(place.glob("runs/flip_flop/*"))  # by the number of bits


def signatures(place: Path) -> list[str]:
    return [path.name.rpartition("-")[2] for path in run_folders(place)]


def table(place: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(place / "results" / "tiny" / f"{name}.parquet")


def files(place: Path) -> dict[str, int]:
    """When each file of the results was last written."""
    results = place / "results" / "tiny"
    return {
        str(path.relative_to(results)): path.stat().st_mtime_ns
        for path in results.rglob("*")
        if path.is_file()
    }


def changed(before: dict[str, int], after: dict[str, int]) -> set[str]:
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def test_degeneracy_has_a_row_per_condition_and_measure(analysed):
    found = table(analysed, "degeneracy")
    pairs = {(signature, measure) for signature in signatures(analysed) for measure in LEVELS}
    assert set(zip(found["condition"], found["measure"], strict=True)) == pairs
    assert len(found) == len(pairs) == 36
    assert found["level"].tolist() == [LEVELS[measure] for measure in found["measure"]]
    counts = found[["networks", "converged", "unconverged", "diverged", "missing"]]
    assert (counts == [4, 4, 1, 1, 1]).all(axis=None)
    assert (found["low"] <= found["high"]).all()
    assert np.isfinite(found[["value", "low", "high"]]).all(axis=None)
    assert (
        found["factor_value"] == found["condition"].map(dict(zip(signatures(analysed), (1, 2), strict=True)))
    ).all()
    assert set(found["factor_name"]) == {"task.channels"}
    assert found["task.channels"].tolist() == found["factor_value"].tolist()
    assert pd.read_csv(analysed / "results" / "tiny" / "degeneracy.csv").shape == found.shape


def test_the_table_is_printed_with_intervals_and_counts(analysed):
    printed = (analysed / "printed").read_text()
    assert "converged/unconverged/diverged/missing" in printed
    assert printed.count("4/1/1/1") == 2
    for row in table(analysed, "degeneracy").itertuples():
        assert f"{row.level}: {row.measure}" in printed
        assert f"{row.value:.3g} [{row.low:.3g}, {row.high:.3g}]" in printed


@pytest.mark.parametrize("metric", METRICS)
def test_matrices_are_distances_of_converged_networks(analysed, metric):
    found = table(analysed, "degeneracy").set_index(["condition", "measure"])
    for signature in signatures(analysed):
        arrays, metadata = read_tensors(
            analysed / "results" / "tiny" / "matrices" / metric / f"{signature}.safetensors"
        )
        distances = arrays["distances"].numpy()
        assert metadata["seeds"] == [0, 1, 2, 3]
        assert distances.shape == (4, 4)
        assert (distances == distances.T).all()
        assert (np.diag(distances) == 0).all()
        off_diagonal = distances[np.triu_indices(4, 1)]
        assert (off_diagonal > 0).all()
        assert found.loc[(signature, metric), "value"] == pytest.approx(off_diagonal.mean(), rel=1e-12)
        assert ("null" in arrays) == (metric == "dsa")


def test_a_null_stands_beside_every_dsa_number(analysed):
    found = table(analysed, "degeneracy").set_index(["condition", "measure"])["value"]
    for signature in signatures(analysed):
        path = analysed / "results" / "tiny" / "matrices" / "dsa" / f"{signature}.safetensors"
        null = read_tensors(path)[0]["null"].numpy()
        assert null.shape == (4,)
        assert (null > 0).all()
        assert found[signature, "dsa_null"] == pytest.approx(null.mean(), rel=1e-12)


def test_networks_table_agrees_with_the_run_folders(analysed):
    gathered = table(analysed, "networks")
    assert gathered["seed"].tolist() == [0, 1, 2, 3, 4, 5] * 2
    assert gathered["status"].tolist() == [*["converged"] * 4, "unconverged", "diverged"] * 2
    assert len(table(analysed, "history")) == 2 * (4 * 2 + 6 + 1)
    run = degen.load(run_folders(analysed)[1])
    task = run.task.ood()
    trials = task.generate(8, Stream.named([0], "ood trials"))
    row = gathered[gathered["condition"] == run.condition.signature].iloc[2]
    weights = run.networks[2].weights
    assert row["ood_loss"] == pytest.approx(float(task_loss(run.model(weights, trials), trials)), rel=1e-6)
    history = run.networks[2].history
    assert row["final_loss"] == history.validation_loss[0]  # converged after one epoch, then settled
    assert (row["epochs"], row["epochs_to_threshold"], row["epochs_to_convergence"]) == (2, 1, 1)
    assert row["test_loss_ratio"] == row["test_loss"] / 10
    change = run.model.recurrent(weights) - run.model.recurrent(run.networks[2].initial)
    assert row["weight_change"] == pytest.approx(float(change.square().sum().sqrt()), rel=1e-6)


def test_behaviour_and_weight_change_are_over_converged_networks(analysed):
    gathered = table(analysed, "networks")
    good = gathered[gathered["status"] == "converged"]
    found = table(analysed, "degeneracy").set_index(["condition", "measure"])["value"]
    for signature, networks in good.groupby("condition"):
        losses = networks["ood_loss"].to_numpy()
        assert found[signature, "sigma_ood"] == pytest.approx(losses.std(ddof=0), rel=1e-12)
        assert found[signature, "mean_ood"] == pytest.approx(losses.mean(), rel=1e-12)
        for name in ("noise", "long"):
            losses = networks[f"ood_loss_{name}"].to_numpy()
            assert found[signature, f"sigma_ood_{name}"] == pytest.approx(losses.std(ddof=0), rel=1e-12)
            assert found[signature, f"mean_ood_{name}"] == pytest.approx(losses.mean(), rel=1e-12)
        assert found[signature, "weight_change"] == pytest.approx(networks["weight_change"].mean(), rel=1e-12)


def test_activations_are_the_hidden_states_on_one_probe_for_all(analysed):
    for folder in run_folders(analysed):
        run = degen.load(folder)
        signature = run.condition.signature
        arrays, _ = read_tensors(analysed / "results" / "tiny" / "activations" / f"{signature}.safetensors")
        probe = run.task.generate(8, Stream.named([0], "probe"))
        for member, network in enumerate(run.converged.networks):
            hidden = run.model.unroll(network.weights, probe)[0]
            assert torch.allclose(arrays["hidden"][member], hidden, rtol=0, atol=1e-6)
            assert torch.equal(arrays["recurrent"][member], run.model.recurrent(network.weights)[0])
            assert torch.equal(arrays["inputs"], probe.inputs[0])


@pytest.mark.parametrize("name", ["degeneracy", "loss", "embedding-dsa", "hyperparameters-dsa"])
def test_every_figure_is_a_pdf_and_a_png_that_show_something(analysed, name):
    figure = analysed / "results" / "tiny" / "figures" / name
    content = figure.with_suffix(".pdf").read_bytes()
    assert content.startswith(b"%PDF-")
    assert len(content) > 5000
    assert matplotlib.image.imread(figure.with_suffix(".png"))[..., :3].std() > 0.02
    assert f"figure: results/tiny/figures/{name}.pdf\n" in (analysed / "printed").read_text()


# Again ------------------------------------------------------------------------------------------------------


def test_a_second_analysis_skips_finished_work(place, analyse):
    before, manifest = files(place), (place / "results" / "tiny" / "manifest.json").read_bytes()
    lines = analyse(draws=True).stdout.splitlines()
    assert changed(before, files(place)) == {"manifest.json"}
    assert (place / "results" / "tiny" / "manifest.json").read_bytes() == manifest
    assert lines[:3] == [
        "gather: 12 networks, 0 of them new",
        "activations: 2 conditions, 0 of them new",
        "feature learning: 8 networks, 0 of them new",
    ]
    assert lines[3].startswith("choice: dsa of flip_flop, n_components ")
    assert lines[3].endswith(", on 8 networks")
    assert lines[4:9] == [f"matrices: {name} of 2 conditions, 0 of them new" for name in METRICS]
    assert "degeneracy: 36 values, unchanged" in lines
    assert "figures: 8 files, unchanged" in lines


@pytest.mark.parametrize("content", [b"", b"\xff\xfe"])
def test_figures_are_drawn_again_if_the_record_of_them_is_damaged(place, analyse, content):
    record = place / "results" / "tiny" / "figures" / ".made_from"
    before = record.read_bytes()
    record.write_bytes(content)
    assert "figures: 8 files, new" in analyse(draws=True).stdout.splitlines()
    assert record.read_bytes() == before


def test_another_option_of_a_metric_computes_that_metric_only(place, analyse):
    before = files(place)
    printed = analyse("metrics.svcca.variance=0.8", draws=True).stdout
    assert [line.split()[1] for line in printed.splitlines() if "2 of them new" in line] == ["svcca"]
    after = changed(before, files(place))
    assert {name for name in after if name.startswith(("activations", "matrices"))} == {
        f"matrices/svcca/{signature}.safetensors" for signature in signatures(place)
    }
    assert {"degeneracy.parquet", "degeneracy.csv", "figures/degeneracy.pdf"} <= after
    assert "networks.parquet" not in after


def test_another_probe_computes_what_depends_on_it_only(place, analyse):
    before = files(place)
    printed = analyse("probe.seed=1").stdout
    assert "gather: 12 networks, 0 of them new" in printed
    assert "activations: 2 conditions, 2 of them new" in printed
    assert "networks.parquet" not in changed(before, files(place))


def test_a_figure_that_is_gone_is_drawn_again(place, analyse):
    gone = place / "results" / "tiny" / "figures" / "loss.png"
    gone.unlink()
    assert "figures: 8 files, new" in analyse(draws=True).stdout.splitlines()
    assert gone.exists()


def test_text_values_keep_the_order_of_the_file_on_the_axis(analysed, monkeypatch, tmp_path):
    drawn = []
    monkeypatch.setattr(
        "analysis.figures.degeneracy.save_figure", lambda figure, folder, name: drawn.append(figure)
    )
    found = table(analysed, "degeneracy")
    named = found["factor_value"].map({1: "small", 2: "large"})
    draw(found.assign(factor_value=named), "size", "", tmp_path)
    labels = [label.get_text() for label in drawn[0].axes[0].get_xticklabels()]
    assert labels == ["small", "large"]


def test_another_condition_of_losses_computes_losses_only(place, analyse):
    before = files(place)
    printed = analyse("further_ood.noise.input_noise=0.3").stdout
    assert "gather: 12 networks, 12 of them new" in printed
    assert "activations: 2 conditions, 0 of them new" in printed
    again = changed(before, files(place))
    assert "networks.parquet" in again
    assert not [name for name in again if "safetensors" in name or "feature_learning" in name]


def test_the_manifest_contains_the_settings(place, analyse):
    analyse("probe.seed=1", "bootstrap.level=0.9")
    kept = json.loads((place / "results" / "tiny" / "manifest.json").read_text())["settings"]
    assert kept["probe"] == {"_target_": "analysis.trials.TrialSet", "n_trials": 8, "seed": 1}
    assert kept["metrics"]["dsa"]["score"] == "angular"
    assert set(table(place, "degeneracy")["nominal_level"]) == {kept["bootstrap"]["level"]} == {0.9}


def test_a_new_network_updates_its_condition_only(place, analyse):
    first = RunFolder.open(run_folders(place)[0])
    store(first, 6, [9.0, 8.0])
    printed = analyse().stdout
    assert "gather: 13 networks, 1 of them new" in printed
    assert "activations: 2 conditions, 1 of them new" in printed
    assert sorted(table(place, "degeneracy")["networks"].unique()) == [4, 5]


def test_a_condition_without_a_pair_is_left_out(analysed, place, analyse):
    for path in sorted(run_folders(place)[0].glob("networks/*.safetensors"))[1:4]:
        path.unlink()
    lines = analyse(draws=True).stdout.splitlines()
    name = run_folders(place)[0].name
    assert sum(line.startswith(f"left out: {name}, converged networks: ") for line in lines) == 1
    assert set(table(place, "degeneracy")["condition"]) == {signatures(place)[1]}
    # Its loss curves are shown nevertheless: two panels as before.
    curves = [each / "results" / "tiny" / "figures" / "loss.png" for each in (analysed, place)]
    before, after = (matplotlib.image.imread(path).shape[1] for path in curves)
    assert after == pytest.approx(before, rel=0.1)


def test_a_damaged_matrix_is_computed_again(place, analyse):
    gone = place / "results" / "tiny" / "matrices" / "pif" / f"{signatures(place)[0]}.safetensors"
    content = gone.read_bytes()
    gone.write_bytes(content[: len(content) // 2])
    printed = analyse().stdout
    assert [line.split()[1] for line in printed.splitlines() if "2 conditions, 1 of them new" in line] == [
        "pif"
    ]
    assert gone.stat().st_size == len(content)


def test_an_interrupted_analysis_loses_one_condition(place, analyse):
    folder = run_folders(place)[1]
    last = sorted(folder.glob("networks/*.safetensors"))[-1]
    content = last.read_bytes()
    last.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    stopped = Launched((*OWN, *SMALL, "ood.seed=1"), place, module="analysis.__main__")
    assert stopped.wait() == 2
    assert "checksum" in stopped.stderr
    last.write_bytes(content)
    assert "gather: 12 networks, 6 of them new" in analyse("ood.seed=1").stdout
    # Of other settings nothing is taken.
    assert "gather: 12 networks, 12 of them new" in analyse("ood.seed=2").stdout


def test_a_changed_csv_file_is_written_again(place, analyse):
    csv = place / "results" / "tiny" / "degeneracy.csv"
    before = csv.read_text()
    csv.write_text(before.replace("dynamics", "statics"))
    assert "degeneracy: " in analyse().stdout
    assert csv.read_text() == before


def test_a_table_of_histories_that_is_gone_is_made_again(place, analyse):
    gone = place / "results" / "tiny" / "history.parquet"
    before = pd.read_parquet(gone)
    gone.unlink()
    analyse()
    pd.testing.assert_frame_equal(pd.read_parquet(gone), before)


def test_results_made_twice_are_the_same(place, analyse):
    before = table(place, "degeneracy")
    analyse("results=again")
    again = pd.read_parquet(place / "again" / "tiny" / "degeneracy.parquet")
    pd.testing.assert_frame_equal(before, again, check_exact=True)


def test_printed_labels_are_unique(place, analyse):
    settings = place / "settings" / "experiment" / "tiny.yaml"
    thresholds = YAML.replace("factor: task.channels", "factor: training.threshold")
    settings.write_text(thresholds.replace("task.channels=1,2", "training.threshold=8,9"))
    assert Launched((*OWN, "seeds=2"), place).wait() == 0
    printed = analyse("results=other").stdout
    folders = list(place.glob("runs/flip_flop/3bit-*"))
    assert len(folders) == 2
    for folder in folders:
        assert folder.name in printed


def test_figures_of_an_earlier_analysis_are_removed(place):
    folder = place / "results" / "tiny" / "figures"
    assert (folder / "embedding-dsa.png").exists()
    (folder / "mine.png").write_bytes(b"the user's own")
    launched = Launched((*OWN, "metric=[svcca]", *SMALL[2:]), place, module="analysis.__main__")
    assert launched.wait() == 0, launched.stderr
    assert {path.name for path in folder.glob("*.png")} == {"degeneracy.png", "loss.png", "mine.png"}
