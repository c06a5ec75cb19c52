"""A second analysis in the same folder: what it skips and what it computes again."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import matplotlib.image
import pandas as pd
import pytest

from degen.files import read_tensors
from degen.storage import RunFolder
from tests.analysis.conftest import (
    METRICS,
    OWN,
    SMALL,
    YAML,
    analyze_in,
    run_folders,
    signatures,
    store,
    table,
)
from tests.analysis.drawing import draw_loss_curves
from tests.conftest import Launched


def files(workspace: Path) -> dict[str, int]:
    """When each file of the results was last written."""
    results = workspace / "results" / "tiny"
    return {
        str(path.relative_to(results)): path.stat().st_mtime_ns
        for path in results.rglob("*")
        if path.is_file()
    }


def changed(before: dict[str, int], after: dict[str, int]) -> set[str]:
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def test_a_second_analysis_skips_finished_work(workspace, analyze):
    before, manifest = files(workspace), (workspace / "results" / "tiny" / "manifest.json").read_bytes()
    lines = analyze(before=None).stdout.splitlines()
    assert changed(before, files(workspace)) == {"manifest.json"}
    assert (workspace / "results" / "tiny" / "manifest.json").read_bytes() == manifest
    assert lines[:3] == [
        "networks: 16, 0 of them new",
        "activations: 2 conditions, 0 of them new",
        "feature learning: 12 networks, 0 of them new",
    ]
    for line, name in zip(lines[3:5], ("dsa", "dsa_lag_1"), strict=True):
        assert line.startswith(f"hyperparameters: {name} of flip_flop, n_components ")
        assert line.endswith(", on 12 networks")
    assert lines[5:15] == [f"distances: {name} of 2 conditions, 0 of them new" for name in METRICS]
    assert any(re.fullmatch(r"degeneracy: \d+ values, unchanged", line) for line in lines)
    assert any(re.fullmatch(r"trends: \d+ rows, unchanged", line) for line in lines)
    assert any(re.fullmatch(r"figures: \d+ files, unchanged", line) for line in lines)


def test_another_option_of_a_metric_computes_that_metric_only(workspace, analyze):
    before = files(workspace)
    printed = analyze("metrics.svcca.variance=0.8", before=None).stdout
    assert "figures: 21 files, new" in printed.splitlines()
    assert [line.split()[1] for line in printed.splitlines() if "2 of them new" in line] == ["svcca"]
    after = changed(before, files(workspace))
    assert {name for name in after if name.startswith(("activations", "matrices"))} == {
        f"matrices/svcca/{signature}.safetensors" for signature in signatures(workspace)
    }
    assert {"degeneracy.parquet", "degeneracy.csv", "figures/degeneracy.pdf"} <= after
    assert "networks.parquet" not in after


def test_another_probe_computes_what_depends_on_it_only(workspace, analyze):
    before = files(workspace)
    printed = analyze("probe.seed=1", "metric=[dsa]").stdout
    assert "networks: 16, 0 of them new" in printed
    assert "activations: 2 conditions, 2 of them new" in printed
    assert "networks.parquet" not in changed(before, files(workspace))


@pytest.fixture(scope="module")
def with_loss_curves(analyzed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy whose only figure is the loss curves. Read only."""
    workspace = shutil.copytree(analyzed, tmp_path_factory.mktemp("curves") / "place")
    shutil.rmtree(workspace / "results" / "tiny" / "figures")
    printed = analyze_in(workspace, before=draw_loss_curves).stdout
    assert "figures: 3 files, new" in printed.splitlines()
    return workspace


def test_a_figure_that_is_gone_is_drawn_again(with_loss_curves, tmp_path):
    workspace = shutil.copytree(with_loss_curves, tmp_path / "place")
    gone = workspace / "results" / "tiny" / "figures" / "loss.png"
    gone.unlink()
    printed = analyze_in(workspace, before=draw_loss_curves).stdout
    assert "figures: 3 files, new" in printed.splitlines()
    assert gone.exists()


@pytest.mark.parametrize("content", [b"", b"\xff\xfe"])
def test_a_damaged_manifest_is_written_again(with_loss_curves, tmp_path, content):
    workspace = shutil.copytree(with_loss_curves, tmp_path / "place")
    manifest = workspace / "results" / "tiny" / "manifest.json"
    before = manifest.read_bytes()
    manifest.write_bytes(content)
    printed = analyze_in(workspace, before=draw_loss_curves).stdout
    assert "figures: 3 files, new" in printed.splitlines()
    assert manifest.read_bytes() == before


def test_another_condition_of_losses_computes_losses_only(workspace, analyze):
    before = files(workspace)
    printed = analyze("further_ood.noise.input_noise=0.3").stdout
    assert "networks: 16, 16 of them new" in printed
    assert "activations: 2 conditions, 0 of them new" in printed
    again = changed(before, files(workspace))
    assert "networks.parquet" in again
    assert not [name for name in again if "safetensors" in name or "feature_learning" in name]


def test_the_manifest_contains_the_settings(workspace, analyze):
    analyze("probe.seed=1", "bootstrap.level=0.9", "metric=[dsa]")
    settings = json.loads((workspace / "results" / "tiny" / "manifest.json").read_text())["settings"]
    assert settings["probe"] == {"_target_": "analysis.trials.TrialSet", "n_trials": 8, "seed": 1}
    assert settings["metrics"]["dsa"]["score"] == "angular"
    assert set(table(workspace, "degeneracy")["nominal_level"]) == {settings["bootstrap"]["level"]} == {0.9}


def test_a_new_network_updates_its_condition_only(workspace, analyze):
    first = RunFolder.open(run_folders(workspace)[0])
    store(first, 8, [9.0, 8.0])
    store(first, 9, [9.0, 8.0])  # not a seed of the experiment
    printed = analyze("metric=[dsa]").stdout
    assert printed.count("not measured: 1 networks of other seeds in ") == 1
    assert "networks: 17, 1 of them new" in printed
    assert "activations: 2 conditions, 1 of them new" in printed
    assert sorted(table(workspace, "degeneracy")["networks"].unique()) == [6, 7]


def test_a_condition_without_a_pair_is_left_out(analyzed, workspace, analyze):
    for path in sorted(run_folders(workspace)[0].glob("networks/*.safetensors"))[1:6]:
        path.unlink()
    lines = analyze(before=draw_loss_curves).stdout.splitlines()
    name = run_folders(workspace)[0].name
    assert sum(line.startswith(f"left out: {name}, converged networks: ") for line in lines) == 1
    assert set(table(workspace, "degeneracy")["condition"]) == {signatures(workspace)[1]}
    # Its loss curves are shown nevertheless: two panels as before.
    curves = [folder / "results" / "tiny" / "figures" / "loss.png" for folder in (analyzed, workspace)]
    before, after = (matplotlib.image.imread(path).shape[1] for path in curves)
    assert after == pytest.approx(before, rel=0.1)


def test_a_damaged_matrix_is_computed_again(workspace, analyze):
    gone = workspace / "results" / "tiny" / "matrices" / "pif" / f"{signatures(workspace)[0]}.safetensors"
    content = gone.read_bytes()
    gone.write_bytes(content[: len(content) // 2])
    printed = analyze().stdout
    assert [line.split()[1] for line in printed.splitlines() if "2 conditions, 1 of them new" in line] == [
        "pif"
    ]
    assert gone.stat().st_size == len(content)


def test_an_interrupted_analysis_loses_one_condition(workspace, analyze):
    folder = run_folders(workspace)[1]
    last = sorted(folder.glob("networks/*.safetensors"))[-1]
    content = last.read_bytes()
    last.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    stopped = Launched((*OWN, *SMALL, "ood.seed=1"), workspace, module="analysis.__main__")
    assert stopped.wait() == 2
    assert "checksum" in stopped.stderr
    last.write_bytes(content)
    assert "networks: 16, 8 of them new" in analyze("ood.seed=1").stdout
    # Of other settings nothing is taken.
    assert "networks: 16, 16 of them new" in analyze("ood.seed=2").stdout


def test_a_changed_csv_file_is_written_again(workspace, analyze):
    csv = workspace / "results" / "tiny" / "degeneracy.csv"
    before = csv.read_text()
    csv.write_text(before.replace("dynamics", "statics"))
    assert "degeneracy: " in analyze().stdout
    assert csv.read_text() == before


def test_a_table_of_histories_that_is_gone_is_made_again(workspace, analyze):
    gone = workspace / "results" / "tiny" / "history.parquet"
    before = pd.read_parquet(gone)
    gone.unlink()
    analyze()
    pd.testing.assert_frame_equal(pd.read_parquet(gone), before)


def test_results_made_twice_are_the_same(workspace, analyze):
    before = table(workspace, "degeneracy")
    analyze("results=again")
    again = pd.read_parquet(workspace / "again" / "tiny" / "degeneracy.parquet")
    pd.testing.assert_frame_equal(before, again, check_exact=True)


def test_printed_labels_are_unique(workspace, analyze):
    settings = workspace / "settings" / "experiment" / "tiny.yaml"
    thresholds = YAML.replace("factor: task.channels", "factor: training.threshold")
    settings.write_text(thresholds.replace("task.channels=1,2", "training.threshold=8,9"))
    assert Launched((*OWN, "seeds=2"), workspace).wait() == 0
    printed = analyze("results=other", "metric=[dsa]").stdout
    for threshold in (8, 9):
        assert f"3bit-standard-n8-gamma1 threshold={threshold}" in printed


def test_figures_of_an_earlier_analysis_are_removed(workspace):
    folder = workspace / "results" / "tiny" / "figures"
    assert (folder / "embedding-dsa.png").exists()
    assert (folder / "embedding-dsa.txt").exists()
    (folder / "mine.png").write_bytes(b"the user's own")
    launched = Launched((*OWN, "metric=[svcca]", *SMALL[2:]), workspace, module="analysis.__main__")
    assert launched.wait() == 0, launched.stderr
    assert {path.name for path in folder.glob("*.png")} == {
        *("main-measures.png", "degeneracy.png", "loss.png", "mine.png")
    }
    assert {path.stem for path in folder.glob("*.txt")} == {"main-measures", "degeneracy", "loss"}


def test_a_metric_may_measure_the_first_networks_only(workspace, analyze):
    limited = ("metrics.dsa_literal.first_networks=3", "metrics.dsa_literal.highest_lag=2")
    analyze("metric=[dsa,dsa_literal]", *limited)
    result = table(workspace, "degeneracy").set_index("measure")
    assert set(result.loc[["dsa_literal", "dsa_literal_null"], "networks"]) == {3}
    assert set(result.loc["dsa", "networks"]) == {6}
    for path in workspace.glob("results/tiny/matrices/dsa_literal/*.safetensors"):
        arrays, metadata = read_tensors(path)
        assert metadata["seeds"] == [0, 1, 2]
        assert arrays["distances"].shape == (3, 3)
