"""Report of experiments: one HTML file with outcomes, figures, network counts, costs and settings."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from analysis.experiment_results import ExperimentResults
from analysis.figures import BETWEEN, MAIN, NAMES, SNAPSHOTS, SOLUTIONS, SPECIFICATION
from analysis.reporting.report_tables import (
    between_levels_table,
    hyperparameters_table,
    network_counts,
    outcomes_table,
    required_networks,
    solutions_tables,
)
from analysis.reporting.summary import question, summary_lines
from analysis.settings import analyze_command
from analysis.trends.cells import (
    explanations,
    has_several_terms,
    missing_networks,
    row_numbers,
    row_task,
    row_term,
    row_warnings,
)
from analysis.trends.rows import POOLED, TrendRow, trend_task_title
from analysis.trends.specification import specification_rows
from degen.condition import Condition
from degen.files import has_content, write_atomically
from degen.reporting.formatting import format_direction
from degen.reporting.html import render
from degen.storage import RunFolder
from launch.experiment import unique_conditions

Figure = tuple[str, Path]
"""Title and PNG file."""

_SHOWN = (MAIN, BETWEEN, SNAPSHOTS, SOLUTIONS)

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
            "analysis.reporting",
            "report.html.j2",
            filters=_FILTERS,
            report=self,
            scales=sorted({results.experiment.scale for results in all_results.values()}),
            headings=list(dict.fromkeys(heading for cells in self.groups.values() for heading in cells)),
            explanations=explanations(self.rows[0]) if self.rows else {},
            outcomes=outcomes_table(self.rows),
            specifications=list(_specifications(all_results)),
            **network_counts(all_results),
            required_networks=required_networks(all_results),
            costs=_costs(sessions),
            versions=Counter(map(_version, sessions)),
            hyperparameters=hyperparameters_table(all_results),
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
    rows, name, manifest = results.trends, results.experiment.name, results.manifest
    overrides = [] if manifest is None else manifest.settings["overrides"]
    page = Report(
        title=question(results.experiment),
        introduction=f"Experiment {name}: networks that differ in {' or '.join(results.experiment.factor)}.",
        command=analyze_command(results.experiment, overrides),
        outcomes_title="Answer",
        groups=_by_task(rows),
        rows=rows,
        summary={title: lines for title, lines in summary_lines(results.experiment, rows).items() if lines},
        figures=_drawn(results, _SHOWN),
        folded_figures=_drawn(results, [name for name in NAMES if name not in (*_SHOWN, SPECIFICATION)]),
        tables=[*between_levels_table(results), *solutions_tables(results)],
    ).render({name: results}, runs)
    path, content = results.results.report, page.encode()
    if not has_content(path, content):
        write_atomically(path, content)


def _by_task(rows: Sequence[TrendRow]) -> Groups:
    """Return the main measures of all tasks together, and of each task, by term."""
    groups: dict[str, dict[str, TrendRow]] = {}
    for row in sorted(rows, key=lambda row: row.task != POOLED):
        if row.is_main_measure:
            title = f"{row_task(row)}: {row_term(row)}" if has_several_terms(rows) else row_task(row)
            groups.setdefault(title, {})[row.heading] = row
    return groups


def _drawn(results: ExperimentResults, names: Iterable[str]) -> list[Figure]:
    """Return the figures of an experiment that exist."""
    titles = {
        MAIN: "Main measures and what to compare them with",
        SPECIFICATION: "Effect by setting of DSA",
        SNAPSHOTS: "When do seeds part?",
        SOLUTIONS: "How many solutions?",
        BETWEEN: "Distances within and between levels",
    }
    paths = {name: results.results.figures / f"{name}.png" for name in names}
    return [(titles.get(name, name.replace("-", " ")), path) for name, path in paths.items() if path.exists()]


def _specifications(all_results: Mapping[str, ExperimentResults]) -> Iterator[dict[str, Any]]:
    """Yield the specification curve of each experiment with several settings of DSA: figure and table."""
    for name, results in all_results.items():
        by_task = specification_rows(results.trends) if results.exists else {}
        if by_task:
            cells = {
                trend_task_title(task): {
                    row.measure: f"{format_direction(row.direction)} {row_numbers(row)}".strip()
                    for row in rows
                }
                for task, rows in by_task.items()
            }
            table = pd.DataFrame(cells).rename_axis("setting").reset_index()
            yield {"name": name, "figures": _drawn(results, [SPECIFICATION]), "table": table}


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
