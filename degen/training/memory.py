"""How many members of an ensemble a device's memory holds at once, from a formula.

The formula counts the arrays of a training step (`degen.models.recurrence`, `degen.training.step`) and of a
draw of trials. `tests/training/test_memory.py` holds it to what is really allocated.
"""

from __future__ import annotations

import dataclasses

import torch

from degen.models import Model
from degen.streams import Stream
from degen.tasks import Task
from degen.training.recipe import Training
from degen.training.validation import TRIALS_PER_BLOCK

# Of the free memory: for members, and for trials of further steps. The rest is for copies of the ensemble,
# libraries' workspaces and gaps between arrays.
_FOR_MEMBERS, _FOR_TRIALS = 0.6, 0.2
# Arrays (trials, time, width) that autograd keeps of a model without backpropagation of its own.
_ARRAYS_OF_A_LOOP = 8


@dataclasses.dataclass(frozen=True)
class Plan:
    """How the work of an epoch is divided.

    Attributes:
        members: computed at once, at most.
        steps_per_draw: training steps whose trials are drawn at once.
    """

    members: int
    steps_per_draw: int


def plan(
    members: int, task: Task, model: Model, training: Training, dtype: torch.dtype, free_bytes: int
) -> Plan:
    """As many of the members as fit, and as many steps' trials as fit beside them.

    One member and one step are the least, whether or not they fit.
    """
    draw = draw_bytes(task, training.batch_size, dtype)
    # Validation takes its trials in blocks, and needs less per trial than a training step.
    trials = max(training.batch_size, TRIALS_PER_BLOCK)
    member = step_bytes(task, model, trials, dtype) + draw
    members = min(members, max(1, int(_FOR_MEMBERS * free_bytes // member)))
    steps = int(_FOR_TRIALS * free_bytes // (members * draw))
    return Plan(members, min(training.steps_per_epoch, max(1, steps)))


def step_bytes(task: Task, model: Model, batch: int, dtype: torch.dtype) -> int:
    """Bytes that a training step of one member takes, its trials and its Adam state included."""
    trials = task.generate(1, Stream.named([0], "shapes"))
    weights = model.initialize(task, Stream.named([0], "shapes")).values()
    time, n_inputs, n_outputs = trials.inputs.shape[-2], task.n_inputs + 1, task.n_outputs
    # States beside inputs, and gradients of states beside those of outputs.
    history = (time + 1) * (2 * model.width + n_inputs + n_outputs)
    if type(model).__call__ is Model.__call__:
        history += time * _ARRAYS_OF_A_LOOP * model.width
    # Inputs, and inputs with a one; targets, outputs, errors, gradients of both.
    beside = time * (2 * n_inputs + 5 * n_outputs) + 8 * model.width
    # Weights now, at the start and at convergence, two moments, gradients; concatenations, transposes, the
    # optimizer's temporaries.
    n_weights = sum(array.numel() for array in weights)
    return dtype.itemsize * (batch * (history + beside) + 13 * n_weights)


def draw_bytes(task: Task, batch: int, dtype: torch.dtype) -> int:
    """Bytes that drawing one step's trials of one member takes, the trials included."""
    time = task.generate(1, Stream.named([0], "shapes")).inputs.shape[-2]
    n_inputs, n_outputs = task.n_inputs, task.n_outputs
    # Random bits are mixed in integers of eight bytes, and walks keep the steps they are made of.
    return batch * time * (2 * dtype.itemsize * (n_inputs + n_outputs) + 4 * 8 * max(n_inputs, n_outputs))


def free_memory(device: torch.device) -> int:
    """Bytes that are free on a CUDA device."""
    torch.cuda.empty_cache()
    return torch.cuda.mem_get_info(device)[0]
