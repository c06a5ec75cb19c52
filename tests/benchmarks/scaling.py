"""python -m tests.benchmarks.scaling: time and memory of training against seeds, width, batch and time steps.

Flip-flop networks, one factor changed at a time from a base that is measured in the same run. Each
measurement on a CPU is a process of its own, so that memory is measured separately. Times are wall-clock time
on a GPU, and processor time of all cores on a CPU, which other work may share. Prints a table, and writes it
and a plot.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import resource
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import matplotlib
import pandas as pd
import torch

from degen.condition import Condition
from degen.training import Ensemble, train
from launch.config import compose

BASE = {"seeds": 8, "width": 128, "batch": 64, "time": 100}
AXES = {
    "seeds": [1, 2, 4, 8, 16, 32, 64, 128, 256],
    "width": [32, 64, 128, 256, 512, 1024],
    "batch": [16, 32, 64, 128, 256, 512],
    "time": [25, 50, 100, 200, 400],
}
_EPOCHS = 4
# Floating-point operations of an epoch's products, at most: some seconds on one core.
_OPERATIONS = {"cpu": 3e10, "cuda": 1e13}


def measure(sizes: dict[str, int], device: str, tiny: bool) -> dict[str, float]:
    """Milliseconds and megabytes of a training step: medians over epochs, the first left out."""
    operations = 6 * sizes["seeds"] * sizes["width"] ** 2 * sizes["batch"] * sizes["time"]
    steps = 1 if tiny else max(1, min(64, int(_OPERATIONS[device] // operations)))
    overrides = [f"width={sizes['width']}", f"training.batch_size={sizes['batch']}"]
    overrides += ["training.validation_trials=1"]  # a step is timed, not an epoch
    overrides += [f"task.n_steps={sizes['time']}", f"training.steps_per_epoch={steps}"]
    overrides += [f"training.max_epochs={_EPOCHS}", "training.threshold=1e-9"]
    condition = Condition.from_config(compose("train", overrides))
    ensemble = Ensemble.new(range(sizes["seeds"]), condition.task, condition.model, device=device)
    clock = time.perf_counter if device == "cuda" else processor_time
    marks = [clock()]
    parts = condition.task, condition.model, condition.training, condition.regularizer
    train(ensemble, *parts, on_epoch=lambda running, done: marks.append(clock()))
    epochs = [1e3 * (end - start) / steps for start, end in itertools.pairwise(marks[1:])]
    return {"milliseconds": statistics.median(epochs), "megabytes": _megabytes(device, sizes["seeds"])}


def processor_time() -> float:
    """Seconds that this process and those it has forked have computed."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def _megabytes(device: str, seeds: int) -> float:
    """The most that was taken: on a GPU by arrays, on a CPU by this process and those that it forked."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    own, child = (
        resource.getrusage(who).ru_maxrss / 2**10 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own + child * min(seeds, len(os.sched_getaffinity(0)))


def _prepare() -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)


def _measured(sizes: dict[str, int], device: str, tiny: bool) -> dict[str, float]:
    """`measure` from a clean start."""
    if device == "cuda":  # its memory counter can be reset, and starting a process takes seconds
        _prepare()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        # cuBLAS reserves 32 MB for each stream, including the streams of earlier rows.
        before = torch.cuda.memory_allocated() / 2**20
        results = measure(sizes, device, tiny)
        return results | {"megabytes": results["megabytes"] - before}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, initializer=_prepare) as process:
        return process.submit(measure, sizes, device, tiny).result()


def measured(device: str, tiny: bool, path: Path) -> pd.DataFrame:
    """Return a row per measurement: axis, value, ms per step, megabytes, time per network, ratio to base.

    Args:
        path: of a CSV file that holds the rows so far: whoever measures may run out of time.
    """
    rows = []
    for axis, values in ({"seeds": [2]} if tiny else AXES).items():
        for value in values:
            sizes = BASE | ({"time": 5, "batch": 8} if tiny else {}) | {axis: value}
            results = _measured(sizes, device, tiny)
            rows.append({"axis": axis, "value": value, "seeds": sizes["seeds"]} | results)
            _write(pd.DataFrame(rows), path)
            print(
                f"{axis:6} {value:5} {results['milliseconds']:10.2f} ms {results['megabytes']:9.0f} MB",
                flush=True,
            )
    table = pd.DataFrame(rows)
    table["per_network"] = table["milliseconds"] / table["seeds"]
    for axis, group in table.groupby("axis"):
        base = group[group["value"] == BASE[str(axis)]]
        reference = base.iloc[0] if len(base) else group.iloc[0]
        table.loc[group.index, "ratio"] = group["per_network"] / reference["per_network"]
    return table


def _write(table: pd.DataFrame, path: Path) -> None:
    table.to_csv(path, index=False, float_format="%.4g")


def draw(table: pd.DataFrame, path: Path, title: str) -> None:
    """A column an axis; time of a network's step above, memory below."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(2, table["axis"].nunique(), figsize=(11, 5), sharey="row", squeeze=False)
    for column, (axis, group) in enumerate(table.groupby("axis", sort=False)):
        for panel, quantity, label in (
            (panels[0][column], "per_network", "ms a step and network"),
            (panels[1][column], "megabytes", "memory (MB)"),
        ):
            panel.plot(group["value"], group[quantity], marker="o", markersize=4)
            panel.set_xscale("log", base=2)
            panel.set_yscale("log")
            panel.grid(alpha=0.3)
            if column == 0:
                panel.set_ylabel(label)
        panels[1][column].set_xlabel(
            {"time": "time steps", "batch": "trials a step"}.get(str(axis), str(axis))
        )
    figure.suptitle(title, fontsize=10)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.scaling")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--export", type=Path, default=Path("results/benchmarks"), help="folder to write to")
    parser.add_argument("--tiny", action="store_true", help="a test of the benchmark itself")
    given = parser.parse_args()
    given.export.mkdir(parents=True, exist_ok=True)
    table = measured(given.device, given.tiny, given.export / "scaling.csv")
    _write(table, given.export / "scaling.csv")
    name = (
        torch.cuda.get_device_name()
        if given.device == "cuda"
        else f"CPU, {len(os.sched_getaffinity(0))} cores"
    )
    base = ", ".join(f"{value} {axis}" for axis, value in BASE.items())
    draw(table, given.export / "scaling.png", f"{name}; base: {base} steps")
    print(f"\n{name}\n{as_markdown(table)}", file=sys.stdout, flush=True)


def as_markdown(table: pd.DataFrame) -> str:
    """Format the table of `docs/notes/training.md`."""
    head = ["| | | ms a step | ms a step and network | times base | MB |", "|---|---|---|---|---|---|"]
    rows = (
        f"| {row.axis} | {row.value} | {row.milliseconds:.3g} | {row.per_network:.3g} "
        f"| {row.ratio:.2f} | {row.megabytes:.0f} |"
        for row in table.itertuples()
    )
    return "\n".join([*head, *rows])


if __name__ == "__main__":
    main()
