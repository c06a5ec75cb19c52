"""Several processes for one member: the numbers of one, whoever computes them."""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal

import pytest
import torch

from degen.condition import Condition
from degen.streams import Stream
from degen.training import Ensemble
from degen.training.cpu.data_parallel import TRIALS_PER_BLOCK, Worker, assign_workers
from degen.training.cpu.process_pool import parallel_map
from degen.training.gradients import loss_and_gradients
from tests.conftest import TINY, build
from tests.training.members import assert_identical, trained

THREE_BLOCKS = 2 * TRIALS_PER_BLOCK + 1

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="needs Linux")


def workers(condition: Condition, trials: int) -> list[Worker]:
    member = Ensemble.new([0], condition.task, condition.model, dtype=condition.dtype)
    return [worker for _, worker in assign_workers([member], trials)]


@pytest.mark.parametrize(
    "overrides",
    [
        ("task=flip_flop", "regularizer=nuclear_norm"),
        ("task=delayed_discrimination", "task.n_steps=60", "parameterization=mup", "gamma=2"),
        ("task=path_integration", "task.start=hidden_state", "regularizer=l1"),
        ("task=flip_flop", "parameterization=gru", "regularizer=nuclear_norm"),
        ("task=flip_flop", "parameterization=noisy"),
    ],
    ids=" ".join,
)
def test_block_gradients_add_up_to_the_full_gradient(overrides):
    # In exact arithmetic they are equal; in float64 sums of at most 257 trials x 60 steps differ by 1e-12.
    condition = build(*TINY, "dtype=float64", *overrides)
    parameters = condition.model.initialize(condition.task, Stream.named([4], "w", dtype=torch.float64))
    trials = condition.task.generate(THREE_BLOCKS, Stream.named([4], "t", dtype=torch.float64))
    trials = condition.model.add_noise(trials, Stream.named([4], "noise", dtype=torch.float64))
    given = (condition.model, condition.regularizer, parameters, trials)
    loss, penalty, gradients = loss_and_gradients(*given)
    in_blocks = Worker().loss_and_gradients(lambda: None, *given)
    assert in_blocks[0].item() == pytest.approx(loss.item(), rel=1e-12)
    assert in_blocks[1].item() == pytest.approx(penalty.item(), rel=1e-12)
    assert set(in_blocks[2]) == set(gradients)
    for name, gradient in gradients.items():
        assert torch.allclose(in_blocks[2][name], gradient, rtol=1e-11, atol=1e-12)


def test_a_mask_weights_the_blocks():
    condition = build(*TINY, "dtype=float64")
    parameters = condition.model.initialize(condition.task, Stream.named([4], "w", dtype=torch.float64))
    drawn = condition.task.generate(THREE_BLOCKS, Stream.named([4], "t", dtype=torch.float64))
    mask = torch.zeros(1, THREE_BLOCKS, 20, dtype=torch.float64)
    # Nothing counts in the second block.
    mask[:, :5], mask[:, -1] = 1.0, 3.0
    trials = type(drawn)(inputs=drawn.inputs, targets=drawn.targets, mask=mask)
    given = (condition.model, condition.regularizer, parameters, trials)
    loss, _, gradients = loss_and_gradients(*given)
    in_blocks = Worker().loss_and_gradients(lambda: None, *given)
    assert in_blocks[0].item() == pytest.approx(loss.item(), rel=1e-12)
    for name, gradient in gradients.items():
        assert torch.allclose(in_blocks[2][name], gradient, rtol=1e-11, atol=1e-12)


def test_few_trials_are_one_block_with_one_worker():
    condition = build(*TINY)
    assert workers(condition, TRIALS_PER_BLOCK) == [Worker()]
    parameters = condition.model.initialize(condition.task, Stream.named([4], "w"))
    trials = condition.task.generate(TRIALS_PER_BLOCK, Stream.named([4], "t"))
    given = (condition.model, condition.regularizer, parameters, trials)
    loss, penalty, gradients = loss_and_gradients(*given)
    mine = Worker().loss_and_gradients(lambda: None, *given)
    assert torch.equal(mine[0], loss)
    assert torch.equal(mine[1], penalty)
    assert all(torch.equal(mine[2][name], gradient) for name, gradient in gradients.items())


@pytest.mark.parametrize("part", ["regularizer=none", "regularizer=nuclear_norm", "parameterization=noisy"])
def test_results_do_not_depend_on_the_number_of_cores(cores, part):
    condition = build(*TINY, part, f"training.batch_size={THREE_BLOCKS}")
    cores(1)
    alone = trained(condition, [3])[3]
    for count in (2, 3, 8):
        cores(count)
        assert len(workers(condition, THREE_BLOCKS)) == min(count, 3)
        assert_identical(trained(condition, [3])[3], alone)
    assert_identical(trained(condition, [5, 3, 8])[3], alone)


def test_workers_together_equal_one_process(cores):
    """Every worker has the sum, step after step."""
    condition = build(*TINY)
    parameters = condition.model.initialize(condition.task, Stream.named([4], "w"))
    batches = [condition.task.generate(THREE_BLOCKS, Stream.named([4], "t", step)) for step in range(20)]
    parts = (condition.model, condition.regularizer, parameters)

    def work(worker: Worker, check_interrupt) -> list[torch.Tensor]:
        result = [worker.loss_and_gradients(check_interrupt, *parts, trials) for trials in batches]
        return [gradients["recurrent"] for _, _, gradients in result]

    cores(3)
    first, *others = parallel_map(work, workers(condition, THREE_BLOCKS), lambda: None)
    alone = work(Worker(), lambda: None)
    for result in (first, *others):
        assert all(map(torch.equal, result, alone))


@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_worker_is_reported(cores, killed):
    condition = build(*TINY)
    parameters = condition.model.initialize(condition.task, Stream.named([4], "w"))
    trials = condition.task.generate(THREE_BLOCKS, Stream.named([4], "t"))

    def work(worker: Worker, check_interrupt) -> None:
        if worker.rank == killed:
            os.kill(os.getpid(), signal.SIGKILL)
        gradients = functools.partial(worker.loss_and_gradients, check_interrupt)
        gradients(condition.model, condition.regularizer, parameters, trials)

    cores(2)
    with pytest.raises(RuntimeError, match="killed"):
        parallel_map(work, workers(condition, THREE_BLOCKS), lambda: None)
    assert multiprocessing.active_children() == []
