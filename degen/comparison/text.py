"""Tables of a comparison as text, for the terminal and the report."""

from __future__ import annotations

import math

import pandas as pd

from degen.comparison.metrics import METRICS
from degen.reporting.formatting import format_estimate


def format_degeneracies(table: pd.DataFrame) -> pd.DataFrame:
    """Format `Comparison.table`: one column for value and interval."""
    rows = [
        {
            "metric": METRICS[row["metric"]].label,
            "level": row["level"],
            "group": row["group"],
            "networks": row["networks"],
            "degeneracy": _format_interval(row["value"], row["low"], row["high"], row["networks"]),
            "split-half": _format_number(row["baseline"]),
        }
        for row in table.to_dict("records")
    ]
    return pd.DataFrame(rows)


def format_differences(table: pd.DataFrame) -> pd.DataFrame:
    """Format `Comparison.differences`: one column for ratio and interval."""
    rows = [
        {
            "metric": METRICS[row["metric"]].label,
            "groups": f"{row['first']}, {row['second']}",
            "distance between": _format_number(row["between"]),
            "p": _format_number(row["p"], digits=2),
            "ratio of degeneracy": _format_interval(row["ratio"], row["low"], row["high"], 0),
            "p of ratio": _format_number(row["ratio_p"], digits=2),
        }
        for row in table.to_dict("records")
    ]
    return pd.DataFrame(rows)


def _format_interval(value: float, low: float, high: float, n_networks: int) -> str:
    if math.isnan(value):
        return "-"
    if math.isnan(low):
        return f"{value:.3g}"
    return format_estimate(value, low, high, n_networks)


def _format_number(value: float, digits: int = 3) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}g}"
