"""Show the progress of training: of a sweep, an experiment, or everything in a folder of runs.

degen status experiment=demo [--json] [--watch]

Finished networks are read from the run folders, jobs from SLURM. Without overrides, all conditions that were
trained or submitted are shown.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence

import pandas as pd

from launch.cli import Arguments, exit_on_user_error
from launch.condition_status import STATES, Row, poll_status
from launch.slurm import client as slurm

_POLL_INTERVAL_S = 10


def as_text(rows: list[Row]) -> str:
    """Return a table of conditions, the number of conditions in each state, and the errors."""
    if not rows:
        return "nothing is trained or submitted here"
    counts = Counter(row.state for row in rows)
    table = pd.DataFrame([_cells(row) for row in rows])
    if not any(row.fields for row in rows):
        del table["fields"]
    lines = [
        table.to_string(index=False),
        ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state]),
    ]
    for row in rows:
        if row.error:
            lines += ["", f"{row.condition} {row.state}:", *(f"  {line}" for line in row.error.splitlines())]
    return "\n".join(lines)


def _cells(row: Row) -> dict[str, str]:
    counts = {"converged": row.converged, "unconverged": row.unconverged, "diverged": row.diverged}
    parts = [f"{count} {word}" for word, count in (counts | {"in training": row.training}).items() if count]
    return {
        "state": row.state,
        "condition": row.condition,
        "fields": row.fields,
        "networks": f"{row.networks}" + (f" ({', '.join(parts)})" if parts else ""),
        "epoch": "" if row.epoch is None else f"{row.epoch}/{row.max_epochs}",
        "per minute": "" if row.epochs_per_minute is None else f"{row.epochs_per_minute:.3g}",
        "hours left": "" if row.hours_left is None else f"< {row.hours_left:.2g}",
        "jobs": ",".join(row.jobs[:3]) + (",..." if len(row.jobs) > 3 else ""),
    }


def _show(overrides: Sequence[str], options: argparse.Namespace) -> None:
    """Print the status once, or with `--watch` until no process or job is active."""
    shown: list[str] | None = None
    for rows in poll_status(overrides, slurm.SLURM_TIMEOUT_S if options.watch else 0.0):
        states = [row.state for row in rows]
        is_terminal = sys.stdout.isatty()
        if options.json:
            print(json.dumps([dataclasses.asdict(row) for row in rows]), flush=True)
        elif is_terminal or states != shown:  # in a log file, only changes of state
            clear = "\033[H\033[J" if options.watch and is_terminal else ""
            print(clear + as_text(rows), flush=True)
        if not options.watch:
            return
        if not any(row.is_active for row in rows):
            sys.exit(int(not set(states) <= {"done", "diverged"}))
        shown = states
        time.sleep(_POLL_INTERVAL_S)


def main() -> None:
    """Run the command line."""
    arguments = Arguments(__doc__ or "")
    arguments.parser.add_argument("--json", action="store_true", help="print JSON, a list of conditions")
    watch = (
        f"repeat every {_POLL_INTERVAL_S} s until no process or job is active; "
        "exit code 1 unless all networks are finished"
    )
    arguments.parser.add_argument("--watch", action="store_true", help=watch)
    with exit_on_user_error(), arguments.parsed() as (options, overrides):
        _show(overrides, options)


if __name__ == "__main__":
    main()
