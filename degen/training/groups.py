"""Members that one process of a CPU computes together: small networks wait for Python, not for arithmetic."""

from __future__ import annotations

import math
import operator
from itertools import pairwise

import torch
from torch import Tensor

from degen.models import Model, Parameters
from degen.streams import Stream
from degen.tasks import Task, Trials
from degen.training.ensemble import Ensemble
from degen.training.gradients import Found, each
from degen.training.memory import step_bytes
from degen.training.processes import count_cores
from degen.training.recipe import Training
from degen.training.regularizers import Regularizer
from degen.training.step import Gradients
from degen.training.teams import TRIALS_PER_BLOCK

# More gain little, and what leaves the cache costs more than it saves (docs/training.md).
_MOST = 8
_BYTES = 40 * 2**20
# Numbers that a processor takes at once, at most: two vectors of 64 bytes, of float32.
_LONGEST_VECTOR = 32
# Products of one or two rows add in an order that depends on where in memory these lie; of eight, none seen.
_FEWEST_TRIALS = 16


def groups(ensemble: Ensemble, task: Task, model: Model, training: Training) -> list[Ensemble]:
    """The members in groups of nearly one size: one a core, or several where a group would be too large."""
    fitting = _BYTES // step_bytes(task, model, training.batch_size, ensemble.like.dtype)
    largest = min(max(1, fitting), _MOST)
    # Trials of several blocks are shared by a team. And the last few numbers of an array, those beyond its
    # whole vectors, go another way through a sigmoid: with company there must be none.
    has_odd_end = training.batch_size * model.width % _LONGEST_VECTOR != 0
    if has_odd_end or not _FEWEST_TRIALS <= training.batch_size <= TRIALS_PER_BLOCK:
        largest = 1
    cores, members = count_cores(), len(ensemble)
    count = min(members, cores * math.ceil(members / (cores * largest)))
    bounds = [members * i // count for i in range(count + 1)]
    return [ensemble.select(range(first, end)) for first, end in pairwise(bounds)]


def both_agree(one: bool | None, other: bool | None) -> bool | None:
    """What two groups of one size have seen: a difference in one is one for all; None is not known."""
    return False if False in (one, other) else one or other


class Together:
    """Gradients of several members in one pass, as long as each gets the numbers that it gets alone.

    A product of some shapes adds in another order in company, which shapes depends on the machine and its
    libraries. So the first call finds the gradients on made-up trials both ways, and if a number differs, all
    are found member by member. (The trials at hand might be empty, and differ in nothing.)

    Args:
        gradients: what finds those of any number of members.
        agrees: what an earlier one has seen for as many members; None to see.
    """

    def __init__(self, gradients: Gradients, agrees: bool | None = None):
        self.gradients = gradients
        self.agrees = agrees

    def __call__(
        self, model: Model, regularizer: Regularizer, parameters: Parameters, trials: Trials
    ) -> Found:
        """Losses and penalties (seeds,) and gradients (seeds, ...), as `gradients` returns them."""
        if self.agrees is None:
            stream = Stream.named(range(len(trials.inputs)), "made-up trials", dtype=trials.inputs.dtype)
            given = model, regularizer, parameters, trials.map(lambda array: stream.normal(*array.shape[1:]))
            self.agrees = all(map(torch.equal, _arrays(self.gradients(*given)), _arrays(self._apart(*given))))
        find = self.gradients if self.agrees else self._apart
        return find(model, regularizer, parameters, trials)

    def _apart(self, model: Model, regularizer: Regularizer, parameters: Parameters, trials: Trials) -> Found:
        """The same member by member."""
        found = []
        for member in each(trials.inputs):
            one = {name: weights[member] for name, weights in parameters.items()}
            found.append(self.gradients(model, regularizer, one, trials.map(operator.itemgetter(member))))
        losses, penalties, gradients = zip(*found, strict=True)
        joined = {name: torch.cat([one[name] for one in gradients]) for name in parameters}
        return torch.cat(losses), torch.cat(penalties), joined


def _arrays(found: Found) -> list[Tensor]:
    losses, penalties, gradients = found
    return [losses, penalties, *gradients.values()]
