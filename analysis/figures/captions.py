"""Captions of figures: the networks behind a figure, those left out, intervals and the scale."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.experiment_results import STATUSES_AND_MISSING, ExperimentResults
from analysis.labels import format_factor, task_title


def caption(*results: ExperimentResults, tasks: Sequence[str] | None = None, has_bands: bool = False) -> str:
    """Return the caption of a figure.

    Args:
        results: experiments that the figure shows.
        tasks: tasks that the figure shows, None for all.
        has_bands: whether the figure has bands of intervals.
    """
    counts = pd.concat([experiment.counts for experiment in results])
    counts = counts[counts["task"].isin(tasks)] if tasks is not None else counts
    counts = counts.drop_duplicates("condition")
    parts = [*_networks(counts, has_bands), *(_intervals(*results) if has_bands else [])]
    return "; ".join([*parts, *_scale(*results)])


def _networks(counts: pd.DataFrame, has_bands: bool) -> list[str]:
    """Describe the networks that a figure shows, and the networks and conditions that it leaves out.

    Args:
        counts: rows of `ExperimentResults.counts`, one per condition.
        has_bands: whether the figure has bands. Such a figure marks conditions with left-out networks by
            hollow markers.
    """
    drawn, not_drawn = counts[counts["converged"] >= 2], counts[counts["converged"] < 2]
    low, high = (drawn["converged"].min(), drawn["converged"].max()) if len(drawn) else (0, 0)
    number = f"{low}" if low == high else f"{low} to {high}"
    parts = [f"{number} converged networks per condition, {drawn['converged'].sum()} in total"]
    left_out = [f"{counts[status].sum()} {status}" for status in STATUSES_AND_MISSING[1:]]
    left_out = [text for text in left_out if not text.startswith("0 ")]
    if not_drawn["converged"].sum():
        left_out.append(f"{not_drawn['converged'].sum()} the only converged network of its condition")
    hollow = " (hollow)" if left_out and has_bands else ""
    parts.append(f"left out{hollow}: " + (", ".join(left_out) or "none"))
    if len(not_drawn):
        names = [
            f"{task_title(row['task'])} {format_factor(row['factor_value'])}"
            for row in not_drawn.to_dict("records")
        ]
        parts.append(f"not drawn (fewer than two converged networks): {', '.join(names)}")
    return parts


def _intervals(*results: ExperimentResults) -> list[str]:
    tables = [experiment.degeneracy for experiment in results if len(experiment.degeneracy)]
    levels = sorted({level for table in tables for level in table["nominal_level"]})
    shown = " and ".join(f"{level:.0%}" for level in levels)
    return [f"bands: {shown} intervals over networks"] if levels else []


def _scale(*results: ExperimentResults) -> list[str]:
    """Describe how the scale differs from the paper's: seeds, widths, batch sizes."""
    name, _, overrides = results[0].experiment.scale.partition(" ")
    if results[0].experiment.scale == "full":
        return []
    experiments = [result.experiment for result in results]
    conditions = [condition for experiment in experiments for condition in experiment.conditions]
    seeds = sorted({len(experiment.seeds) for experiment in experiments})
    widths = sorted({condition.model.width for condition in conditions})
    batches = sorted({condition.training.batch_size for condition in conditions})
    sizes = f"{' or '.join(map(str, seeds))} seeds, {', '.join(map(str, widths))} units"
    sizes += f", batches of {' or '.join(map(str, batches))}"
    paper = "50 seeds, 128 units, batches of 32 to 256"
    return [f"{name.upper()} SCALE {overrides}".rstrip() + f" ({sizes}; the paper: {paper})"]


def hyperparameters_caption(*results: ExperimentResults, tasks: Sequence[str] | None = None) -> str:
    """Return the hyperparameters of DSA for each task."""
    table = pd.concat([experiment.hyperparameters for experiment in results])
    table = table[table["metric"] == "dsa"].drop_duplicates()
    parts = [
        f"{task_title(row['task'])} {row['settings']}"
        for row in table.to_dict("records")
        if tasks is None or row["task"] in tasks
    ]
    return f"DSA: {'; '.join(parts)}" if parts else ""
