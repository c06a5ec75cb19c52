"""A leaky network with process noise."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor
from torch.nn import functional

from degen.errors import require_number
from degen.models.base import Parameters
from degen.models.elman import DenseElman, concatenate_weights
from degen.models.nonlinearities import TANH
from degen.models.recurrence import outputs
from degen.streams import Stream
from degen.tasks import Trials


@dataclasses.dataclass(frozen=True, kw_only=True)
class Noisy(DenseElman):
    r"""A leaky tanh network with noise in every step (Song, Yang & Wang 2016, PLoS Comput Biol).

    .. math:: h_t = (1 - a) h_{t-1} + a (W \tanh(h_{t-1}) + W_x x_t + b) + \sqrt{2 a} \sigma \xi_t,
        \quad y_t = (W_o \tanh(h_t) + b_o) / \gamma

    The entries of xi_t are standard normal and independent. The state of a unit without inputs has a standard
    deviation near sigma if a is small. All losses are computed with noise. `unroll` and `step` have none
    unless the trials contain it (`add_noise`), so that networks are compared without noise.

    Args:
        width: number n of hidden units.
        gamma: divisor of the output and factor of the learning rate.
        leak_rate: a in (0, 1], the fraction of the state that each step replaces (the paper's tau).
        noise_std: sigma, at least 0.
        initial_gain, initial_rank: as for `Standard`.

    Raises:
        BadInputError: an argument is out of its range.

    Examples:
        >>> from degen.tasks import FlipFlop
        >>> model = Noisy(width=8, gamma=1.0, leak_rate=0.5, noise_std=0.1)
        >>> task = FlipFlop(channels=3, n_steps=20, pulse_probability=0.3)
        >>> trials = task.generate(5, Stream.named([0, 1], "example"))
        >>> model.add_noise(trials, Stream.named([0, 1], "noise")).noise.shape
        torch.Size([2, 5, 20, 8])
    """

    leak_rate: float
    noise_std: float
    is_odd = True
    nonlinearity = TANH
    stored_arrays = 2  # the noise, and its copy on a GPU

    def __post_init__(self) -> None:
        super().__post_init__()
        require_number("parameterization.leak_rate", self.leak_rate, above=0.0, maximum=1.0)
        require_number("parameterization.noise_std", self.noise_std, minimum=0.0)

    def add_noise(self, trials: Trials, stream: Stream) -> Trials:
        if self.noise_std == 0.0:
            return trials
        n_trials, n_steps = trials.inputs.shape[-3:-1]
        # Drawing step by step is twice as fast on a CPU, because the numbers fit into the cache.
        steps = [stream.normal(n_trials, self.width) for _ in range(n_steps)]
        scale = (2 * self.leak_rate) ** 0.5 * self.noise_std
        return dataclasses.replace(trials, noise=torch.stack(steps, dim=-2).mul_(scale))

    def step(self, parameters: Parameters, state: Tensor, inputs: Tensor) -> Tensor:
        drive = inputs @ parameters["input"].mT + parameters["bias"].unsqueeze(1)
        drive = torch.tanh(state) @ self.recurrent(parameters).mT + drive
        return (1 - self.leak_rate) * state + self.leak_rate * drive

    def readout(self, parameters: Parameters, hidden: Tensor) -> Tensor:
        return super().readout(parameters, torch.tanh(hidden))

    def __call__(self, parameters: Parameters, trials: Trials) -> Tensor:
        weights = concatenate_weights(self.recurrent(parameters), parameters, self.gamma)
        weights = torch.cat((self.leak_rate * weights[:, : self.width], weights[:, self.width :]), dim=1)
        with_one = functional.pad(trials.inputs, (0, 1), value=1.0)
        state = self.initial_hidden(parameters, trials)
        leak = 1 - self.leak_rate
        return outputs(weights, with_one, state, torch.tanh(state), leak, TANH, trials.noise)
