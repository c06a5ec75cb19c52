"""Of tiny networks of real experiments: Table 1 as a page, and the report, in a real browser, too."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from analysis.measures import LEVELS
from analysis.replication.markdown import interval_of
from tests.analysis.conftest import EXPERIMENTS
from tests.login import PATIENCE


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


def test_an_interval_that_ends_at_nothing_tells_on_which_side():
    row = {"effect": -0.048, "low": -0.101, "high": -0.0021}
    assert interval_of(row) == "-5% [-10%, -0.2%]"
    assert interval_of(row | {"high": 0.0049}) == "-5% [-10%, +0.5%]"


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
    ended = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=PATIENCE)
    title = re.search(r"<title>(\[.*?\])</title>", ended.stdout)
    assert title, ended.stderr
    needed, there, images, rows = json.loads(title[1])
    assert width - 20 <= there <= width  # a scroll bar
    assert needed <= there  # nothing sticks out
    assert (images, rows) == (9, 1 + len(EXPERIMENTS))
