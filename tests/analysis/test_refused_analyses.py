"""Bad input of the analysis: code 2, one sentence of field, value and allowed values, no folder made."""

from __future__ import annotations

import shutil

import pytest

from degen.models import Standard
from tests.analysis.conftest import OWN, SMALL
from tests.conftest import Launched, refusal
from tests.in_process import compose_once, rejection, run_in_process

MODULE = "analysis.__main__"


@pytest.fixture(scope="module", autouse=True)
def composed_once():
    """Compose the experiment once: every test has the same configuration folder."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        compose_once(monkeypatch, "analysis.settings")
        yield


@pytest.mark.parametrize(
    ("arguments", "field", "value", "allowed"),
    [
        (["experiment=tniy"], "experiment", "'tniy'", "tiny"),
        (["metric=[svcca,cka]"], "metric", "'cka'", "one of dsa, dsa_flow, dsa_geometry"),
        (["metrics.svcca.varianze=1"], "metrics.svcca.varianze", "1", "one of variance"),
        (["metrics.svcca.variance=2"], "metrics.svcca.variance", "2", "above 0 and at most 1"),
        (["metrics.svcca.variance=much"], "metrics.svcca.variance", "'much'", "above 0 and at most 1"),
        (["metrics.dsa.score=cosine"], "metrics.dsa.score", "'cosine'", "one of angular, frobenius"),
        (["metrics.dsa.lowest_lag=0"], "metrics.dsa.lowest_lag", "0", "an integer of at least 1"),
        (["metrics.dsa.highest_lag=0"], "metrics.dsa.highest_lag", "0", "an integer of at least 1"),
        (["metrics.dsa.highest_lag=20"], "metrics.dsa.highest_lag", "20", "below the 20 time steps"),
        (["metrics.dsa.ranks=[]"], "metrics.dsa.ranks", "[]", "a list of at least one size"),
        (["metrics.dsa.ranks=5"], "metrics.dsa.ranks", "5", "a list of at least one size"),
        (["metrics.dsa.ranks=[5,0]"], "metrics.dsa.ranks", "0", "an integer of at least 1"),
        (["metrics.dsa.variance=0"], "metrics.dsa.variance", "0", "above 0 and at most 1"),
        (["metrics.dsa.held_out=1"], "metrics.dsa.held_out", "1", "above 0 and at most 0.9"),
        (["metrics.dsa.seed=lucky"], "metrics.dsa.seed", "'lucky'", "an integer of at least 0"),
        (["metrics.dsa.components=some"], "metrics.dsa.components", "'some'", "one of most, least"),
        (["metrics.dsa_weighted.form=speed"], "metrics.dsa_weighted.form", "'speed'", "one of map, flow"),
        (["metrics.dsa_geometry.controlled=true"], "metrics.dsa_geometry.form", "'geometry'", "map or flow"),
        (["min_converged_fraction=2"], "min_converged_fraction", "2", "of at least 0 and at most 1"),
        (["share_hyperparameters=2"], "share_hyperparameters", "2", "true or false"),
        (["metrics.dsa.controlled=2"], "metrics.dsa.controlled", "2", "true or false"),
        (
            ["metrics.dsa.controlled=true", "metrics.dsa.score=wasserstein"],
            "metrics.dsa.score",
            "'wasserstein'",
            "a score with an alignment",
        ),
        (
            ["metric=[dsa,input_dsa]", "metrics.input_dsa.ranks=[0]"],
            "metrics.input_dsa.ranks",
            "0",
            "an integer of at least 1",
        ),
        (["metrics.pif.weights=input"], "metrics.pif.weights", "'input'", "one of recurrent"),
        (["metrics.pif.aligned=maybe"], "metrics.pif.aligned", "'maybe'", "true or false"),
        (["metrics.pif.solver=k-opt"], "metrics.pif.solver", "'k-opt'", "one of faq, procrustes"),
        (["metrics.pif_signed.signs=1"], "metrics.pif_signed.signs", "1", "true or false"),
        (["metrics.pif_signed.aligned=false"], "metrics.pif_signed.signs", "True", "false unless aligned"),
        (["metrics.pif_signed.solver=procrustes"], "metrics.pif_signed.signs", "True", "false unless"),
        (["metrics.pif.seed=-1"], "metrics.pif.seed", "-1", "an integer of at least 0"),
        (["+n_trials=9"], "n_trials", "'9'", "one of overrides, runs, results, weights_at"),
        (["probe.n_trials=0"], "n_trials of probe, ood and trials", "0", "an integer of at least 2"),
        (["ood.seed=a"], "seed of probe and ood", "'a'", "an integer of at least 0"),
        (
            ["further_ood.noise.input_noise=-1"],
            "input_noise of further_ood",
            "-1",
            "finite number of at least 0",
        ),
        (["further_ood.long.doublings=0.5"], "doublings of further_ood", "0.5", "an integer of at least 0"),
        (["+further_ood.a-b={}"], "name in further_ood", "'a-b'", "made of letters, digits and underscores"),
        (["feature_learning.n_trials=0"], "feature_learning.n_trials", "0", "an integer of at least 2"),
        (["feature_learning.n_times=21"], "feature_learning.n_times", "21", "at most the 20 time steps"),
        (["feature_learning.weights=[]"], "feature_learning.weights", "[]", "a list of at least one name"),
        (
            ["feature_learning.weights=[gain]"],
            "feature_learning.weights",
            "'gain'",
            "one of recurrent, input",
        ),
        (["bootstrap.n_samples=0"], "bootstrap.n_samples", "0", "an integer of at least 1"),
        (["bootstrap.level=1.5"], "bootstrap.level", "1.5", "above 0 and at most 1"),
        (
            ["permutation_test.n_permutations=3"],
            "permutation_test.n_permutations",
            "3",
            "an integer of at least 19",
        ),
        (["permutation_test.significance=5"], "permutation_test.significance", "5", "finite number above 0"),
        (["bootstrap.seed=-1"], "bootstrap.seed", "-1", "an integer of at least 0"),
        (["runs=null"], "runs", "None", "the path of a folder"),
        (["results=null"], "results", "None", "the path of a folder"),
        (["overrides=5"], "overrides", "5", "a list of texts"),
        (["seeds=2"], "seeds", "'seeds=2'", "given as 'overrides=[\"seeds=2\"]' here"),
        (['overrides=["width=0"]'], "width", "0", "an integer of at least 1"),
        (['overrides=["task.channels=2"]'], "experiment.grids", "2bit", "conditions that differ"),
        (["runs=nowhere"], "experiment", "'tiny'", "one with finished networks below nowhere"),
        (['overrides=["seeds=[99]"]'], "experiment", "'tiny'", "one with finished networks below runs"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_values_are_rejected_before_any_work(workspace, arguments, field, value, allowed):
    shutil.rmtree(workspace / "results")
    before = sorted(workspace.rglob("*"))
    sentence = rejection(workspace, MODULE, *OWN, *SMALL, *arguments)
    assert sentence.startswith(f"{field} must be ")
    assert allowed in sentence
    assert value in sentence.rpartition(", got ")[2]
    assert sorted(workspace.rglob("*")) == before


def test_the_process_ends_with_code_2_and_one_sentence(workspace):
    before = sorted(workspace.rglob("*"))
    arguments = (*OWN, *SMALL, "bootstrap.n_samples=0")
    assert refusal(Launched(arguments, workspace, module=MODULE)) == rejection(workspace, MODULE, *arguments)
    assert sorted(workspace.rglob("*")) == before


@pytest.mark.parametrize(("seeds", "count"), [("[0,6,7]", 1), ("[6,7]", 0)])
def test_fewer_than_two_converged_networks_are_rejected(workspace, seeds, count):
    ended = run_in_process(workspace, MODULE, *OWN, *SMALL, f'overrides=["seeds={seeds}"]', "results=few")
    assert ended.code == 2
    allowed = "at least two in some condition of tiny"
    assert ended.stderr == f"error: converged networks must be {allowed}, got {count}.\n"
    assert ended.stdout.count("left out: ") == 2
    assert not (workspace / "few" / "tiny" / "activations").exists()


def test_a_damaged_run_folder_is_rejected(workspace):
    network = next(workspace.glob("runs/flip_flop/1bit*/networks/00002.safetensors"))
    network.write_bytes(network.read_bytes()[:-1])
    sentence = rejection(workspace, MODULE, *OWN, *SMALL, "results=fresh")
    assert sentence.startswith(
        f"{network.relative_to(workspace)} must be a complete file written by degen, got "
    )


@pytest.mark.parametrize("name", ["networks.parquet", "degeneracy.parquet"])
def test_a_damaged_table_is_rejected(workspace, name):
    path = workspace / "results" / "tiny" / name
    path.write_bytes(path.read_bytes()[:100])
    ended = run_in_process(workspace, MODULE, *OWN, *SMALL)
    assert ended.code == 2
    (error,) = [line for line in ended.stderr.splitlines() if not line.startswith("warning: ")]
    assert error.startswith(f"error: results/tiny/{name} must be a table that the analysis wrote")


def test_a_selection_that_is_another_table_is_rejected(workspace, monkeypatch):
    monkeypatch.setattr("analysis.figures.draw_all", lambda experiment, results: [])
    selection = next((workspace / "results" / "hyperparameters").glob("dsa-*"))
    shutil.copy(workspace / "results" / "tiny" / "networks.parquet", selection)
    ended = run_in_process(workspace, MODULE, *OWN, *SMALL)
    assert "must be a selection that the analysis wrote, got another table; delete it." in ended.stdout


def test_copies_of_other_bytes_are_written_again(workspace, monkeypatch):
    monkeypatch.setattr("analysis.figures.draw_all", lambda experiment, results: [])
    copies = [
        workspace / "results" / "tiny" / name for name in ("degeneracy.csv", "trends.csv", "report.html")
    ]
    for copy in copies:
        copy.write_bytes(b"\xff")
    ended = run_in_process(workspace, MODULE, *OWN, *SMALL)
    assert ended.code == 0, ended.stderr
    assert all(copy.read_bytes() != b"\xff" for copy in copies)


def test_a_folder_in_place_of_a_file_is_rejected_in_one_sentence(workspace):
    manifest = workspace / "results" / "tiny" / "manifest.json"
    manifest.unlink()
    manifest.mkdir()
    ended = run_in_process(workspace, MODULE, *OWN, *SMALL)
    allowed = "a file or folder that can be read and written, got Is a directory"
    assert (ended.code, ended.stderr) == (1, f"error: results/tiny/manifest.json must be {allowed}.\n")


def test_a_place_that_cannot_be_written_to_is_rejected(workspace):
    (workspace / "file").write_text("")
    sentence = rejection(workspace, MODULE, *OWN, *SMALL, "results=file")
    assert sentence == "results must be the path of a folder (file is a file), got 'file'."


def test_a_file_in_place_of_the_results_folder_is_rejected(workspace):
    (workspace / "other").mkdir()
    (workspace / "other" / "tiny").write_text("")
    sentence = rejection(workspace, MODULE, *OWN, *SMALL, "results=other")
    assert sentence == "results must be a writable folder, got other/tiny (File exists)."


def test_a_metric_whose_file_names_no_package_is_rejected(workspace):
    folder = workspace / OWN[1] / "metric"
    folder.mkdir()
    (folder / "mine.yaml").write_text("_target_: analysis.metrics.SVCCA\nvariance: 0.9\n")
    sentence = rejection(workspace, MODULE, *OWN, "metric=[svcca,mine]", "results=fresh")
    start = "a file of metric must be begun with the line # @package metrics.<name>, got '_target_, "
    assert sentence.startswith(start)
    assert not (workspace / "fresh").exists()


def test_signs_are_rejected_if_the_nonlinearity_is_not_odd(workspace, monkeypatch):
    monkeypatch.setattr(Standard, "is_odd", False)
    sentence = rejection(workspace, MODULE, *OWN, *SMALL, "results=fresh")
    start = "metrics.pif_signed.signs must be false for Standard networks, whose nonlinearity is not odd"
    assert sentence.startswith(start)
    assert not (workspace / "fresh").exists()


def test_procrustes_rejects_gated_networks(workspace, monkeypatch):
    monkeypatch.setattr(Standard, "blocks", 3)
    sentence = rejection(workspace, MODULE, *OWN, "metric=[pif_procrustes]", "results=fresh")
    assert sentence.startswith("metrics.pif_procrustes.solver must be faq for Standard networks, which have ")
    assert not (workspace / "fresh").exists()


def test_an_experiment_must_be_chosen(workspace):
    assert "experiment" in rejection(workspace, MODULE, *SMALL)
