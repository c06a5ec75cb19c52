"""From tiny networks of real experiments to Table 1, the numbered figures and the report."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
import pytest

from analysis.figures.data import Data, factor_words, note
from analysis.figures.panels import seeds
from analysis.figures.paper import FIGURES, NUMBERS
from analysis.measures import LEVELS, MEASURES
from analysis.results import Results
from analysis.statistics import Bootstrap
from analysis.table import interval_of
from analysis.verdict import Permutations
from analysis.verdict import verdict as verdicts
from degen.storage import RunFolder
from launch.conditions import experiment
from tests.analysis.conftest import SMALL, store
from tests.conftest import Launched, refusal

TINY = (
    "scale=reduced",
    "scale.width=8",
    'scale.widths="6,8,10"',
    "training.batch=8",
    "training.steps_per_epoch=2",
    "training.max_epochs=3",
    "training.threshold=10",  # solved from the start
    "training.extra_epochs=1",
    "seeds=4",
)
OVERRIDES = "overrides=[" + ",".join("'" + text.replace("'", '"') + "'" for text in TINY) + "]"
EXPERIMENTS = ("auxiliary_loss", "network_size")
FEW = {"n_permutations": 19, "significance": 0.05}
PAPER = (f"experiments=[{','.join(EXPERIMENTS)}]", OVERRIDES, "permutations.n_permutations=99", SMALL[2])


def run(place: Path, module: str, *arguments: str) -> Launched:
    launched = Launched(arguments, place, module=module)
    assert launched.wait() == 0, launched.stderr
    return launched


@pytest.fixture(scope="session")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs, results and report of two experiments; one condition has an unconverged network."""
    place = tmp_path_factory.mktemp("paper")
    for name in EXPERIMENTS:
        run(place, "launch.train", f"experiment={name}", *TINY)
    widest = experiment("network_size", TINY).conditions[2]
    folder = RunFolder.of(place / "runs", widest)
    (folder.path / "networks" / "00003.safetensors").unlink()
    store(folder, 3, [20.0] * 3)
    for name in EXPERIMENTS:
        run(place, "analysis.__main__", f"experiment={name}", OVERRIDES, *SMALL)
    (place / "printed").write_text(run(place, "analysis.paper", *PAPER).stdout)
    return place


@pytest.fixture(scope="session")
def verdict(paper: Path) -> pd.DataFrame:
    return pd.read_csv(paper / "results" / "verdict.csv")


def test_a_row_for_every_task_level_and_measure_and_their_pool(verdict):
    measures = {(level, measure) for level, named in MEASURES.items() for measure in named}
    # What the analysis measured beside them, by its name.
    measures |= {
        ("weights", "pif_unaligned"),
        ("behaviour", "sigma_ood_noise"),
        ("behaviour", "sigma_ood_long"),
    }
    for name, tasks in (
        ("auxiliary_loss", {"delayed_discrimination", "pooled"}),
        ("network_size", {"flip_flop", "delayed_discrimination", "sine_wave", "path_integration", "pooled"}),
    ):
        rows = verdict[verdict["experiment"] == name]
        assert set(rows["task"]) == tasks
        for _, group in rows.groupby("task"):
            assert set(zip(group["level"], group["measure"], strict=True)) == measures
    assert np.isfinite(verdict[["effect", "low", "high", "p", "spearman"]]).all(axis=None)
    assert (verdict["low"] <= verdict["high"]).all()


def test_dynamics_say_how_far_above_their_floor_they_are(paper, verdict):
    table = pd.read_csv(paper / "results" / "network_size" / "degeneracy.csv")
    values = table.pivot(index=["task", "condition"], columns="measure", values="value")
    ratios = (values["dsa"] / values["dsa_null"]).groupby("task").min()
    rows = verdict[(verdict["experiment"] == "network_size") & (verdict["level"] == "dynamics")]
    found = rows.set_index("task")["over_floor"]
    assert found.drop("pooled").to_dict() == pytest.approx(ratios.to_dict())
    assert found["pooled"] == pytest.approx(ratios.min())
    assert verdict.loc[verdict["level"] != "dynamics", "over_floor"].isna().all()


def test_networks_that_did_not_converge_are_counted_and_left_out(verdict):
    rows = verdict[verdict["experiment"] == "network_size"].drop_duplicates("task").set_index("task")
    assert rows["networks"].to_dict() == {
        "flip_flop": 11,
        "delayed_discrimination": 12,
        "sine_wave": 12,
        "path_integration": 12,
        "pooled": 47,
    }
    assert rows["left_out"].to_dict() == {
        "flip_flop": 1,
        "delayed_discrimination": 0,
        "sine_wave": 0,
        "path_integration": 0,
        "pooled": 1,
    }


def test_converged_networks_of_a_condition_with_too_few_are_left_out_too(paper, tmp_path):
    results = Results(shutil.copytree(paper / "results" / "network_size", tmp_path / "network_size"))
    whole = experiment("network_size", TINY)
    table = pd.read_parquet(results.networks)
    few = next(c.signature for c in whole.conditions if c.task_name == "sine_wave")
    table.loc[(table["condition"] == few) & (table["seed"] < 2), "status"] = "unconverged"
    table.to_parquet(results.networks)
    found = verdicts(
        [whole], lambda name: results, Bootstrap(n_samples=50, level=0.95, seed=0), Permutations(**FEW)
    )
    rows = found.drop_duplicates("task").set_index("task")
    # Of the condition two did not converge, and two converged alone.
    assert rows.loc["sine_wave", ["conditions", "networks", "left_out"]].tolist() == [2, 8, 4]
    assert rows.loc["pooled", ["conditions", "networks", "left_out"]].tolist() == [11, 43, 5]


def test_normalizations_change_the_trend_by_what_they_divide_by(verdict):
    rows = verdict[(verdict["experiment"] == "network_size") & (verdict["task"] == "sine_wave")]
    effects = rows.set_index("measure")["effect"]
    # Along 6, 8 and 10 units, the fitted line of log n^2 rises by 2 log (10 / 6).
    assert 1 + effects["PIF / n^2"] == pytest.approx((1 + effects["PIF"]) * (6 / 10) ** 2)
    assert (verdict[verdict["measure"] == "PIF / n^2"]["is_paper_measure"]).equals(
        verdict[verdict["measure"] == "PIF / n^2"]["experiment"] == "network_size"
    )


def test_an_agreement_is_that_of_the_arrows_and_undecided_without_one(verdict):
    without = (verdict["level"] == "representation") | (verdict["measure"] == "mean OOD")
    assert verdict.loc[without, ["paper", "agreement"]].isna().all(axis=None)
    judged = verdict[~without]
    expected = np.where(
        judged["direction"] == "-",
        "undecided",
        np.where(judged["direction"] == judged["paper"], "yes", "no"),
    )
    assert judged["agreement"].tolist() == expected.tolist()
    judged = verdict[verdict["level"].isin(LEVELS)]
    undecided = (judged["p"] >= 0.05) | ((judged["low"] <= 0) & (judged["high"] >= 0))
    undecided |= judged["slope"] * judged["effect"] < 0
    assert (undecided == (judged["direction"] == "-")).all()


def test_networks_that_decide_are_counted_and_one_named_where_there_is_an_arrow_of_the_papers(verdict):
    tested = verdict["is_paper_measure"] & verdict["level"].isin(LEVELS)
    assert (verdict["deciding"].notna() == tested).all()
    rows = verdict[tested]
    assert (rows["deciding"] <= rows["networks"]).all()
    assert ((rows["deciding"] > 0) == rows["decided_by"].notna()).all()
    # Four networks a condition: some verdict hangs on one.
    decided = rows[rows["deciding"] > 0]
    assert len(decided)
    for row in decided.to_dict("records"):
        line = re.fullmatch(
            r"(\w+) (\S+-[0-9a-f]{12}) seed (\d)( and its condition)?: (agrees|disagrees|undecided), "
            r"[+-]\d+% \[[+-]\d+%, [+-]\d+%\](, p = [\d.e-]+)?",
            row["decided_by"],
        )
        assert line, row["decided_by"]
        task, name, seed, _, words, _ = line.groups()
        assert row["task"] in (task, "pooled")
        found = [c for c in experiment(row["experiment"], TINY).conditions if c.name == name]
        assert [c.task_name for c in found] == [task]
        assert int(seed) in range(4)
        assert {"yes": "agrees", "no": "disagrees"}.get(row["agreement"], "undecided") != words
    # An experiment of one task: the pool is that task.
    alone = rows[rows["experiment"] == "auxiliary_loss"].groupby("level")
    assert (alone["deciding"].nunique() == 1).all()


def test_every_figure_of_the_experiments_is_drawn_and_the_others_are_named_with_the_reason(paper):
    printed = (paper / "printed").read_text()
    drawn = {path.stem for path in (paper / "results" / "figures").glob("*.pdf")}
    for figure in FIGURES:
        if figure.stem not in drawn:
            assert f"not drawn: {figure.stem}: no results of " in printed
    assert {
        "figure-04-memory-demand-and-auxiliary-loss",
        "figure-04-auxiliary-loss-attractors",
        "figure-07-network-size",
        "figure-10-representation-network-size",
        "figure-13-behaviour-network-size",
        "figure-20-kernel-alignment-by-width-flip-flop",
        "figure-21-kernel-alignment-by-width-delayed-discrimination",
        "figure-22-kernel-alignment-by-width-sine-wave",
        "figure-23-kernel-alignment-by-width-path-integration",
    } == drawn
    for stem in drawn - {stem for stem in drawn if "kernel-alignment" in stem}:
        png = paper / "results" / "figures" / f"{stem}.png"
        assert matplotlib.image.imread(png)[..., :3].std() > 0.02


def test_every_network_is_in_the_panel_of_single_networks(paper):
    found = Data(experiment("network_size", TINY), Results(paper / "results" / "network_size"))
    for task in found.tasks:
        left, right = seeds(["kernel_alignment", "weight_change"], found, task).axes[:2]
        values = np.concatenate([line.get_ydata() for line in left.lines])
        networks = found.networks[found.networks["task"] == task]
        assert np.nanmax(values) == networks["kernel_alignment"].max()
        assert np.isfinite(values).sum() == len(networks)
        for axis in (left, right):
            assert axis.get_ylim()[1] > np.nanmax(values)
            assert axis.get_ylim()[0] <= np.nanmin(values)


def test_a_figure_counts_every_network_and_names_conditions_that_are_not_drawn(paper):
    found = Data(experiment("network_size", TINY), Results(paper / "results" / "network_size"))
    counts = found.counts.copy()
    counts.loc[0, ["converged", "unconverged"]] = 1, 3
    found.__dict__["counts"] = counts
    words = note(found)
    numbers = [int(number) for number in re.findall(r"([0-9]+) (?:in all|unconverged|alone)", words)]
    assert len(numbers) == 3
    assert sum(numbers) == 48
    assert "1 alone in a condition" in words
    assert "no two converged networks, and not drawn: N-bit flip-flop 6;" in words


def test_small_values_of_a_factor_are_short_and_none_is_a_zero():
    written = {
        0: "0",
        0.0001: "1e-4",
        0.00055: "5.5e-4",
        0.003: "3e-3",
        0.01: "0.01",
        128: "128",
        0.25: "0.25",
    }
    assert {value: factor_words(value) for value in written} == written
    assert [factor_words(value) for value in (True, False, "small")] == ["with", "without", "small"]


def test_the_numbers_are_the_papers():
    # 1 and 2 are schematic; 9 is that of `analysis.memory_demand`.
    assert [*range(3, 9), *range(10, 30)] == NUMBERS


def test_a_list_of_experiments_is_analysed_but_for_those_that_are_not_trained(paper, tmp_path):
    place = shutil.copytree(paper, tmp_path / "place")
    conf = place / "settings" / "experiment"
    conf.mkdir(parents=True)
    listed = "[auxiliary_loss, low_rank]"
    (conf / "both.yaml").write_text(f"# @package _global_\nexperiment:\n  of: {listed}\n")
    arguments = ("--config-dir", "settings", "experiment=both", OVERRIDES, *SMALL)
    lines = run(place, "analysis.__main__", *arguments).stdout.splitlines()
    assert lines[:2] == [
        "left out: low_rank, no condition has two finished networks",
        "gather: 8 networks, 0 of them new",
    ]


def test_one_figure_is_drawn_alone(paper, tmp_path):
    place = shutil.copytree(paper, tmp_path / "place")
    shutil.rmtree(place / "results" / "figures")
    before = (place / "results" / "report.html").stat().st_mtime_ns
    run(place, "analysis.paper", *PAPER, "figures=[7]", "report=false")
    assert {path.name for path in (place / "results" / "figures").iterdir()} == {
        "figure-07-network-size.pdf",
        "figure-07-network-size.png",
    }
    assert (place / "results" / "report.html").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("arguments", "field", "allowed"),
    [
        (["figures=[2]"], "figures", "all or a list of numbers among 3, 4"),
        (["figures=some"], "figures", "all or a list of numbers"),
        (["results=nowhere"], "results", "a folder with the results of an experiment"),
        (["permutations.n_permutations=3"], "permutations.n_permutations", "an integer of at least 19"),
        (["permutations.significance=5"], "permutations.significance", "finite number above 0"),
        (["experiments=[nothing]"], "experiment", "task_complexity"),
        (['overrides=["dtype=float64"]'], "overrides", "those that results/auxiliary_loss was made with, ["),
        (["overrides=[]"], "overrides", "those that results/auxiliary_loss was made with, ["),
    ],
)
def test_bad_input_is_refused_in_one_sentence(paper, arguments, field, allowed):
    sentence = refusal(Launched((*PAPER, *arguments), paper, module="analysis.paper"))
    assert sentence.startswith(f"{field} must be ")
    assert allowed in sentence


def test_measures_of_metrics_that_were_not_analysed_are_not_in_the_verdict(paper, verdict, tmp_path):
    place = shutil.copytree(paper, tmp_path / "place")
    arguments = ("experiment=network_size", OVERRIDES, *SMALL, "probe.seed=1", "metric=[dsa]")
    run(place, "analysis.__main__", *arguments)
    run(place, "analysis.paper", *PAPER, "figures=[7]")
    found = pd.read_csv(place / "results" / "verdict.csv")
    # Matrices of the former probe lie there still.
    assert list(place.glob("results/network_size/matrices/svcca/*"))
    levels = found.groupby("experiment")["level"].unique()
    assert set(levels["network_size"]) == {"dynamics", "behaviour"}
    assert set(levels["auxiliary_loss"]) == set(verdict["level"])
    assert "not measured" in (place / "results" / "table-1.md").read_text()


def test_figures_and_table_are_of_a_finished_analysis_alone(paper, tmp_path):
    place = shutil.copytree(paper, tmp_path / "place")
    before = (place / "results" / "verdict.csv").read_bytes()
    analysis = Launched(
        ("experiment=network_size", OVERRIDES, *SMALL, "ood.seed=1"), place, module="analysis.__main__"
    )
    analysis.wait_for("gather: ")
    analysis.kill()
    analysis.wait()
    sentence = refusal(Launched(PAPER, place, module="analysis.paper"))
    assert sentence.startswith("results must be of an analysis that went to its end")
    assert (place / "results" / "verdict.csv").read_bytes() == before


def test_tables_of_other_numbers_of_networks_are_refused_whatever_they_say_they_are_of(paper, tmp_path):
    place = shutil.copytree(paper, tmp_path / "place")
    path = place / "results" / "network_size" / "networks.parquet"
    pd.read_parquet(path).iloc[1:].to_parquet(path)
    sentence = refusal(Launched(PAPER, place, module="analysis.paper"))
    assert sentence.startswith("results must be of an analysis that went to its end")


def test_results_of_an_experiment_that_was_changed_since_are_refused(paper, tmp_path):
    place = shutil.copytree(paper, tmp_path / "place")
    path = place / "results" / "network_size" / "networks.parquet"
    table = pd.read_parquet(path)
    table.assign(condition=table["condition"].replace(table["condition"].iloc[0], "0123456789ab")).to_parquet(
        path
    )
    sentence = refusal(Launched(PAPER, place, module="analysis.paper"))
    assert sentence.startswith("results must be of the experiment as it is now: python -m analysis again")


def test_what_is_drawn_in_part_or_not_at_all_is_named(paper, tmp_path):
    place = shutil.copytree(paper, tmp_path / "place")
    shutil.rmtree(place / "results" / "auxiliary_loss")
    printed = run(place, "analysis.paper", *PAPER, "figures=[4]", "report=false").stdout
    assert "not drawn: figure-04-memory-demand-and-auxiliary-loss: no results of" in printed
    run(place, "analysis.__main__", "experiment=memory_demand", OVERRIDES, *SMALL)
    of = PAPER[0].replace("auxiliary_loss", "memory_demand,auxiliary_loss")
    printed = run(place, "analysis.paper", of, *PAPER[1:], "figures=[4]", "report=false").stdout
    assert (
        "drawn in part: figure-04-memory-demand-and-auxiliary-loss: no results of auxiliary_loss" in printed
    )


def test_a_condition_of_two_experiments_is_counted_where_it_was_gathered(paper, tmp_path):
    place = shutil.copytree(paper, tmp_path / "place")
    shutil.rmtree(place / "results" / "auxiliary_loss")
    more = (PAPER[0].replace("auxiliary_loss", "task_complexity,memory_demand"), *PAPER[1:], "figures=[7]")
    run(place, "analysis.__main__", "experiment=memory_demand", OVERRIDES, *SMALL)
    run(place, "analysis.paper", *more)
    counted = re.search(
        r"counted once: (\d+) converged, (\d+) unconverged, \d+ diverged, (\d+) missing",
        (place / "results" / "report.html").read_text(),
    )
    assert counted
    conditions = {
        c.signature
        for name in ("task_complexity", "memory_demand", "network_size")
        for c in experiment(name, TINY).conditions
    }
    # The base is of two of them, and was trained for the auxiliary loss.
    assert [int(number) for number in counted.groups()] == [47 + 4, 1, 4 * len(conditions) - 52]


def test_a_matrix_that_is_not_of_the_networks_in_the_table_is_refused(paper, tmp_path):
    place = shutil.copytree(paper, tmp_path / "place")
    next(place.glob("results/network_size/matrices/pif/*")).unlink()
    launched = Launched(PAPER, place, module="analysis.paper")
    assert launched.wait() == 2
    assert re.search(
        r"error: results/network_size/matrices/pif/\w+.safetensors must be of seeds", launched.stderr
    )


def test_trajectories_are_those_of_a_network_with_its_fixed_and_slow_points(paper):
    table = pd.read_parquet(paper / "results" / "auxiliary_loss" / "trajectories.parquet")
    for _, rows in table.groupby("condition"):
        trials = rows[rows["kind"] == "trial"]
        assert len(trials) == 8 * 60
        assert set(trials["value"].round(6)) <= {-1.0, 1.0}
        # A network with small weights rests somewhere without input.
        for kind, fastest in (("slow", 1e-4), ("fixed", 1e-10)):
            assert len(rows[rows["kind"] == kind]) >= 1
            assert (rows.loc[rows["kind"] == kind, "q"] <= fastest).all()


def test_every_converged_network_has_a_row_of_line_measures_for_both_periods(paper):
    table = pd.read_csv(paper / "results" / "auxiliary_loss" / "line_attractors.csv")
    assert table.groupby(["factor", "period"])["seed"].apply(list).tolist() == [[0, 1, 2, 3]] * 4
    # Hardly trained, they forget.
    assert not table["is_line"].any()


def test_the_pilot_has_a_row_for_every_condition_with_its_counts(paper):
    table = pd.read_csv(paper / "results" / "pilot.csv")
    assert table["experiment"].value_counts().to_dict() == {"network_size": 12, "auxiliary_loss": 2}
    assert (table[["converged", "unconverged", "diverged", "missing"]].sum(axis=1) == 4).all()
    assert table["unconverged"].sum() == 1
    assert (table["epochs_to_threshold"] == 1).all()


def test_table_one_as_a_page_says_what_the_verdict_does(paper, verdict):
    page = (paper / "results" / "table-1.md").read_text()
    together, each, by_measure, hanging = (
        part.split("\n\n", 1)[1].splitlines() for part in page.split("\n## ")[1:]
    )
    rows = verdict[verdict["is_paper_measure"] & verdict["level"].isin(LEVELS)]
    for lines, (first, second), chosen in (
        (together, ("factor", "experiment"), rows[rows["task"] == "pooled"]),
        (each, ("experiment", "task"), rows[rows["task"] != "pooled"]),
    ):
        cells = [[cell.strip() for cell in line.strip("| \n").split(" | ")] for line in lines if line]
        assert cells[0] == [first, second, *LEVELS, "conditions", "networks (left out)"]
        assert [row[:2] for row in cells[2:]] == chosen[[first, second]].drop_duplicates().values.tolist()
        found = {
            (*row[:2], level): cell for row in cells[2:] for level, cell in zip(LEVELS, row[2:], strict=False)
        }
        assert len(found) == len(chosen)
        for row in chosen.to_dict("records"):
            cell = found[row[first], row[second], row["level"]]
            word = {"yes": "agrees", "no": "disagrees"}.get(row["agreement"], "undecided")
            arrow = "" if row["direction"] == "-" else f"{row['direction']} "
            assert cell.startswith(f"{arrow}{interval_of(row)}, p ")
            floor = f", down to {row['over_floor']:.1f} times its floor" if row["over_floor"] < 2 else ""
            assert cell.endswith(f"paper {row['paper']}: **{word}**{floor}")
        assert cells[-1][-2:] == (["12", "47 (1)"] if first == "factor" else ["3", "12 (0)"])
    pooled = verdict[verdict["task"] == "pooled"]
    assert len(by_measure) == 2 + len(pooled[["level", "measure"]].drop_duplicates())
    for row in pooled.to_dict("records"):
        (line,) = (line for line in by_measure if line.startswith(f"| {row['level']} | {row['measure']} |"))
        cell = line.split(" | ")[2 + list(pooled["experiment"].unique()).index(row["experiment"])]
        assert interval_of(row) in cell
        assert cell.strip("| ").startswith("**") == (row["is_paper_measure"] and row["level"] in LEVELS)
    assert len(hanging) == rows["decided_by"].notna().sum()
    for row in rows[rows["decided_by"].notna()].to_dict("records"):
        start = f"- {row['experiment']}, {row['task']}, {row['level']}: "
        assert any(line.startswith(start) and line.endswith(row["decided_by"]) for line in hanging)


# The report -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def report(paper: Path) -> str:
    return (paper / "results" / "report.html").read_text()


def test_the_report_holds_everything_and_asks_the_network_for_nothing(report):
    assert report.index("Table 1, recomputed") < report.index("<h2>Figures</h2>")
    assert report.count('src="data:image/png;base64,') == 9
    assert not re.search(r"""(src|href)=["'](?!data:)""", report)
    assert "@import" not in report
    assert "url(" not in report
    for words in (
        *("Scale: <b>reduced with scale.width=8, ", "68,000 GPU-hours", "torch 2", "1 unconverged"),
        *("_target_", "Analysis of network_size", "score: angular", "n_samples: 200"),
    ):
        assert words in report


def test_the_report_says_which_verdict_hangs_on_one_network(report, verdict):
    table = report[report.index('id="verdict"') : report.index("</table>")]
    pooled = verdict[(verdict["task"] == "pooled") & verdict["decided_by"].notna()]
    assert table.count("hangs on one network") == len(pooled)
    for row in pooled.to_dict("records"):
        number = f" (any of {row['deciding']:.0f})" if row["deciding"] > 1 else ""
        assert f"hangs on one network{number}: without {row['decided_by']}" in table
    assert "NA&gt;" not in report


@pytest.fixture(scope="session")
def browser() -> str:
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium here: apt-get install chromium (.ci/run does)")
    return found


@pytest.mark.parametrize("width", [360, 1200], ids=["phone", "desk"])
def test_a_browser_shows_the_report_within_the_width_of_the_screen(report, browser, tmp_path, width):
    # In a frame of that width: a window of Chromium's cannot be as narrow as a phone. The script writes down
    # what the browser made of the page.
    script = """<script>onload = () => {
        const page = document.querySelector("iframe").contentDocument, images = [...page.images];
        document.title = JSON.stringify([page.documentElement.scrollWidth, page.documentElement.clientWidth,
            images.filter(image => image.complete && image.naturalWidth > 0).length,
            page.getElementById("verdict").rows.length]) }</script>"""
    frame = f'<iframe style="border:0;width:{width}px;height:700px" srcdoc="{html.escape(report)}"></iframe>'
    page = tmp_path / "page.html"
    page.write_text(f'<!doctype html><meta charset="utf-8"><title></title>{script}{frame}')
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command = [browser, *options, "--window-size=1300,900", "--virtual-time-budget=9000", "--dump-dom"]
    ended = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=120)
    title = re.search(r"<title>(\[.*?\])</title>", ended.stdout)
    assert title, ended.stderr
    needed, there, images, rows = json.loads(title[1])
    assert width - 20 <= there <= width  # a scroll bar
    assert needed <= there  # nothing sticks out
    assert (images, rows) == (9, 1 + len(EXPERIMENTS))


def test_an_interval_that_ends_at_nothing_tells_on_which_side():
    row = {"effect": -0.048, "low": -0.101, "high": -0.0021}
    assert interval_of(row) == "-5% [-10%, -0.2%]"
    assert interval_of(row | {"high": 0.0049}) == "-5% [-10%, +0.5%]"
