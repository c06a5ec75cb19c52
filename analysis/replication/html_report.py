"""Report: one HTML file with Table 1, figures, network counts, costs and settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from analysis.experiment_results import STATUSES_AND_MISSING, ExperimentResults
from analysis.figures.paper import FIGURES
from analysis.labels import format_factor
from analysis.measures import LEVELS
from analysis.replication.cells import baseline_warning, missing_networks, row_effect, row_p
from analysis.replication.manipulation_check import manipulation_check
from analysis.replication.outcomes import POOLED, OutcomeRow, outcome_table
from degen.condition import Condition
from degen.reporting.formatting import format_direction
from degen.reporting.html import render
from degen.storage import RunFolder
from launch.experiment import unique_conditions

PAPER_COSTS = "68,000 GPU-hours"
"""Appendix N of the paper."""


def report(
    all_results: Mapping[str, ExperimentResults],
    rows: Sequence[OutcomeRow],
    caption: str,
    figures: Sequence[Path],
    not_drawn: Sequence[str],
    runs: Path,
    settings: Mapping[str, Any],
) -> str:
    """Write the report as HTML.

    Args:
        all_results: results of each experiment by name, analyzed or not.
        rows: rows of `analysis.replication.table_one.compare_with_paper`.
        caption: explanation of the rows.
        figures: files of figures. PNG files are embedded.
        not_drawn: figures that are missing or incomplete, and why.
        runs: folder of run folders.
        settings: settings of this report.
    """
    conditions = unique_conditions([results.experiment for results in all_results.values()])
    sessions = list(_sessions(conditions, runs))
    return render(
        "analysis.replication",
        "report.html.j2",
        filters=_FILTERS,
        scales=sorted({results.experiment.scale for results in all_results.values()}),
        levels=LEVELS,
        headline=_headline(rows),
        caption=caption,
        outcomes=_format_outcomes(rows),
        **_network_counts(all_results),
        manipulation_check=_format_factors(manipulation_check(all_results)).round(3),
        required_networks=_required_networks(all_results),
        figures=[(_figure_title(path), path) for path in figures if path.suffix == ".png"],
        not_drawn=not_drawn,
        costs=_costs(sessions),
        paper_costs=PAPER_COSTS,
        versions=Counter(map(_version, sessions)),
        hyperparameters=_hyperparameters(all_results),
        settings=list(_settings(all_results, conditions, settings)),
    )


_FILTERS: dict[str, Callable[..., str]] = {
    "direction": format_direction,
    "effect": row_effect,
    "p": row_p,
    "missing_networks": missing_networks,
    "baseline_warning": baseline_warning,
}


def _headline(rows: Sequence[OutcomeRow]) -> dict[tuple[str, str], dict[str, OutcomeRow]]:
    """Return the pooled rows of Table 1 by factor and experiment, then by level."""
    headline: dict[tuple[str, str], dict[str, OutcomeRow]] = {}
    for row in rows:
        if row.task == POOLED and row.is_in_table_one:
            headline.setdefault((row.factor, row.experiment), {})[row.level] = row
    return headline


def _format_outcomes(rows: Sequence[OutcomeRow]) -> pd.DataFrame:
    if not rows:
        return pd.DataFrame()
    table = outcome_table(rows).drop(columns=["factor", "is_paper_measure"])
    percent = {column: table[column].map("{:+.0%}".format) for column in ("effect", "low", "high")}
    influential = table["influential_networks"].astype(object)
    return table.round({"baseline_ratio": 1, "spearman": 2}).assign(
        **percent,
        p=table["p"].map("{:.2g}".format),
        influential_networks=influential.where(influential.notna(), ""),
    )


def _format_factors(table: pd.DataFrame) -> pd.DataFrame:
    """Format factor values, which are numbers in some experiments and text in others."""
    return table.assign(factor_value=table["factor_value"].map(format_factor)) if len(table) else table


def _network_counts(all_results: Mapping[str, ExperimentResults]) -> dict[str, Any]:
    statuses = list(STATUSES_AND_MISSING)
    tables = [results.counts.assign(experiment=name) for name, results in all_results.items()]
    table = pd.concat(tables, ignore_index=True)
    # A condition of two experiments may be missing in the tables of one of them.
    unique = table.sort_values("missing").drop_duplicates("condition")[statuses].sum()
    return {
        "network_counts": ", ".join(f"{unique[status]} {status}" for status in statuses),
        "counts_by_experiment": table.groupby("experiment", sort=False)[statuses].sum().reset_index(),
        "counts_by_condition": _format_factors(
            table[["experiment", "task", "label", "factor_name", "factor_value", *statuses]]
        ),
    }


def _required_networks(all_results: Mapping[str, ExperimentResults]) -> pd.DataFrame | None:
    """Return the networks per condition for intervals of plus or minus 10 %, by measure."""
    tables = [results.degeneracy for results in all_results.values() if results.exists]
    if not tables:
        return None
    table = pd.concat(tables).drop_duplicates(["condition", "measure"])
    by_measure = table.groupby(["level", "measure"])["networks_for_10_percent"]
    required = by_measure.quantile(pd.Index([0.5, 0.9])).unstack().dropna(how="all")  # distances only
    required.columns = pd.Index(["median condition", "nine conditions in ten"])
    return required.round().reset_index()


def _figure_title(path: Path) -> str:
    titles = {figure.stem: f"Figure {figure.number}: {figure.name.replace('-', ' ')}" for figure in FIGURES}
    titles["memory-demand"] = "Figure 9: memory demand of the tasks"
    return titles.get(path.stem, path.stem)


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
    all_results: Mapping[str, ExperimentResults], conditions: Sequence[Condition], settings: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """Yield titles and YAML texts."""
    yield "This report", yaml.safe_dump(dict(settings), sort_keys=False)
    for name, results in all_results.items():
        if results.manifest is not None:
            yield f"Analysis of {name}", yaml.safe_dump(results.manifest.settings, sort_keys=False)
    for condition in conditions:
        title = f"{condition.task_name}: {condition.name}"
        yield title, yaml.safe_dump(condition.config, sort_keys=False)
