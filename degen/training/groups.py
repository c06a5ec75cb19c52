"""Members that one process of a CPU computes together: small networks wait for Python, not for arithmetic."""

from __future__ import annotations

import math
import operator
from itertools import pairwise

import torch
from torch import Tensor

from degen.models import Model, Parameters
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


def groups(ensemble: Ensemble, task: Task, model: Model, training: Training) -> list[Ensemble]:
    """The members in groups of nearly one size: one a core, or several where a group would be too large."""
    fitting = _BYTES // step_bytes(task, model, training.batch, ensemble.like.dtype)
    largest = 1 if training.batch > TRIALS_PER_BLOCK else min(max(1, fitting), _MOST)
    cores, members = count_cores(), len(ensemble)
    count = min(members, cores * math.ceil(members / (cores * largest)))
    bounds = [members * i // count for i in range(count + 1)]
    return [ensemble.select(range(first, end)) for first, end in pairwise(bounds)]


class Together:
    """Gradients of several members in one pass, as long as each gets the bits that it gets alone.

    A product of some shapes adds in another order in company, which shapes depends on the machine and its
    libraries. So the first step is made both ways, and if a bit differs, all are made member by member.

    Args:
        gradients: what finds those of any number of members.
    """

    def __init__(self, gradients: Gradients):
        self.gradients = gradients
        self.agrees: bool | None = None

    def __call__(
        self, model: Model, regularizer: Regularizer, parameters: Parameters, trials: Trials
    ) -> Found:
        if self.agrees:
            return self.gradients(model, regularizer, parameters, trials)
        apart = [
            self.gradients(
                model,
                regularizer,
                {name: weights[member] for name, weights in parameters.items()},
                trials.map(operator.itemgetter(member)),
            )
            for member in each(trials.inputs)
        ]
        losses, penalties, gradients = zip(*apart, strict=True)
        joined = {name: torch.cat([one[name] for one in gradients]) for name in parameters}
        found = torch.cat(losses), torch.cat(penalties), joined
        if self.agrees is None:
            together = self.gradients(model, regularizer, parameters, trials)
            self.agrees = all(map(torch.equal, _arrays(together), _arrays(found)))
        return found


def _arrays(found: Found) -> list[Tensor]:
    losses, penalties, gradients = found
    return [losses, penalties, *gradients.values()]
