"""Table 1 as a page and the report, also in a real browser, for tiny networks of real experiments."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from analysis.measures import LEVELS
from degen.reporting.formatting import format_effect
from tests.analysis.conftest import EXPERIMENTS
from tests.login import PATIENCE


def effect(row: dict) -> str:
    return format_effect(row["effect"], row["low"], row["high"])


def test_the_page_shows_all_outcomes(paper, outcomes):
    page = (paper / "results" / "table-1.md").read_text()
    together, each, by_measure, influential = (
        part.split("\n\n", 1)[1].splitlines() for part in page.split("\n## ")[1:]
    )
    rows = outcomes[outcomes["is_paper_measure"] & outcomes["level"].isin(LEVELS)]
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
            arrow = "" if row["direction"] == "-" else f"{row['direction']} "
            assert cell.startswith(f"{arrow}{effect(row)}, p ")
            ratio = row["baseline_ratio"]
            warning = f", only {ratio:.1f} times its split-half baseline" if ratio < 2 else ""
            assert cell.endswith(f"paper {row['paper_direction']}: **{row['outcome']}**{warning}")
        assert cells[-1][-2:] == (["12", "47 (1)"] if first == "factor" else ["3", "12 (0)"])
    pooled = outcomes[outcomes["task"] == "pooled"]
    assert len(by_measure) == 2 + len(pooled[["level", "measure"]].drop_duplicates())
    for row in pooled.to_dict("records"):
        (line,) = (line for line in by_measure if line.startswith(f"| {row['level']} | {row['measure']} |"))
        cell = line.split(" | ")[2 + list(pooled["experiment"].unique()).index(row["experiment"])]
        assert effect(row) in cell
        assert cell.strip("| ").startswith("**") == (row["is_paper_measure"] and row["level"] in LEVELS)
    assert len(influential) == rows["most_influential"].notna().sum()
    for row in rows[rows["most_influential"].notna()].to_dict("records"):
        start = f"- {row['experiment']}, {row['task']}, {row['level']}: "
        assert any(line.startswith(start) and line.endswith(row["most_influential"]) for line in influential)


@pytest.fixture(scope="session")
def report(paper: Path) -> str:
    return (paper / "results" / "report.html").read_text()


def test_the_report_is_complete_and_needs_no_network(report):
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


def test_the_report_names_outcomes_that_depend_on_one_network(report, outcomes):
    table = html.unescape(report[report.index('id="table-1"') : report.index("</table>")])
    pooled = outcomes[(outcomes["task"] == "pooled") & outcomes["most_influential"].notna()]
    assert table.count("depends on one network") == len(pooled)
    for row in pooled.to_dict("records"):
        number = f" (any of {row['deciding']:.0f})" if row["influential_networks"] > 1 else ""
        assert f"depends on one network{number}: without {row['most_influential']}" in table
    assert "NA&gt;" not in report


@pytest.fixture(scope="session")
def browser() -> str:
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium here: apt-get install chromium (.ci/run does)")
    return found


@pytest.mark.parametrize("width", [360, 1200], ids=["phone", "desk"])
def test_a_browser_shows_the_report_within_the_screen(report, browser, tmp_path, width):
    # In a frame of this width, because windows of Chromium cannot be as narrow as a phone. The script reports
    # how the browser shows the page.
    script = """<script>onload = () => {
        const page = document.querySelector("iframe").contentDocument, images = [...page.images];
        document.title = JSON.stringify([page.documentElement.scrollWidth, page.documentElement.clientWidth,
            images.filter(image => image.complete && image.naturalWidth > 0).length,
            page.getElementById("table-1").rows.length]) }</script>"""
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
