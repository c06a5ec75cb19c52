"""Report of the paper's experiments: the report of an experiment, with the arrows of Table 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.experiment_results import ExperimentResults
from analysis.figures.paper import FIGURES
from analysis.labels import format_factor
from analysis.replication.manipulation_check import manipulation_check
from analysis.replication.table_one import TableOneRow
from analysis.reporting.report import Groups, Report

PAPER_COSTS = "68,000 GPU-hours"
"""Appendix N of the paper."""


def paper_report(
    all_results: Mapping[str, ExperimentResults],
    rows: Sequence[TableOneRow],
    figures: Sequence[Path],
    not_drawn: Sequence[str],
    runs: Path,
    settings: Mapping[str, Any],
) -> str:
    """Return the report as HTML.

    Args:
        all_results: results of each experiment by name, analyzed or not.
        rows: rows of `analysis.replication.table_one.table_one_rows`.
        figures: files of figures. PNG files are embedded.
        not_drawn: figures that are missing or incomplete, and why.
        runs: folder of run folders.
        settings: settings of this report.
    """
    check = manipulation_check(all_results).round(3)
    text = "Epochs to the threshold are medians. Other values are means over converged networks."
    return Report(
        title="Solution degeneracy of task-trained recurrent networks: a reproduction",
        introduction="After arXiv 2410.03972.",
        command="degen report",
        outcomes_title="Table 1, recomputed: all tasks together",
        groups=_headlines(rows),
        rows=rows,
        figures=[(_figure_title(path), path) for path in figures if path.suffix == ".png"],
        not_drawn=not_drawn,
        tables=[("Does each factor change its target quantity?", text, _format_factors(check))],
        cost_note=f"The paper reports {PAPER_COSTS} for its 3,400 networks.",
    ).render(all_results, runs, settings)


def _headlines(rows: Sequence[TableOneRow]) -> Groups:
    """Return the cells of Table 1, by factor and experiment."""
    groups: dict[str, dict[str, TableOneRow]] = {}
    for row in rows:
        if row.is_headline:
            groups.setdefault(f"{row.factor}: {row.experiment}", {})[row.heading] = row
    return groups


def _format_factors(table: pd.DataFrame) -> pd.DataFrame:
    """Format factor values, which are numbers in some experiments and text in others."""
    return table.assign(factor_value=table["factor_value"].map(format_factor)) if len(table) else table


def _figure_title(path: Path) -> str:
    titles = {figure.stem: f"Figure {figure.number}: {figure.name.replace('-', ' ')}" for figure in FIGURES}
    titles["memory-demand"] = "Figure 9: memory demand of the tasks"
    return titles.get(path.stem, path.stem)
