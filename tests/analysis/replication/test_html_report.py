"""Table 1 as a page and the report, also in a real browser, for tiny networks of real experiments."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.trends.measures import SECOND_HEADLINES
from analysis.trends.outcomes import format_outcome
from degen.reporting.formatting import format_effect, format_p
from tests.analysis.conftest import EXPERIMENTS
from tests.login import PATIENCE


def numbers(row: dict) -> str:
    """Effect, interval, p and q of a row as in its cell."""
    p = format_p(row["p"], row["p_error"], row["significance"])
    q = "" if np.isnan(row["q"]) else f", q {row['q']:.2g}"
    return f"{format_effect(row['effect'], row['low'], row['high'])}, p {p}{q}"


def outcome_of(row: dict) -> str:
    return format_outcome(row["outcome"], "" if pd.isna(row["outcome_detail"]) else row["outcome_detail"])


HEADINGS = [
    "dynamics",
    "dynamics (dsa_weighted)",
    "weights",
    "weights (PIF signed)",
    "behavior",
    "behavior (sigma log OOD)",
]


def heading(row: dict) -> str:
    is_second = row["measure"] in SECOND_HEADLINES
    return f"{row['level']} ({row['measure']})" if is_second else row["level"]


def cells_of(lines: list[str]) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("| \n").split(" | ")] for line in lines if line]


def test_the_page_shows_all_outcomes(paper, outcomes):
    page = (paper / "results" / "table-1.md").read_text()
    together, by_task, by_measure, influential = (
        part.split("\n\n", 1)[1].splitlines() for part in page.split("\n## ")[1:]
    )
    rows = outcomes[outcomes["is_main_measure"]]
    for lines, (first, second), table_rows in (
        (together, ("factor", "experiment"), rows[rows["is_headline"]]),
        (by_task, ("experiment", "task"), rows[rows["task"] != "pooled"]),
    ):
        cells = cells_of(lines)
        assert cells[0] == [first, second, *HEADINGS, "conditions", "networks (left out)"]
        assert [row[:2] for row in cells[2:]] == table_rows[[first, second]].drop_duplicates().values.tolist()
        result = {
            (*row[:2], name): cell for row in cells[2:] for name, cell in zip(cells[0], row, strict=True)
        }
        for row in table_rows.to_dict("records"):
            arrow = "" if row["direction"] == "-" else f"{row['direction']} "
            start = f"{arrow}**{outcome_of(row)}**; {numbers(row)}; paper {row['paper_direction']}"
            assert result[row[first], row[second], heading(row)].startswith(start)
    assert len(cells_of(by_measure)) == 2 + len(outcomes[["level", "measure"]].drop_duplicates())
    for row in rows[rows["is_headline"]].to_dict("records"):
        (line,) = (line for line in by_measure if line.startswith(f"| {row['level']} | {row['measure']} |"))
        cell = cells_of([line])[0][2 + list(outcomes["experiment"].unique()).index(row["experiment"])]
        assert re.fullmatch(rf"\*\*.*{re.escape(row['outcome'])}\*\*", cell)
    named = rows[rows["most_influential"].notna()].to_dict("records")
    assert len(influential) == max(1, len(named))
    for row in named:
        start = f"- {row['experiment']}, {row['task']}, {heading(row)}: "
        assert any(line.startswith(start) and line.endswith(row["most_influential"]) for line in influential)


@pytest.fixture(scope="session")
def report(paper: Path) -> str:
    return (paper / "results" / "report.html").read_text()


def test_the_report_is_complete_and_needs_no_network(report):
    assert report.index("Table 1, recomputed") < report.index("<h2>Figures</h2>")
    assert report.count('src="data:image/png;base64,') == report.count("<figcaption>") == 9
    assert not re.search(r"""(src|href)=["'](?!data:)""", report)
    assert "@import" not in report
    assert "url(" not in report
    for words in (
        *("Specification curve", "How to read the outcomes", "not below the threshold"),
        *("Scale: <b>reduced with scale.width=8, ", "68,000 GPU-hours", "torch 2", "1 unconverged"),
        *("_target_", "Analysis of network_size", "score: angular", "n_samples: 200"),
    ):
        assert words in report


def test_the_report_has_table_one_with_the_papers_directions(report, outcomes):
    table = html.unescape(report[report.index('id="outcomes"') : report.index("</table>")])
    headlines = outcomes[outcomes["is_headline"]]
    assert table.count("; paper ") == len(headlines)
    for row in headlines.to_dict("records"):
        assert outcome_of(row) in table
        assert numbers(row) in table
        if isinstance(row["most_influential"], str):
            assert row["most_influential"] in table
    assert "NA&gt;" not in report
    assert "nan" not in table


@pytest.fixture(scope="session")
def browser() -> str:
    names = ("chromium", "chromium-browser", "google-chrome")
    result = next((path for name in names if (path := shutil.which(name))), None)
    if result is None:
        pytest.skip("no Chromium here: apt-get install chromium (.ci/run does)")
    return result


@pytest.mark.parametrize("width", [360, 1200], ids=["phone", "desk"])
def test_a_browser_shows_the_report_within_the_screen(report, browser, tmp_path, width):
    # In a frame of this width, because windows of Chromium cannot be as narrow as a phone. The script reports
    # how the browser shows the page.
    script = """<script>onload = () => {
        const page = document.querySelector("iframe").contentDocument, images = [...page.images];
        document.title = JSON.stringify([page.documentElement.scrollWidth, page.documentElement.clientWidth,
            images.filter(image => image.complete && image.naturalWidth > 0).length,
            page.getElementById("outcomes").rows.length]) }</script>"""
    frame = f'<iframe style="border:0;width:{width}px;height:700px" srcdoc="{html.escape(report)}"></iframe>'
    page = tmp_path / "page.html"
    page.write_text(f'<!doctype html><meta charset="utf-8"><title></title>{script}{frame}')
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command = [browser, *options, "--window-size=1300,900", "--virtual-time-budget=9000", "--dump-dom"]
    ended = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=PATIENCE)
    title = re.search(r"<title>(\[.*?\])</title>", ended.stdout)
    assert title, ended.stderr
    needed, there, images, rows = json.loads(title[1])
    assert width - 20 <= there <= width  # a scroll bar
    assert needed <= there  # nothing sticks out
    assert (images, rows) == (9, 1 + len(EXPERIMENTS))
