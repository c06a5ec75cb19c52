"""Networks whose recurrent matrix is constrained: Dale's law, and low rank by construction."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from degen.errors import require, require_integer, require_number
from degen.models.base import Parameters
from degen.models.elman import Elman
from degen.models.nonlinearities import RELU, TANH
from degen.streams import Stream


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dale(Elman):
    r"""A ReLU network whose units are excitatory or inhibitory (Song, Yang & Wang 2016, PLoS Comput Biol).

    .. math:: h_t = \max(0, W h_{t-1} + W_x x_t + b), \quad W_{ij} = s_j |V_{ij}|

    The sign s_j is +1 for the first units and -1 for the others, and never changes. Input and output weights
    are not constrained. The absolute values of V are drawn uniformly. The ratio of excitatory to inhibitory
    weights makes the mean input of a unit zero. The variance of the weights, averaged over units, is
    1 / (3 n), as in `ReLU`.

    Args:
        width: number n of hidden units.
        gamma: divisor of the output and factor of the learning rate.
        excitatory_fraction: fraction of excitatory units, in (0, 1). At least one unit is of either sign.
        initial_gain: factor of the initial recurrent matrix.

    Raises:
        BadInputError: an argument is out of its range.

    Examples:
        >>> from degen.tasks import FlipFlop
        >>> model = Dale(width=5, gamma=1.0, excitatory_fraction=0.8)
        >>> task = FlipFlop(channels=3, n_steps=20, pulse_probability=0.3)
        >>> weights = model.initialize(task, Stream.named([0], "example"))
        >>> model.recurrent(weights)[0, 0].sign()
        tensor([ 1.,  1.,  1.,  1., -1.])
    """

    excitatory_fraction: float
    is_homogeneous = True
    nonlinearity = RELU

    def __post_init__(self) -> None:
        super().__post_init__()
        name = "parameterization.excitatory_fraction"
        require_number(name, self.excitatory_fraction, above=0.0, maximum=1.0)
        allowed = f"a fraction of width = {self.width} with at least one unit of either sign"
        require(0 < self.n_excitatory < self.width, name, self.excitatory_fraction, allowed)

    @property
    def n_excitatory(self) -> int:
        """Number of excitatory units, which come first."""
        return round(self.excitatory_fraction * self.width)

    def initialize_recurrent(self, stream: Stream) -> Tensor:
        n, excitatory = self.width, self.n_excitatory
        ratio = excitatory / (n - excitatory)  # of the inhibitory to the excitatory weights
        # U(0, c) has the variance c^2 / 12. Averaged over all units, the variance is 1 / (3 n).
        bound = (4 / (excitatory + (n - excitatory) * ratio**2)) ** 0.5
        weights = self.initial_gain * stream.uniform(n, n, low=0.0, high=bound)
        weights[..., excitatory:] *= ratio
        return weights

    def recurrent(self, parameters: Parameters) -> Tensor:
        magnitude = parameters["recurrent"].abs()
        first = self.n_excitatory
        return torch.cat((magnitude[..., :first], -magnitude[..., first:]), dim=-1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LowRank(Elman):
    r"""A tanh network of low rank (Mastrogiuseppe & Ostojic 2018; Dubreuil et al. 2022, Nature Neuroscience).

    .. math:: h_t = \tanh(W h_{t-1} + W_x x_t + b), \quad W = M N^\top / n

    M and N, (n, rank), are trained. They are the two entries of the weights `recurrent`,
    (seeds, 2, n, rank), and drawn from N(0, 1). Other weights are drawn as in `Standard`.

    Args:
        width: number n of hidden units.
        gamma: divisor of the output and factor of the learning rate.
        rank: rank of W, from 1 to the width.
        initial_gain: factor of the initial W.

    Raises:
        BadInputError: an argument is out of its range.

    Examples:
        >>> from degen.tasks import FlipFlop
        >>> model = LowRank(width=8, gamma=1.0, rank=2)
        >>> task = FlipFlop(channels=3, n_steps=20, pulse_probability=0.3)
        >>> weights = model.initialize(task, Stream.named([0], "example"))
        >>> torch.linalg.matrix_rank(model.recurrent(weights))
        tensor([2])
    """

    rank: int
    is_odd = True
    nonlinearity = TANH

    def __post_init__(self) -> None:
        super().__post_init__()
        require_integer("parameterization.rank", self.rank, 1)
        require(self.rank <= self.width, "parameterization.rank", self.rank, f"at most width = {self.width}")

    def initialize_recurrent(self, stream: Stream) -> Tensor:
        weights = stream.normal(2, self.width, self.rank)
        weights[..., 0, :, :] *= self.initial_gain
        return weights

    def recurrent(self, parameters: Parameters) -> Tensor:
        left, right = parameters["recurrent"].unbind(-3)
        return left @ right.mT / self.width
