"""Predicted memory of a training step and of a draw of trials against the memory allocated."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
import torch

from degen.streams import Stream
from degen.training import Ensemble
from degen.training.memory import draw_bytes, plan_memory, step_bytes
from degen.training.step import TrainingStep
from tests.conftest import build, task


def resident(kind: str) -> int:
    """Bytes of this process in memory: VmRSS now, VmHWM at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(kind))


def peak_of(work: Callable[[], object]) -> int:
    """Bytes that `work` takes at most, beyond what was taken before."""
    work()  # libraries set themselves up
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the highest mark starts from now
    before = resident("VmRSS")
    work()
    return resident("VmHWM") - before


def peak_of_a_step(overrides: tuple[str, ...], seeds: int) -> int:
    condition, dtype = build(*overrides), build(*overrides).dtype
    members = Ensemble.new(range(seeds), condition.task, condition.model, dtype=dtype)
    stream = Stream.named(range(seeds), "trials", dtype=dtype)
    trials = condition.task.generate(condition.training.batch_size, stream)
    trials = condition.model.add_noise(trials, stream)

    def work() -> None:
        ensemble, own = members.select(range(seeds)), trials.map(torch.clone)
        step = TrainingStep.create(ensemble, condition.model, condition.training, condition.regularizer)
        step(own, torch.ones(2, seeds, dtype=dtype))

    return peak_of(work)


def peak_of_a_draw(overrides: tuple[str, ...], seeds: int) -> int:
    return peak_of(lambda: task(*overrides).generate(2048, Stream.named(range(seeds), "trials")))


def _prepare() -> None:
    torch.set_num_threads(1)
    # Every large array comes from the system and goes back there.
    ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, 2**17)


@pytest.fixture(scope="module")
def fresh() -> Iterator[ProcessPoolExecutor]:
    """A process without freed memory of its own, which arrays would be put into unseen."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=_prepare) as process:
        yield process


pytestmark = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="needs Linux to measure memory"
)

_MMAP_THRESHOLD = -3  # malloc.h

SIZES = [
    ("task=flip_flop", "width=128", "training.batch_size=64"),
    ("task=flip_flop", "width=64", "training.batch_size=128", "parameterization=mup", "dtype=float64"),
    ("task=flip_flop", "task.channels=20", "width=32", "training.batch_size=64"),
    ("task=path_integration", "parameterization=mup", "width=256", "training.batch_size=32"),
    ("task=delayed_discrimination", "width=1024", "training.batch_size=16"),
    ("task=flip_flop", "width=64", "training.batch_size=64", "parameterization=gru"),
    ("task=flip_flop", "width=64", "training.batch_size=64", "parameterization=lstm"),
    ("task=flip_flop", "width=64", "training.batch_size=128", "parameterization=noisy"),
]


@pytest.mark.parametrize("overrides", SIZES, ids=" ".join)
def test_a_step_needs_the_predicted_memory(overrides, fresh):
    condition, seeds = build(*overrides), 8
    said = seeds * step_bytes(condition.task, condition.model, condition.training.batch_size, condition.dtype)
    assert said > 50e6  # far above what the allocator rounds
    taken = fresh.submit(peak_of_a_step, overrides, seeds).result()
    assert 0.4 * said < taken < said


@pytest.mark.parametrize(
    "overrides",
    [
        ("task=flip_flop",),
        ("task=sine_wave", "task.channels=3"),
        ("task=delayed_discrimination", "task.channels=3"),
        ("task=path_integration", "task.dimensions=3"),
    ],
    ids=" ".join,
)
def test_a_draw_needs_at_most_the_predicted_memory(overrides, fresh):
    said = 8 * draw_bytes(task(*overrides), 2048, torch.float32)
    assert said > 30e6
    taken = fresh.submit(peak_of_a_draw, overrides, 8).result()
    assert 0.1 * said < taken < said  # tasks that draw a few numbers a trial take far less


def test_a_plan_fits_into_the_memory():
    condition = build()
    parts = condition.task, condition.model, condition.training, condition.dtype
    step = step_bytes(condition.task, condition.model, condition.training.batch_size, torch.float32)
    draw = draw_bytes(condition.task, 256, torch.float32)
    for free in (1e8, 1e9, 1e10, 1e11):
        planned = plan_memory(10**6, *parts, int(free))
        used = planned.networks * (step + draw)
        assert used <= 0.6 * free < used + step + draw
        assert planned.steps_per_draw == max(1, min(128, int(0.2 * free // (planned.networks * draw))))
    assert plan_memory(50, *parts, int(1e11)).networks == 50
    assert plan_memory(50, *parts, 0).networks == plan_memory(50, *parts, 0).steps_per_draw == 1
