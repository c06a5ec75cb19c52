"""The report: one HTML file that opens without a network; verdict first, figures, counts, costs, settings."""

from __future__ import annotations

import base64
import html
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from analysis.experiment_results import ExperimentResults
from analysis.figures.paper import FIGURES
from analysis.labels import format_factor
from analysis.measures import LEVELS
from analysis.replication.manipulation_check import pilot
from analysis.replication.markdown import READING, floor_of, interval_of, p_of
from analysis.replication.table_one import WORDS
from degen.storage import RunFolder
from launch.experiment import unique_conditions

PAPER_GPU_HOURS = 68_000
"""App. N of the paper."""

_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 62rem; padding: 1rem; color: #1b1b1b;
  overflow-wrap: anywhere;  background: #fff; }
h1 { font-size: 1.5rem; line-height: 1.25; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
h3 { font-size: 1rem; margin-bottom: .3rem; }
img { max-width: 100%; height: auto; display: block; margin: .4rem 0 1.2rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; }
th, td { overflow-wrap: normal; padding: .25rem .6rem; text-align: left; vertical-align: top;
  border-bottom: 1px solid #ddd; }
th { white-space: nowrap; } td.yes { background: #d6ebf7; } td.no { background: #f8ddc6; }
pre { overflow-x: auto; font-size: .75rem; background: #f5f5f5; padding: .6rem; }
.scale { background: #fff3c4; padding: .5rem .8rem; } figcaption { font-size: .85rem; color: #444; }
summary { cursor: pointer; padding: .3rem 0; }
"""


def page(
    data: dict[str, ExperimentResults],
    verdict: pd.DataFrame,
    figures: Sequence[Path],
    missing: Sequence[str],
    runs: Path,
    settings: dict[str, Any],
) -> str:
    """The report as HTML.

    Args:
        data: of each experiment by name, analysed or not.
        verdict: as `analysis.replication.table_one.verdict` returns it.
        figures: drawn files; the PNGs are embedded.
        missing: figures that were not drawn, or in part, and why.
        runs: where run folders are.
        settings: of this report.
    """
    scales = sorted({one.experiment.scale for one in data.values()})
    note = "" if scales == ["full"] else f'<p class="scale">Scale: <b>{", ".join(scales)}</b>. {_SCALE}</p>'
    parts = [
        "<h1>Solution degeneracy of task-trained recurrent networks: a reproduction</h1>",
        f"<p>After arXiv 2410.03972. Made by <code>python -m analysis.paper</code>.</p>{note}",
        "<h2>Table 1, recomputed</h2>",
        _headline(verdict),
        f"<p>All tasks together. {html.escape(READING)}</p>",
        _details("Every task, measure and normalization", _verdict_table(verdict)),
        "<h2>Networks</h2>",
        _counts(data),
        "<h2>Does each factor move what it is meant to move?</h2>",
        "<p>Epochs: median to the threshold. Means over converged networks.</p>",
        _html(_in_words(pilot(data)).round(3)),
        "<h2>How many networks it takes</h2>",
        _needed(data),
        "<h2>Figures</h2>",
        *(_figure(path) for path in figures if path.suffix == ".png"),
        _missing(missing),
        "<h2>Costs and versions</h2>",
        _costs(data, runs),
        "<h2>Settings</h2>",
        _choices(data),
        _settings(data, settings),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Solution degeneracy: a reproduction</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


_SCALE = "Networks, trials, batches or ensembles are not the paper's; see Settings."


def _headline(verdict: pd.DataFrame) -> str:
    """Factors and experiments by levels, tasks pooled, on the paper's own measures."""
    if verdict.empty:
        return "<p>No experiment has enough networks for a verdict.</p>"
    pooled = verdict[
        (verdict["task"] == "pooled") & verdict["is_paper_measure"] & verdict["level"].isin(LEVELS)
    ]
    rows = []
    for (factor, experiment), group in pooled.groupby(["factor", "experiment"], sort=False):
        by_level = {row["level"]: _cell(row) for row in group.to_dict("records")}
        cells = "".join(by_level.get(level, "<td>not measured</td>") for level in LEVELS)
        rows.append(f"<tr><th>{factor}<br><small>{experiment}</small></th>{cells}</tr>")
    heads = "".join(f"<th>{level}</th>" for level in ("factor", *LEVELS))
    return f'<div class="scroll"><table id="verdict"><tr>{heads}</tr>{"".join(rows)}</table></div>'


def _cell(row: dict[Any, Any]) -> str:
    arrow = "" if row["direction"] == "-" else row["direction"]
    missing = f", {row['missing']} not trained" if row["missing"] else ""
    number = f" (any of {row['deciding']})" if row["deciding"] > 1 else ""
    hangs = f"<br>hangs on one network{number}: without {row['decided_by']}" if row["decided_by"] else ""
    return (
        f'<td class="{row["agreement"]}"><b>{arrow}</b> {interval_of(row)}<br><small>p = {p_of(row)}; '
        f"paper {row['paper']}: {WORDS[row['agreement']]}; {row['networks']} networks, "
        f"{row['left_out']} left out{missing}{floor_of(row)}{hangs}</small></td>"
    )


def _verdict_table(verdict: pd.DataFrame) -> str:
    if verdict.empty:
        return ""
    table = verdict.drop(columns=["factor", "is_paper_measure"])
    table["over_floor"] = table["over_floor"].round(1)
    for column in ("effect", "low", "high"):
        table[column] = table[column].map("{:+.0%}".format)
    table["p"] = table["p"].map("{:.2g}".format)
    table["deciding"] = table["deciding"].where(table["deciding"].notna(), "")
    return _html(table.assign(spearman=table["spearman"].round(2)))


def _in_words(table: pd.DataFrame) -> pd.DataFrame:
    """Factors of several experiments, numbers and others, as each is written: small ones are no zeros."""
    return (
        table.assign(factor_value=[format_factor(value) for value in table["factor_value"]])
        if len(table)
        else table
    )


def _html(table: pd.DataFrame) -> str:
    return f'<div class="scroll">{table.to_html(index=False, border=0, na_rep="-")}</div>'


def _details(summary: str, content: str) -> str:
    return f"<details><summary>{summary}</summary>{content}</details>"


def _counts(data: dict[str, ExperimentResults]) -> str:
    """What converged: a line an experiment, and each condition on demand."""
    tables = [one.counts.assign(experiment=name) for name, one in data.items()]
    table = pd.concat(tables, ignore_index=True)
    statuses = ["converged", "unconverged", "diverged", "missing"]
    total = table.groupby("experiment", sort=False)[statuses].sum().reset_index()
    # A condition of two experiments may be gathered in one only.
    unique = table.sort_values("missing").drop_duplicates("condition")[statuses].sum()
    words = ", ".join(f"{unique[status]} {status}" for status in statuses)
    columns = ["experiment", "task", "label", "factor_name", "factor_value", *statuses]
    return (
        f"<p>Networks, each condition counted once: {words}. Only converged networks enter a figure."
        "</p>" + _html(total) + _details("Each condition", _html(_in_words(table[columns])))
    )


def _needed(data: dict[str, ExperimentResults]) -> str:
    """Networks a condition for intervals of plus or minus 10 %, by measure."""
    tables = [one.degeneracy for one in data.values() if one.exists]
    if not tables:
        return ""
    table = pd.concat(tables).drop_duplicates(["condition", "measure"])
    needed = (
        table.groupby(["level", "measure"])["networks_for_10_percent"]
        .quantile(pd.Index([0.5, 0.9]))
        .unstack()
    )
    needed.columns = pd.Index(["median condition", "nine conditions in ten"])
    return (
        "<p>Networks a condition for an interval of plus or minus 10 % of the value, from today's intervals."
        "</p>" + _html(needed.round().reset_index())
    )


def _figure(path: Path) -> str:
    titles = {figure.stem: f"Figure {figure.number}: {figure.name.replace('-', ' ')}" for figure in FIGURES}
    titles["memory-demand"] = "Figure 9: memory demand of the tasks"
    content = base64.b64encode(path.read_bytes()).decode()
    title = titles.get(path.stem, path.stem)
    return f'<figure><h3>{title}</h3><img alt="{title}" src="data:image/png;base64,{content}"></figure>'


def _missing(missing: Sequence[str]) -> str:
    if not missing:
        return ""
    lines = "".join(f"<li>{html.escape(line)}</li>" for line in missing)
    return f"<h3>Not drawn, or in part</h3><ul>{lines}</ul>"


def _costs(data: dict[str, ExperimentResults], runs: Path) -> str:
    """Time of all training sessions by device, and the versions that ran them."""
    hours: Counter[str] = Counter()
    versions: Counter[str] = Counter()
    for condition in unique_conditions([one.experiment for one in data.values()]):
        folder = RunFolder.of(runs, condition)
        for session in folder.manifest.read() if folder.path.exists() else []:
            hours[session["device"]] += session["seconds"] / 3600
            named = ", ".join(f"{name} {version}" for name, version in session["versions"].items())
            versions[f"{named}, commit {session['git_commit']}"] += 1
    spent = (
        ", ".join(f"{time:.2f} hours on {device}" for device, time in hours.items()) or "no run folders here"
    )
    lines = "".join(f"<li>{html.escape(line)} ({count} sessions)</li>" for line, count in versions.items())
    return (
        f"<p>Wall-clock time of all training sessions: {html.escape(spent)}. The paper reports "
        f"{PAPER_GPU_HOURS:,} GPU-hours for its 3,400 networks.</p><ul>{lines}</ul>"
    )


def _choices(data: dict[str, ExperimentResults]) -> str:
    """What was chosen for each task: one line, if all experiments were analysed together."""
    table = pd.concat([one.hyperparameters.assign(experiments=name) for name, one in data.items()])
    if table.empty:
        return ""
    lines = (
        table.groupby(["metric", "task", "settings"], sort=False)["experiments"].agg(", ".join).reset_index()
    )
    several = lines.duplicated(["metric", "task"]).any()
    warning = (
        "<p><b>Experiments of a task that do not share a line do not compare.</b></p>" if several else ""
    )
    return "<p>Chosen once for all networks of a task:</p>" + _html(lines) + warning


def _settings(data: dict[str, ExperimentResults], settings: dict[str, Any]) -> str:
    parts = [_details("This report", f"<pre>{html.escape(yaml.safe_dump(settings, sort_keys=False))}</pre>")]
    for name, one in data.items():
        if one.manifest is not None:
            text = html.escape(yaml.safe_dump(one.manifest.settings, sort_keys=False))
            parts.append(_details(f"Analysis of {name}", f"<pre>{text}</pre>"))
    for condition in unique_conditions([one.experiment for one in data.values()]):
        text = html.escape(yaml.safe_dump(condition.config, sort_keys=False))
        parts.append(_details(html.escape(f"{condition.task_name}: {condition.name}"), f"<pre>{text}</pre>"))
    return "".join(parts)
