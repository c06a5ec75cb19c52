"""Report of experiments: one HTML file with outcomes, figures, network counts, costs and settings."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from analysis.cells import explanations, missing_networks, row_numbers, row_warnings
from analysis.experiment_results import STATUSES_AND_MISSING, ExperimentResults
from analysis.figures import MAIN, NAMES, SPECIFICATION
from analysis.labels import format_factor, task_title
from analysis.specification import specification_rows
from analysis.summary import describe, question, summarize
from analysis.trend_rows import POOLED, TrendRow, trend_table
from degen.condition import Condition
from degen.files import write_atomically
from degen.reporting.formatting import format_direction
from degen.reporting.html import render
from degen.storage import RunFolder
from launch.experiment import unique_conditions

Figure = tuple[str, Path]
"""Title and PNG file."""

Groups = Mapping[str, Mapping[str, TrendRow]]
"""Rows of a table of outcomes by title, then by the heading of their column (`TrendRow.heading`)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """Content of a report that depends on what it is about.

    Attributes:
        title: title of the page.
        introduction: first paragraph.
        command: command that writes the report.
        outcomes_title: title of the table of outcomes.
        groups: table of outcomes.
        rows: all rows, for the folded table.
        summary: lines of the summary by title, empty if there is none.
        figures: figures to show.
        folded_figures: further figures.
        not_drawn: figures that are missing or incomplete, and why.
        tables: further tables, with title and explanation.
        cost_note: sentence after the costs.
    """

    title: str
    introduction: str
    command: str
    outcomes_title: str
    groups: Groups
    rows: Sequence[TrendRow]
    summary: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    figures: Sequence[Figure] = ()
    folded_figures: Sequence[Figure] = ()
    not_drawn: Sequence[str] = ()
    tables: Sequence[tuple[str, str, pd.DataFrame]] = ()
    cost_note: str = ""

    def render(
        self,
        all_results: Mapping[str, ExperimentResults],
        runs: Path,
        settings: Mapping[str, Any] | None = None,
    ) -> str:
        """Return the page as HTML.

        Args:
            all_results: results of each experiment by name, analyzed or not.
            runs: folder of run folders.
            settings: settings of a command that is not the analysis itself.
        """
        conditions = unique_conditions([results.experiment for results in all_results.values()])
        sessions = list(_sessions(conditions, runs))
        return render(
            "analysis",
            "report.html.j2",
            filters=_FILTERS,
            report=self,
            scales=sorted({results.experiment.scale for results in all_results.values()}),
            headings=list(dict.fromkeys(heading for cells in self.groups.values() for heading in cells)),
            explanations=explanations(self.rows[0]) if self.rows else {},
            outcomes=_format_outcomes(self.rows),
            specifications=list(_specifications(all_results)),
            **_network_counts(all_results),
            required_networks=_required_networks(all_results),
            costs=_costs(sessions),
            versions=Counter(map(_version, sessions)),
            hyperparameters=_hyperparameters(all_results),
            settings=list(_settings(all_results, conditions, settings)),
        )


_FILTERS: dict[str, Callable[..., Any]] = {
    "direction": format_direction,
    "numbers": row_numbers,
    "missing_networks": missing_networks,
    "warnings": row_warnings,
}


def write_report(results: ExperimentResults, runs: Path) -> None:
    """Write the report of one experiment, unless it has not changed."""
    rows, name = results.trends, results.experiment.name
    page = Report(
        title=question(results.experiment),
        introduction=f"Experiment {name}: networks that differ in {' or '.join(results.experiment.factor)}.",
        command=f"python -m analysis experiment={name}",
        outcomes_title="Answer",
        groups=_by_task(rows),
        rows=rows,
        summary={
            title: [describe(row) for row in group] for title, group in summarize(rows).items() if group
        },
        figures=_drawn(results, [MAIN]),
        folded_figures=_drawn(results, [name for name in NAMES if name not in (MAIN, SPECIFICATION)]),
    ).render({name: results}, runs)
    path = results.results.report
    if not path.exists() or path.read_text() != page:
        write_atomically(path, page.encode())


def _by_task(rows: Sequence[TrendRow]) -> Groups:
    """Return the main measures of all tasks together, and of each task."""
    groups: dict[str, dict[str, TrendRow]] = {}
    for row in sorted(rows, key=lambda row: row.task != POOLED):
        if row.is_main_measure:
            title = "all tasks" if row.task == POOLED else task_title(row.task)
            groups.setdefault(title, {})[row.heading] = row
    return groups


def _drawn(results: ExperimentResults, names: Iterable[str]) -> list[Figure]:
    """Return the figures of an experiment that exist."""
    titles = {MAIN: "Main measures and what to compare them with", SPECIFICATION: "Effect by setting of DSA"}
    paths = {name: results.results.figures / f"{name}.png" for name in names}
    return [(titles.get(name, name.replace("-", " ")), path) for name, path in paths.items() if path.exists()]


def _specifications(all_results: Mapping[str, ExperimentResults]) -> Iterator[dict[str, Any]]:
    """Yield the specification curve of each experiment with several settings of DSA: figure and table."""
    for name, results in all_results.items():
        by_task = specification_rows(results.trends) if results.exists else {}
        if by_task:
            cells = {
                "all tasks" if task == POOLED else task_title(task): {
                    row.measure: f"{format_direction(row.direction)} {row_numbers(row)}".strip()
                    for row in rows
                }
                for task, rows in by_task.items()
            }
            table = pd.DataFrame(cells).rename_axis("setting").reset_index()
            yield {"name": name, "figures": _drawn(results, [SPECIFICATION]), "table": table}


def _format_outcomes(rows: Sequence[TrendRow]) -> pd.DataFrame:
    if not rows:
        return pd.DataFrame()
    table = trend_table(rows)
    percent = {
        name: table[name].map("{:+.0%}".format) for name in ("effect", "low", "high", "detectable_change")
    }
    numbers = {name: table[name].map("{:.2g}".format) for name in ("p", "p_error", "q", "smallest_p")}
    influential = table["influential_networks"].astype(object)
    table = table.assign(
        **percent, **numbers, influential_networks=influential.where(influential.notna(), "")
    )
    return table.round({"baseline_ratio": 2, "spearman": 2}).replace({"nan": "-", "+nan%": "-"})


def _network_counts(all_results: Mapping[str, ExperimentResults]) -> dict[str, Any]:
    statuses = list(STATUSES_AND_MISSING)
    tables = [_convergence(results).assign(experiment=name) for name, results in all_results.items()]
    table = pd.concat(tables, ignore_index=True)
    # A condition of two experiments may be missing in the tables of one of them.
    unique = table.sort_values("missing").drop_duplicates("condition")[statuses].sum()
    factor = table["factor_value"].map(format_factor)  # numbers in some experiments and text in others
    return {
        "network_counts": ", ".join(f"{unique[status]} {status}" for status in statuses),
        "counts_by_experiment": table.groupby("experiment", sort=False)[statuses].sum().reset_index(),
        "counts_by_condition": table.assign(factor_value=factor).drop(columns="condition"),
    }


def _convergence(results: ExperimentResults) -> pd.DataFrame:
    """Count the networks of each condition by status, and summarize their losses on fresh trials."""
    columns = ["condition", "task", "label", "factor_name", "factor_value", *STATUSES_AND_MISSING]
    table = results.counts[columns]
    if not results.exists:
        return table
    by_condition = results.networks.groupby("condition")
    ratio = by_condition["test_loss_ratio"]
    added = {
        "epochs to convergence (median)": by_condition["epochs_to_convergence"].median(),
        "fresh loss / threshold (median)": ratio.median().round(2),
        "fresh loss / threshold (largest)": ratio.max().round(2),
        "not below the threshold": ratio.agg(lambda ratios: int((ratios >= 1).sum())),
    }
    return table.assign(**{name: table["condition"].map(values) for name, values in added.items()})


def _required_networks(all_results: Mapping[str, ExperimentResults]) -> pd.DataFrame | None:
    """Return the networks per condition for intervals of plus or minus 10 %, by measure."""
    tables = [results.degeneracy for results in all_results.values() if results.exists]
    if not tables:
        return None
    table = pd.concat(tables).drop_duplicates(["condition", "measure"])
    by_measure = table.groupby(["level", "measure"])["networks_for_10_percent"]
    required = by_measure.quantile(pd.Index([0.5, 0.9])).unstack()
    required.columns = pd.Index(["median condition", "nine conditions in ten"])
    return required.round().reset_index()


def _sessions(conditions: Sequence[Condition], runs: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of all training sessions."""
    for condition in conditions:
        folder = RunFolder.of(runs, condition)
        if folder.path.exists():
            yield from folder.manifest.read()


def _costs(sessions: Sequence[Mapping[str, Any]]) -> str:
    hours: Counter[str] = Counter()
    for session in sessions:
        hours[session["device"]] += session["seconds"] / 3600
    return (
        ", ".join(f"{time:.2f} hours on {device}" for device, time in hours.items()) or "no run folders here"
    )


def _version(session: Mapping[str, Any]) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in session["versions"].items())
    return f"{packages}, commit {session['git_commit']}"


def _hyperparameters(all_results: Mapping[str, ExperimentResults]) -> pd.DataFrame:
    """Return the hyperparameters of each metric and task: one row if all experiments share them."""
    table = pd.concat(
        [results.hyperparameters.assign(experiments=name) for name, results in all_results.items()]
    )
    by_value = table.groupby(["metric", "task", "settings"], sort=False)["experiments"]
    return by_value.agg(", ".join).reset_index()


def _settings(
    all_results: Mapping[str, ExperimentResults],
    conditions: Sequence[Condition],
    settings: Mapping[str, Any] | None,
) -> Iterator[tuple[str, str]]:
    """Yield titles and YAML texts."""
    if settings is not None:
        yield "This report", yaml.safe_dump(dict(settings), sort_keys=False)
    for name, results in all_results.items():
        if results.manifest is not None:
            yield f"Analysis of {name}", yaml.safe_dump(results.manifest.settings, sort_keys=False)
    for condition in conditions:
        title = f"{condition.task_name}: {condition.name}"
        yield title, yaml.safe_dump(condition.config, sort_keys=False)
