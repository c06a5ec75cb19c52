"""Readable names of tasks and factor values, for figures and reports."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np

TASKS = {
    "flip_flop": "N-bit flip-flop",
    "delayed_discrimination": "delayed discrimination",
    "sine_wave": "sine wave",
    "path_integration": "path integration",
}
"""Titles of the paper's tasks, in the paper's order."""


def sort_tasks(tasks: Iterable[str]) -> list[str]:
    """Return the names of tasks in the paper's order. Other tasks come last, in alphabetical order.

    Example:
        >>> sort_tasks({"delayed_match", "sine_wave", "flip_flop"})
        ['flip_flop', 'sine_wave', 'delayed_match']
    """
    names = set(tasks)
    return [*(task for task in TASKS if task in names), *sorted(names - set(TASKS))]


def task_title(task: str) -> str:
    """Return the title of a task."""
    return TASKS.get(task, task.replace("_", " "))


def format_factor(value: Any) -> str:
    """Format the value of a swept factor.

    Example:
        >>> format_factor(0.0003), format_factor(128), format_factor(True)
        ('3e-4', '128', 'with')
        >>> format_factor("degen.models.MuP"), format_factor("0.5 Hz")
        ('MuP', '0.5 Hz')
    """
    if isinstance(value, bool | np.bool_):
        return "with" if value else "without"
    if not isinstance(value, int | float):
        is_class = re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)+", str(value)) is not None
        return str(value).rpartition(".")[2] if is_class else str(value)
    if not 0 < abs(value) < 0.01:
        return f"{value:g}"
    mantissa, exponent = f"{value:.3e}".split("e")  # 0.0003 takes more room on an axis than 3e-4
    return f"{float(mantissa):g}e{int(exponent)}"
