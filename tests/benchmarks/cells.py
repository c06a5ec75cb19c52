"""python -m tests.benchmarks.cells: time of a training step of each cell compared with torch.nn.

Every contestant trains flip-flop networks (3 channels) with Adam on one core, in turns within one run. Times
are processor milliseconds of a step and network, so that they hold on a machine that other work shares.

With --small, 64 units and 64 trials of 50 steps instead of 128 units and 256 trials of 100 steps.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import nn

from degen.condition import Condition
from degen.streams import Stream
from degen.training import Ensemble, train
from launch.config import compose

N, TRIALS, TIME = (64, 64, 50) if "--small" in sys.argv[1:] else (128, 256, 100)
SEEDS, STEPS, TURNS = 8, 16 if "--small" in sys.argv[1:] else 2, 5
TORCH: dict[str, Callable[..., nn.Module]] = {
    "standard": nn.RNN,
    "relu": lambda *sizes, **options: nn.RNN(*sizes, nonlinearity="relu", **options),
    "gru": nn.GRU,
    "lstm": nn.LSTM,
}


def condition(cell: str) -> Condition:
    """Return a condition of a single epoch, in which no network converges."""
    overrides = ["training.max_epochs=1", f"training.steps_per_epoch={STEPS}", "training.threshold=1e-9"]
    overrides += [f"width={N}", f"training.batch_size={TRIALS}", f"task.n_steps={TIME}"]
    overrides += [
        "training.validation_trials=1",
        "training.confirmation_trials=2",
        f"parameterization={cell}",
    ]
    return Condition.from_config(compose("train", overrides))


def degen_turn(cell: str, seeds: int) -> float:
    """Milliseconds of `degen.training.train`, which also draws the trials."""
    cell_condition = condition(cell)
    ensemble = Ensemble.new(range(seeds), cell_condition.task, cell_condition.model)
    started = time.process_time()
    train(
        ensemble,
        cell_condition.task,
        cell_condition.model,
        cell_condition.training,
        cell_condition.regularizer,
    )
    return 1e3 * (time.process_time() - started) / STEPS / seeds


def torch_turn(cell: str) -> float:
    """Milliseconds of torch's cell with autograd and Adam; its trials exist already."""
    trials = condition(cell).task.generate(TRIALS, Stream.named([0], "trials"))
    inputs, targets = trials.inputs[0], trials.targets[0]
    module, readout = TORCH[cell](3, N, batch_first=True), nn.Linear(N, 3)
    adam = torch.optim.Adam([*module.parameters(), *readout.parameters()], lr=1e-3)
    started = time.process_time()
    for _ in range(STEPS):
        adam.zero_grad()
        nn.functional.mse_loss(readout(module(inputs)[0]), targets).backward()
        adam.step()
    return 1e3 * (time.process_time() - started) / STEPS


def main() -> None:
    """Print a table."""
    os.sched_setaffinity(0, [max(os.sched_getaffinity(0))])
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    print(f"{'cell':10} {f'degen, {SEEDS} seeds':>15} {'degen, 1 seed':>15} {'torch.nn':>10} {'ratio':>6}")
    cells = ["standard", "relu", "softplus", "noisy", "dale", "low_rank", "gru", "lstm"]
    for cell in cells:
        contestants: dict[str, Callable[[], float]] = {
            "many": lambda cell=cell: degen_turn(cell, SEEDS),
            "one": lambda cell=cell: degen_turn(cell, 1),
        }
        if cell in TORCH:
            contestants["torch"] = lambda cell=cell: torch_turn(cell)
        times: dict[str, list[float]] = {name: [] for name in contestants}
        for number in range(TURNS + 1):
            for name, turn in contestants.items():
                taken = turn()
                if number:  # the first warms up
                    times[name].append(taken)
        ensemble_time, single, *reference = (statistics.median(taken) for taken in times.values())
        words = f"{reference[0]:10.1f} {reference[0] / ensemble_time:6.2f}" if reference else ""
        print(f"{cell:10} {ensemble_time:15.1f} {single:15.1f} {words}", flush=True)


if __name__ == "__main__":
    main()
