"""Gradients of several small networks in one pass, where the result is bitwise the same.

A step of a small network spends most of its time in Python, not in arithmetic. A pass for several networks
spends this time once.
"""

from __future__ import annotations

import math
import operator
from itertools import pairwise

import torch

from degen.models import Model, Parameters
from degen.streams import Stream
from degen.tasks import Task, Trials
from degen.training.cpu.data_parallel import TRIALS_PER_BLOCK
from degen.training.cpu.process_pool import count_cores
from degen.training.ensemble import Ensemble
from degen.training.gradients import LossesAndGradients, network_slices
from degen.training.memory import step_bytes
from degen.training.recipe import Training
from degen.training.regularizers import Regularizer
from degen.training.step import GradientFunction

# Larger groups gain little, and arrays that do not fit into the cache cost more than the group saves.
_MAX_NETWORKS = 8
_MAX_BYTES = 40 * 2**20
# Largest number of float32 values that a CPU processes at once: two vectors of 64 bytes.
_VECTOR_LENGTH = 32
# Products of one or two rows are summed in an order that depends on their alignment in memory. With eight
# rows the order is fixed in all known cases; this leaves a margin.
_MIN_TRIALS = 16


def split_into_groups(ensemble: Ensemble, task: Task, model: Model, training: Training) -> list[Ensemble]:
    """Split an ensemble into groups of nearly equal size, at least one per core.

    There are more groups than cores if groups would otherwise be too large.
    """
    batch_size = training.batch_size
    fitting = _MAX_BYTES // step_bytes(task, model, batch_size, ensemble.like.dtype)
    largest = min(max(1, fitting), _MAX_NETWORKS)
    # Values beyond the last full vector of an array are computed differently. In a group, this would change
    # the values of other networks, so there must be none. Larger batches are divided over processes instead.
    has_partial_vector = batch_size * model.width % _VECTOR_LENGTH != 0
    if has_partial_vector or not _MIN_TRIALS <= batch_size <= TRIALS_PER_BLOCK:
        largest = 1
    cores, networks = count_cores(), len(ensemble)
    count = min(networks, cores * math.ceil(networks / (cores * largest)))
    bounds = [networks * i // count for i in range(count + 1)]
    return [ensemble.select(range(first, end)) for first, end in pairwise(bounds)]


def merge_equality(first: bool | None, second: bool | None) -> bool | None:
    """Merge the equality checks of two groups of the same size. False wins; None means not checked."""
    return False if False in (first, second) else first or second


class BatchedGradients:
    """Gradients of several networks in one pass, if they are bitwise equal to gradients of separate passes.

    A batched matrix product may sum in another order than a single product, depending on the shapes, the CPU
    and its libraries. The first call therefore computes gradients in both ways on random trials. If any bit
    differs, all later calls compute network by network. The trials of the task would not do for the check,
    because they may be all zero.

    Args:
        gradient_function: computes the gradients of any number of networks.
        is_bitwise_equal: result of an earlier check with equally many networks; None to check.
    """

    def __init__(self, gradient_function: GradientFunction, is_bitwise_equal: bool | None = None):
        self.gradient_function = gradient_function
        self.is_bitwise_equal = is_bitwise_equal

    def __call__(
        self, model: Model, regularizer: Regularizer, parameters: Parameters, trials: Trials
    ) -> LossesAndGradients:
        """Return losses and penalties (seeds,) and gradients (seeds, ...)."""
        if self.is_bitwise_equal is None:
            stream = Stream.named(range(len(trials.inputs)), "made-up trials", dtype=trials.inputs.dtype)
            random = trials.map(lambda array: stream.normal(*array.shape[1:]))
            arguments = model, regularizer, parameters, random
            batched, separate = self.gradient_function(*arguments), self._per_network(*arguments)
            pairs = zip(batched.tensors, separate.tensors, strict=True)
            self.is_bitwise_equal = all(torch.equal(first, second) for first, second in pairs)
        compute = self.gradient_function if self.is_bitwise_equal else self._per_network
        return compute(model, regularizer, parameters, trials)

    def _per_network(
        self, model: Model, regularizer: Regularizer, parameters: Parameters, trials: Trials
    ) -> LossesAndGradients:
        """Compute the result of `__call__` in a separate pass for each network."""
        results = []
        for network in network_slices(trials.inputs):
            weights = {name: array[network] for name, array in parameters.items()}
            own_trials = trials.map(operator.itemgetter(network))
            results.append(self.gradient_function(model, regularizer, weights, own_trials))
        losses, penalties, gradients = zip(*results, strict=True)
        joined = {name: torch.cat([result[name] for result in gradients]) for name in parameters}
        return LossesAndGradients(torch.cat(losses), torch.cat(penalties), joined)
