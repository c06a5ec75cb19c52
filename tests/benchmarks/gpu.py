"""Benchmark of ensembles on a GPU: python -m tests.benchmarks.gpu. Compared with cuDNN and the card's peak.

Times are medians of epochs or of several calls, the first left out; the clock is read when all work is done.
Prints tables and writes gpu.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from degen.condition import Condition
from degen.streams import Stream
from degen.training import Ensemble
from degen.training.cuda.ensemble_batches import EnsembleBatches
from degen.training.step import TrainingStep, epoch_trials, train_epoch
from launch.config import compose

TASKS = ("flip_flop", "delayed_discrimination", "sine_wave", "path_integration")
PRECISIONS = {"float32": "highest", "tf32": "high"}
_REPEATS = 5


def set_precision(precision: str) -> None:
    """Set the precision of matrix products and of cuDNN, whose own flag is on by default."""
    torch.set_float32_matmul_precision(precision)
    torch.backends.cudnn.allow_tf32 = precision == "high"


class Benchmark:
    """The measurements, at paper settings or, to test them, at a tiny size."""

    def __init__(self, device: torch.device, tiny: bool):
        self.device, self.tiny = device, tiny
        self.seeds = 3 if tiny else 50

    def timed(self, work: Callable[[], object]) -> float:
        """Return the median milliseconds of `work`. The device is synchronized before and after."""
        taken = []
        for _ in range(_REPEATS + 1):
            self._wait()
            started = time.perf_counter()
            work()
            self._wait()
            taken.append(1e3 * (time.perf_counter() - started))
        return statistics.median(taken[1:])

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def condition(self, *overrides: str) -> Condition:
        """A condition at paper settings whose epochs have 32 steps."""
        sizes = ["training.steps_per_epoch=32"]
        if self.tiny:
            sizes = ["training.steps_per_epoch=2", "training.batch_size=4", "width=8"]
        return Condition.from_config(compose("train", [*sizes, *overrides]))

    def peak(self) -> dict[str, float]:
        """The card's own: TFLOP/s of a large product and GB/s of a copy, bytes read and written."""
        n = 64 if self.tiny else 8192
        first, second = torch.rand(2, n, n, device=self.device)
        results = {}
        for name, precision in PRECISIONS.items():
            set_precision(precision)
            results[f"{name}, TFLOP/s"] = 2 * n**3 / self.timed(lambda: first @ second) / 1e9
        set_precision("highest")
        large = torch.rand(16 * n * n, device=self.device)
        return results | {"copy, GB/s": 2 * 4 * large.numel() / self.timed(large.clone) / 1e6}

    def alignment(self) -> dict[str, float]:
        """Microseconds of a time step's product by the length of a row: would padding to 16 bytes pay?"""
        trials, n = (4, 8) if self.tiny else (256, 128)
        results = {}
        for name, precision in PRECISIONS.items():
            set_precision(precision)
            for row in (n + 3, n + 4):
                sources = torch.rand(self.seeds, trials, row, device=self.device)[..., : n + 3]
                weights = torch.rand(self.seeds, n + 3, n, device=self.device)
                taken = self.timed(lambda s=sources, w=weights: [s @ w for _ in range(100)])
                results[f"rows of {row}, {name}"] = 1e3 * taken / 100
        set_precision("highest")
        return results

    def steps(self) -> dict[str, float]:
        """Milliseconds of a step and network, 3-bit flip-flop: recorded, plain, and cuDNN one at a time."""
        results = {}
        for name, precision in PRECISIONS.items():
            set_precision(precision)
            for seeds in (1, self.seeds):
                results[f"degen, {seeds} seeds, {name}"] = self.epoch(self.condition(), seeds)["milliseconds"]
            results[f"degen without a graph, {self.seeds} seeds, {name}"] = self._plain_step()
            results[f"nn.RNN (cuDNN), one at a time, {name}"] = self._torch_step()
        set_precision("highest")
        return results

    def _plain_step(self) -> float:
        condition = self.condition()
        parts = condition.task, condition.model
        step = TrainingStep.create(
            Ensemble.new(range(self.seeds), *parts, device=self.device),
            condition.model,
            condition.training,
            condition.regularizer,
        )
        drawn = Stream.named(range(self.seeds), "trials", device=self.device)
        trials = condition.task.generate(condition.training.batch_size, drawn)
        coefficients = torch.stack((step.loss_sum + 1e-3, step.loss_sum + 1))
        return self.timed(lambda: step(trials, coefficients)) / self.seeds

    def _torch_step(self) -> float:
        condition = self.condition()
        drawn = condition.task.generate(
            condition.training.batch_size, Stream.named([0], "trials", device=self.device)
        )
        width, n_inputs, n_outputs = condition.model.width, condition.task.n_inputs, condition.task.n_outputs
        rnn = nn.RNN(n_inputs, width, batch_first=True).to(self.device)
        readout = nn.Linear(width, n_outputs).to(self.device)
        parameters = [*rnn.parameters(), *readout.parameters()]
        adam = torch.optim.Adam(parameters, lr=1e-3, fused=self.device.type == "cuda")

        def steps() -> None:
            for _ in range(10):
                adam.zero_grad()
                loss = nn.functional.mse_loss(readout(rnn(drawn.inputs[0])[0]), drawn.targets[0])
                loss.backward()
                adam.step()

        return self.timed(steps) / 10

    def epoch(self, condition: Condition, seeds: int) -> dict[str, float]:
        """Milliseconds of a step and network, the share of drawing trials, and TFLOP/s of the products."""
        parts = condition.task, condition.model, condition.training
        free = torch.cuda.mem_get_info(self.device)[0] if self.device.type == "cuda" else 2**33
        batches = EnsembleBatches(*parts, condition.regularizer, free_bytes=free)
        members = Ensemble.new(range(seeds), condition.task, condition.model, device=self.device)
        members = batches.epoch(members, lambda: None)
        assert batches.step is not None
        step, recorded, steps_per_draw = batches.step, batches.graph_step, batches.steps_per_draw
        whole = self.timed(lambda: train_epoch(step, condition.task, lambda: None, recorded, steps_per_draw))

        def draw() -> None:
            for _ in epoch_trials(
                step.ensemble.seeds,
                [0] * seeds,
                condition.task,
                condition.model,
                condition.training,
                members.like,
                steps_per_draw,
            ):
                pass

        steps, width = condition.training.steps_per_epoch, condition.model.width
        trials = condition.task.generate(1, Stream.named([0], "trials"))
        length, n_inputs, n_outputs = (
            trials.inputs.shape[-2],
            condition.task.n_inputs,
            condition.task.n_outputs,
        )
        operations = (
            2 * condition.training.batch_size * length * width * (3 * width + 2 * n_inputs + 3 * n_outputs)
        )
        return {
            "milliseconds": whole / steps / seeds,
            "drawing": self.timed(draw) / whole,
            "TFLOP/s": operations * seeds * steps / whole / 1e9,
            "seconds an epoch of 128 steps": whole / steps * 128 / 1e3,
        }

    def tasks(self) -> dict[str, dict[str, float]]:
        """Every task at paper settings, both parameterizations, and the nuclear norm."""
        results = {}
        for task in TASKS:
            for parameterization in ("standard", "mup"):
                condition = self.condition(f"task={task}", f"parameterization={parameterization}")
                results[f"{task}, {parameterization}"] = self.epoch(condition, self.seeds)
        nuclear = self.condition("regularizer=nuclear_norm")
        return results | {"flip_flop, standard, nuclear norm": self.epoch(nuclear, self.seeds)}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.gpu")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda")
    parser.add_argument("--export", type=Path, default=Path("results/benchmarks"), help="folder to write to")
    parser.add_argument("--tiny", action="store_true", help="a test of the benchmark itself")
    given = parser.parse_args()
    given.export.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    device = torch.device(given.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {os.cpu_count()} cores"
    benchmark = Benchmark(device, given.tiny)
    results: dict[str, object] = {"device": name, "torch": torch.__version__}
    print(f"{name}, torch {torch.__version__}", flush=True)
    for title in ("peak", "alignment", "steps", "tasks"):
        results[title] = result = getattr(benchmark, title)()
        (given.export / "gpu.json").write_text(json.dumps(results, indent=2) + "\n")
        for line, value in result.items():
            values = value if isinstance(value, dict) else {title: value}
            print(f"{line:50} " + "  ".join(f"{k} {v:.4g}" for k, v in values.items()), flush=True)


if __name__ == "__main__":
    main()
