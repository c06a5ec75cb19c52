"""Gated networks: GRU and LSTM, with the gates of torch."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod

import torch
from torch import Tensor
from torch.nn import functional

from degen.fields import neutral
from degen.models.base import Model, Parameters
from degen.models.gated_recurrence import gru_states, lstm_states
from degen.models.initial import require_gain, require_rank, scale_initial
from degen.models.recurrence import product_per_network
from degen.streams import Stream
from degen.tasks import Task, Trials


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gated(Model):
    """A network whose recurrent matrix has a block for each gate, and whose readout is linear.

    Weights and biases are drawn from U(-1/sqrt(n), 1/sqrt(n)), as in torch. Torch's two biases are one.

    Args:
        width: number n of hidden units.
        gamma: divisor of the output and factor of the learning rate.
        initial_gain: factor of the initial recurrent matrix.
        initial_rank: rank of each block of the initial recurrent matrix; 0 for full rank.
    """

    initial_gain: float = neutral(1.0)
    initial_rank: int = neutral(0)

    def __post_init__(self) -> None:
        super().__post_init__()
        require_gain(self.initial_gain)
        require_rank(self.initial_rank, self.width)

    def initialize(self, task: Task, stream: Stream) -> Parameters:
        bound, shapes = self.width**-0.5, self.weight_shapes(task)
        drawn = {name: stream.uniform(*shape, low=-bound, high=bound) for name, shape in shapes.items()}
        recurrent = scale_initial(drawn["recurrent"], self.initial_gain, self.initial_rank)
        return drawn | {"recurrent": recurrent}

    def weight_shapes(self, task: Task) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the weights of a network."""
        rows = self.blocks * self.width
        shapes: dict[str, tuple[int, ...]] = {
            "recurrent": (rows, self.width),
            "input": (rows, task.n_inputs),
            "bias": (rows,),
            "output": (task.n_outputs, self.width),
            "output_bias": (task.n_outputs,),
        }
        return shapes | ({"encoder": (self.state_size, task.n_start)} if task.n_start else {})

    def readout(self, parameters: Parameters, hidden: Tensor) -> Tensor:
        outputs = hidden @ parameters["output"].mT.unsqueeze(1) + parameters["output_bias"][:, None, None]
        return outputs / self.gamma

    def recurrent(self, parameters: Parameters) -> Tensor:
        return parameters["recurrent"]

    @abstractmethod
    def fast_activations(self, parameters: Parameters, inputs: Tensor, state: Tensor) -> Tensor:
        """Return activations (seeds, time, trials, n), with hand-written backpropagation.

        Args:
            parameters: weights by name.
            inputs: inputs and a constant input of 1, (seeds, trials, time, n_inputs + 1).
            state: initial state, (seeds, trials, state_size).
        """

    def input_weights(self, parameters: Parameters) -> Tensor:
        """Return the weights of the inputs and of a constant input, (seeds, blocks * n, n_inputs + 1)."""
        return torch.cat((parameters["input"], parameters["bias"].unsqueeze(-1)), dim=-1)

    def __call__(self, parameters: Parameters, trials: Trials) -> Tensor:
        inputs = functional.pad(trials.inputs, (0, 1), value=1.0)
        state = self.initial_hidden(parameters, trials)
        hidden = self.fast_activations(parameters, inputs, state).flatten(1, 2)
        outputs = product_per_network(hidden, parameters["output"].mT)
        outputs = (outputs + parameters["output_bias"].unsqueeze(1)) / self.gamma
        return outputs.unflatten(1, (trials.inputs.shape[2], -1)).transpose(1, 2)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GRU(Gated):
    r"""A gated recurrent unit (Cho et al. 2014), as `torch.nn.GRU`.

    .. math::
        r_t, z_t &= \sigma(W_{r,z} h_{t-1} + U_{r,z} x_t + b_{r,z}) \\
        c_t &= \tanh(r_t \odot (W_c h_{t-1} + b'_c) + U_c x_t + b_c) \\
        h_t &= z_t \odot h_{t-1} + (1 - z_t) \odot c_t, \quad y_t = (W_o h_t + b_o) / \gamma

    The weights `recurrent` (3 n, n) contain W of the reset gate r, of the update gate z and of the candidate
    c. The bias b'_c is `recurrent_bias`.

    Args:
        width: number n of hidden units.
        gamma: divisor of the output and factor of the learning rate.
        initial_gain, initial_rank: gain, and rank of each block, of the initial recurrent matrix.

    Examples:
        >>> from degen.tasks import FlipFlop
        >>> model = GRU(width=8, gamma=1.0)
        >>> task = FlipFlop(channels=3, n_steps=20, pulse_probability=0.3)
        >>> weights = model.initialize(task, Stream.named([0], "example"))
        >>> model.recurrent(weights).shape
        torch.Size([1, 24, 8])
    """

    blocks = 3
    stored_arrays = 5

    def weight_shapes(self, task: Task) -> dict[str, tuple[int, ...]]:
        return super().weight_shapes(task) | {"recurrent_bias": (self.width,)}

    def step(self, parameters: Parameters, state: Tensor, inputs: Tensor) -> Tensor:
        drive = inputs @ parameters["input"].mT + parameters["bias"].unsqueeze(1)
        recurrent = state @ parameters["recurrent"].mT
        reset_drive, update_drive, candidate_drive = drive.chunk(3, dim=-1)
        reset, update, candidate = recurrent.chunk(3, dim=-1)
        gate = torch.sigmoid(reset_drive + reset)
        update_gate = torch.sigmoid(update_drive + update)
        new = torch.tanh(candidate_drive + gate * (candidate + parameters["recurrent_bias"].unsqueeze(1)))
        return update_gate * state + (1 - update_gate) * new

    def fast_activations(self, parameters: Parameters, inputs: Tensor, state: Tensor) -> Tensor:
        gates, candidate = self.input_weights(parameters).split((2 * self.width, self.width), dim=1)
        # r multiplies W_c h + b'_c, which has no other inputs than the constant.
        recurrent_bias = functional.pad(parameters["recurrent_bias"].unsqueeze(-1), (inputs.shape[-1] - 1, 0))
        weights = torch.cat((parameters["recurrent"], torch.cat((gates, recurrent_bias), dim=1)), dim=-1)
        return gru_states(weights, candidate, inputs, state)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LSTM(Gated):
    r"""A network with long short-term memory (Hochreiter & Schmidhuber 1997), as `torch.nn.LSTM`.

    .. math::
        i_t, f_t, o_t &= \sigma(W_{i,f,o} h_{t-1} + U_{i,f,o} x_t + b_{i,f,o}) \\
        g_t &= \tanh(W_g h_{t-1} + U_g x_t + b_g) \\
        c_t &= f_t \odot c_{t-1} + i_t \odot g_t, \quad h_t = o_t \odot \tanh(c_t), \quad
        y_t = (W_o h_t + b_o) / \gamma

    The state is h, then c. Activations are h. The weights `recurrent` (4 n, n) contain W of the input gate i,
    of the forget gate f, of g and of the output gate o.

    Args:
        width: number n of hidden units.
        gamma: divisor of the output and factor of the learning rate.
        initial_gain, initial_rank: gain, and rank of each block, of the initial recurrent matrix.

    Examples:
        >>> from degen.tasks import FlipFlop
        >>> model = LSTM(width=8, gamma=1.0)
        >>> task = FlipFlop(channels=3, n_steps=20, pulse_probability=0.3)
        >>> weights = model.initialize(task, Stream.named([0], "example"))
        >>> trials = task.generate(5, Stream.named([0], "example"))
        >>> model.unroll_states(weights, trials).shape, model.unroll(weights, trials).shape
        (torch.Size([1, 5, 20, 16]), torch.Size([1, 5, 20, 8]))
    """

    blocks = 4
    stored_arrays = 7

    @property
    def state_size(self) -> int:
        return 2 * self.width

    def activations(self, state: Tensor) -> Tensor:
        return state[..., : self.width]

    def step(self, parameters: Parameters, state: Tensor, inputs: Tensor) -> Tensor:
        hidden, cell = state.chunk(2, dim=-1)
        drive = inputs @ parameters["input"].mT + parameters["bias"].unsqueeze(1)
        gates = (hidden @ parameters["recurrent"].mT + drive).chunk(4, dim=-1)
        input_gate, forget_gate, output_gate = (torch.sigmoid(gates[i]) for i in (0, 1, 3))
        cell = forget_gate * cell + input_gate * torch.tanh(gates[2])
        return torch.cat((output_gate * torch.tanh(cell), cell), dim=-1)

    def fast_activations(self, parameters: Parameters, inputs: Tensor, state: Tensor) -> Tensor:
        weights = torch.cat((parameters["recurrent"], self.input_weights(parameters)), dim=-1)
        return lstm_states(weights, inputs, state)
