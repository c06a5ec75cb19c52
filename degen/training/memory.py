"""Prediction of the memory that training needs, and of the number of networks that fit into a device.

The prediction counts the arrays of a training step (`degen.models.recurrence`, `degen.training.step`) and of
a draw of trials. `tests/training/test_memory.py` compares it with the allocated memory.
"""

from __future__ import annotations

import dataclasses

import torch

from degen.models import Model
from degen.streams import Stream
from degen.tasks import Task
from degen.training.recipe import Training
from degen.training.validation import TRIALS_PER_BLOCK

# Fractions of the free memory. The rest is for copies of the ensemble, workspaces of libraries and gaps.
_FRACTION_FOR_NETWORKS, _FRACTION_FOR_TRIALS = 0.6, 0.2


@dataclasses.dataclass(frozen=True)
class MemoryPlan:
    """Division of the work of an epoch.

    Attributes:
        networks: largest number of networks computed at once.
        steps_per_draw: number of training steps whose trials are drawn at once.
    """

    networks: int
    steps_per_draw: int


def plan_memory(
    networks: int, task: Task, model: Model, training: Training, dtype: torch.dtype, free_bytes: int
) -> MemoryPlan:
    """Return the number of networks that fit into the memory, and the number of steps per draw of trials.

    Both are at least 1, even if a single network or step does not fit.
    """
    draw = draw_bytes(task, training.batch_size, dtype)
    # Validation computes blocks of trials, and needs less memory per trial than a training step.
    n_trials = max(training.batch_size, TRIALS_PER_BLOCK)
    network = step_bytes(task, model, n_trials, dtype) + draw
    networks = min(networks, max(1, int(_FRACTION_FOR_NETWORKS * free_bytes // network)))
    steps = int(_FRACTION_FOR_TRIALS * free_bytes // (networks * draw))
    return MemoryPlan(networks, min(training.steps_per_epoch, max(1, steps)))


def step_bytes(task: Task, model: Model, batch_size: int, dtype: torch.dtype) -> int:
    """Return the bytes of a training step of one network, including its trials and optimizer state."""
    trials = task.generate(1, Stream.named([0], "shapes"))
    weights = model.initialize(task, Stream.named([0], "shapes")).values()
    time, n_inputs, n_outputs = trials.inputs.shape[-2], task.n_inputs + 1, task.n_outputs
    # States and inputs; gradients of states and of outputs; what else the model stores.
    history = (time + 1) * (2 * model.width + n_inputs + n_outputs) + time * model.stored_arrays * model.width
    # Inputs without and with a constant 1; targets, outputs, logarithms of probabilities, errors, a product,
    # and gradients of outputs, logarithms and errors.
    others = time * (2 * n_inputs + 8 * n_outputs) + 8 * model.width
    # Current, initial and converged weights, two moments and gradients; concatenations, transposes and
    # temporary arrays of the optimizer.
    n_weights = sum(array.numel() for array in weights)
    return dtype.itemsize * (batch_size * (history + others) + 13 * n_weights)


def draw_bytes(task: Task, batch_size: int, dtype: torch.dtype) -> int:
    """Return the bytes of drawing the trials of one step of one network, including the trials."""
    time = task.generate(1, Stream.named([0], "shapes")).inputs.shape[-2]
    n_inputs, n_outputs = task.n_inputs, task.n_outputs
    # Random bits are mixed in integers of eight bytes, and random walks store their increments.
    per_step = 2 * dtype.itemsize * (n_inputs + n_outputs) + 4 * 8 * max(n_inputs, n_outputs)
    return batch_size * time * per_step


def free_memory(device: torch.device) -> int:
    """Return the free bytes of a CUDA device."""
    torch.cuda.empty_cache()
    return torch.cuda.mem_get_info(device)[0]
