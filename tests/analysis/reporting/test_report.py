"""The report of an experiment: its answer, figures, networks and settings in one file."""

from __future__ import annotations

import html
import re

import pytest

from tests.analysis.conftest import summary_word, table


@pytest.fixture(scope="module")
def report(analyzed) -> str:
    return html.unescape((analyzed / "results" / "tiny" / "report.html").read_text())


def test_the_report_answers_the_question_of_the_experiment(analyzed, report):
    assert "<h1>How does degeneracy change along bits (1, 2)?</h1>" in report
    rows = table(analyzed, "trends")
    for row in rows[rows["is_main_measure"]].to_dict("records"):
        assert f"N-bit flip-flop, {row['level']} ({row['measure']}): {summary_word(row)}" in report
    for part in ("How to read the outcomes", "confirmation trials", "not below the threshold"):
        assert part in report
    assert "the paper" not in report[: report.index("How to read")]


def test_parts_come_in_the_order_of_a_readers_questions(report):
    titles = re.findall(r"<h2>(.*?)</h2>", report)
    assert titles == [
        *("Answer", "Networks and convergence", "Figures", "Specification curve"),
        *("Clusters of networks", "Required number of networks", "Costs and versions", "Settings"),
    ]


def test_main_measures_are_shown_and_further_figures_folded(report):
    figures = report[report.index("<h2>Figures</h2>") : report.index("<h2>Specification curve</h2>")]
    shown, folded = figures.split("<details>")
    assert re.findall(r"<h3>(.*?)</h3>", shown)[1:] == ["How many solutions?"]
    assert shown.count('src="data:image/png;base64,') == 2
    assert folded.count('src="data:image/png;base64,') == 4
    assert shown.count("<figcaption>6 converged networks per condition, 12 in total\n") == 2
    assert folded.count("<figcaption>") == 4
    assert not re.search(r"""(src|href)=["'](?!data:)""", report)


def test_settings_and_versions_are_complete(report):
    for words in ("score: angular", "n_permutations: 99", "torch 2", "2 unconverged", "_target_"):
        assert words in report
