"""python -m tests.benchmarks.training: time of a training step compared with nn.RNN and JAX.

Every contestant trains flip-flop networks (128 units, 256 trials of 100 steps, 3 channels) with Adam, in
turns within one run, so that the ratios hold whatever else the machine does. Times are wall-clock
milliseconds of a step and network: medians over the turns. JAX takes part where it is installed.

With --small, 64 units and 64 trials of 50 steps, as at the reduced scale.
With --shared, for a machine that other work shares: one core, and its processor time instead of the clock's.
"""

from __future__ import annotations

import contextlib
import functools
import json
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from multiprocessing.connection import Connection

import torch
from torch import nn

from degen.condition import Condition
from degen.streams import Stream
from degen.training import Ensemble, train
from launch.config import compose

N, TRIALS, TIME, CHANNELS = (64, 64, 50, 3) if "--small" in sys.argv[1:] else (128, 256, 100, 3)
SHARED = "--shared" in sys.argv[1:]
if SHARED:
    os.sched_setaffinity(0, [max(os.sched_getaffinity(0))])
CORES = len(os.sched_getaffinity(0))
STEPS = 16
# Half an epoch of the tasks: degen forks its processes once an epoch.
DEGEN_STEPS = 64
TURNS = 7

clock = time.process_time if SHARED else time.perf_counter


def condition(steps: int) -> Condition:
    """Return a condition of a single epoch, in which no network converges."""
    overrides = ["training.max_epochs=1", f"training.steps_per_epoch={steps}", "training.threshold=1e-9"]
    overrides += [f"width={N}", f"training.batch_size={TRIALS}", f"task.n_steps={TIME}"]
    overrides += ["training.validation_trials=1"]  # a step is timed, not an epoch
    return Condition.from_config(compose("train", overrides))


def degen_training(seeds: int) -> Callable[[], float]:
    """Return a function that measures the milliseconds of `degen.training.train` with its trials."""
    trained_condition = condition(DEGEN_STEPS)

    def turn() -> float:
        ensemble = Ensemble.new(range(seeds), trained_condition.task, trained_condition.model)
        started = clock()
        train(
            ensemble,
            trained_condition.task,
            trained_condition.model,
            trained_condition.training,
            trained_condition.regularizer,
        )
        return 1e3 * (clock() - started) / DEGEN_STEPS / seeds

    return turn


def degen_forward(fast: bool) -> Callable[[], float]:
    """Return the milliseconds of outputs without gradients, on one core: written out, or the plain loop."""
    trained_condition = condition(1)
    weights = trained_condition.model.initialize(trained_condition.task, Stream.named([0], "weights"))
    trials = trained_condition.task.generate(TRIALS, Stream.named([0], "trials"))

    def turn() -> float:
        started = clock()
        with torch.no_grad():
            for _ in range(4):
                if fast:
                    trained_condition.model(weights, trials)
                else:
                    trained_condition.model.readout(weights, trained_condition.model.unroll(weights, trials))
        return 1e3 * (clock() - started) / 4

    return turn


def torch_steps(steps: int) -> Callable[[], float]:
    """Return a function that measures the milliseconds of nn.RNN with autograd and torch's Adam."""
    trials = condition(1).task.generate(TRIALS, Stream.named([0], "trials"))
    inputs, targets = trials.inputs[0], trials.targets[0]
    rnn, readout = nn.RNN(CHANNELS, N, batch_first=True), nn.Linear(N, CHANNELS)
    adam = torch.optim.Adam([*rnn.parameters(), *readout.parameters()], lr=1e-3)

    def turn() -> float:
        started = clock()
        for _ in range(steps):
            adam.zero_grad()
            nn.functional.mse_loss(readout(rnn(inputs)[0]), targets).backward()
            adam.step()
        return 1e3 * (clock() - started) / steps

    return turn


def torch_all_cores() -> Callable[[], float]:
    """Return `torch_steps` for a single network with all cores."""
    turn = torch_steps(STEPS)

    def with_threads() -> float:
        torch.set_num_threads(CORES)
        taken = turn()
        torch.set_num_threads(1)
        return taken

    return with_threads


def apart(make: Callable[[], Callable[[], float]], processes: int) -> Callable[[], float]:
    """Return a turn that runs in several processes at once, with a network per process."""
    context = multiprocessing.get_context("spawn")
    ours = []
    for _ in range(processes):
        mine, theirs = context.Pipe()
        context.Process(target=_serve, args=(make, theirs), daemon=True).start()
        ours.append(mine)

    def turn() -> float:
        for connection in ours:
            connection.send(None)
        return max(connection.recv() for connection in ours) / processes

    turn()
    return turn


def _serve(make: Callable[[], Callable[[], float]], connection: Connection) -> None:
    torch.set_num_threads(1)
    turn = make()
    with contextlib.suppress(EOFError):  # the benchmark is over
        while True:
            connection.recv()
            connection.send(turn())


def jax_scan() -> Callable[[], float]:
    """A jitted scan with Adam by hand."""
    import jax
    import jax.numpy as jnp

    drawn = condition(1).task.generate(TRIALS, Stream.named([0], "trials"))
    inputs = jnp.asarray(drawn.inputs[0].transpose(0, 1).numpy())
    targets = jnp.asarray(drawn.targets[0].transpose(0, 1).numpy())
    shapes = {"w": (N, N), "u": (N, CHANNELS), "b": (N,), "o": (CHANNELS, N), "c": (CHANNELS,)}
    keys = jax.random.split(jax.random.key(0), len(shapes))
    weights = {
        name: jax.random.uniform(key, shape, minval=-(N**-0.5), maxval=N**-0.5)
        for key, (name, shape) in zip(keys, shapes.items(), strict=True)
    }

    def loss(weights: dict) -> object:
        def step(hidden, x):
            hidden = jnp.tanh(hidden @ weights["w"].T + x @ weights["u"].T + weights["b"])
            return hidden, hidden

        states = jax.lax.scan(step, jnp.zeros((TRIALS, N)), inputs)[1]
        return jnp.mean((states @ weights["o"].T + weights["c"] - targets) ** 2)

    @jax.jit
    def update(weights, first, second, count):
        gradients = jax.grad(loss)(weights)
        mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradients)
        square = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradients)
        correct = jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        weights = jax.tree.map(
            lambda w, m, v: w - 1e-3 * correct * m / (jnp.sqrt(v) + 1e-8), weights, mean, square
        )
        return weights, mean, square, count + 1

    zeros = jax.tree.map(jnp.zeros_like, weights)
    state = (weights, zeros, zeros, jnp.float32(1))

    def turn() -> float:
        nonlocal state
        started = clock()
        for _ in range(STEPS):
            state = update(*state)
        jax.block_until_ready(state)
        return 1e3 * (clock() - started) / STEPS

    turn()
    return turn


def products(with_tanh: bool) -> Callable[[], float]:
    """Return a lower bound: the matrix products of a step, one core per network, and torch's tanh."""
    weights, states, out = torch.randn(N, N), torch.randn(TIME, TRIALS, N), torch.empty(TIME, TRIALS, N)

    def turn() -> float:
        started = clock()
        for _ in range(4):
            for _ in range(2):
                for t in range(TIME):
                    torch.mm(states[t], weights, out=out[t])
            _ = states.flatten(0, 1).mT @ out.flatten(0, 1)
            if with_tanh:
                for t in range(TIME):
                    torch.tanh(states[t], out=out[t])
        return 1e3 * (clock() - started) / 4 / CORES

    return turn


def main() -> None:
    """Print the table as JSON, and for people on standard error."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    contestants: dict[str, Callable[[], float] | None] = {
        "degen, 1 seed": degen_training(1),
        f"degen, {4 * CORES} seeds": degen_training(4 * CORES),
        "nn.RNN, one at a time, all cores": torch_all_cores(),
        "nn.RNN, a process a core": apart(functools.partial(torch_steps, STEPS), CORES),
        # Apart: what forks, as degen does, is not to be where JAX's threads are.
        "JAX scan, jitted, all cores": apart(jax_scan, 1) if find_spec("jax") else None,
        "products alone, a network a core": products(with_tanh=False),
        "products and torch's tanh, a network a core": products(with_tanh=True),
        "forward only, degen, one core": degen_forward(fast=True),
        "forward only, plain loop, one core": degen_forward(fast=False),
    }
    taking_part = {name: turn for name, turn in contestants.items() if turn is not None}
    times: dict[str, list[float]] = {name: [] for name in taking_part}
    for number in range(TURNS + 1):
        for name, turn in taking_part.items():
            taken = turn()
            if number:  # the first warms up
                times[name].append(taken)
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    ours = medians[f"degen, {4 * CORES} seeds"]
    for name, median in medians.items():
        low, high = min(times[name]), max(times[name])
        print(f"{name:45} {median:7.1f} ms ({low:.1f} to {high:.1f})  {median / ours:5.2f}", file=sys.stderr)
    print(json.dumps({"cores": CORES, "milliseconds": medians, "turns": TURNS}))


if __name__ == "__main__":
    main()
