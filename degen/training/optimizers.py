"""Optimizers: one update of all networks of an ensemble at once, in place."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from degen.errors import require, require_number
from degen.fields import neutral
from degen.models import Parameters
from degen.training.ensemble import Ensemble


@dataclasses.dataclass(frozen=True, kw_only=True)
class Optimizer(ABC):
    """An update rule with at most two running averages per weight.

    Args:
        learning_rate: initial learning rate, before scaling by the model (`Model.learning_rate`).

    Raises:
        BadInputError: an argument is out of its range.
    """

    learning_rate: float

    def __post_init__(self) -> None:
        require_number("training.optimizer.learning_rate", self.learning_rate, above=0.0)

    @abstractmethod
    def coefficients(
        self, learning_rates: Sequence[Sequence[float]], steps_done: Sequence[int], like: Tensor
    ) -> Tensor:
        """Return the k numbers per network that `update` needs in each step of an epoch, (steps, k, seeds).

        Args:
            learning_rates: for each network, the learning rate of each step of the epoch.
            steps_done: for each network, the number of steps before this epoch.
            like: an array with the device and dtype of the result.
        """

    @abstractmethod
    def update(self, ensemble: Ensemble, gradients: Parameters, coefficients: Tensor) -> None:
        """Update the weights and moments of an ensemble in place.

        This method must not synchronize with the device, so that a step can be captured as a CUDA graph.

        Args:
            ensemble: the networks to update.
            gradients: gradients by the name of the weight, each (seeds, ...).
            coefficients: coefficients of this step, (k, seeds).
        """


@dataclasses.dataclass(frozen=True, kw_only=True)
class Adam(Optimizer):
    """Adam (Kingma & Ba 2015, algorithm 1; `torch.optim.Adam`), with decoupled weight decay as an option.

    Args:
        learning_rate: initial learning rate, before scaling by the model (`Model.learning_rate`).
        betas: decay rates of the averages of gradients and of squared gradients.
        eps: constant added to the denominator. It must be far smaller than the gradients, whose size depends
            on the parameterization.
        weight_decay: fraction of every weight, times the learning rate, that a step subtracts (Loshchilov &
            Hutter 2019; `torch.optim.AdamW`).

    Raises:
        BadInputError: an argument is out of its range.

    Examples:
        >>> adam = Adam(learning_rate=0.001, betas=(0.9, 0.999), eps=1e-8)
        >>> adam.coefficients([[0.001, 0.001]], [0], torch.zeros(1)).shape  # (steps, k, seeds)
        torch.Size([2, 2, 1])
    """

    betas: tuple[float, float]
    eps: float
    weight_decay: float = neutral(0.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        is_pair = isinstance(self.betas, list | tuple) and len(self.betas) == 2
        require(is_pair, "training.optimizer.betas", self.betas, "a list of two numbers")
        for beta in self.betas:
            require_number("training.optimizer.betas", beta, minimum=0.0, maximum=0.999999)
        require_number("training.optimizer.eps", self.eps, above=0.0)
        require_number("training.optimizer.weight_decay", self.weight_decay, minimum=0.0)

    def coefficients(
        self, learning_rates: Sequence[Sequence[float]], steps_done: Sequence[int], like: Tensor
    ) -> Tensor:
        """Return step sizes, the second moment's bias, and the factors of weights if they decay.

        The step size is the learning rate over the first moment's bias.
        """
        beta1, beta2 = self.betas
        decays = self.weight_decay > 0.0
        per_network = [
            [
                (rate / (1 - beta1 ** (done + i)), 1 - beta2 ** (done + i))
                + ((1 - rate * self.weight_decay,) if decays else ())
                for i, rate in enumerate(rates, 1)
            ]
            for rates, done in zip(learning_rates, steps_done, strict=True)
        ]
        return torch.tensor(per_network, dtype=torch.float64).permute(1, 2, 0).to(like).contiguous()

    def update(self, ensemble: Ensemble, gradients: Parameters, coefficients: Tensor) -> None:
        beta1, beta2 = self.betas
        step_size, bias_correction, *factor = coefficients
        for name, gradient in gradients.items():
            per_network = (-1,) + (1,) * (gradient.ndim - 1)
            first, second = ensemble.first_moment[name], ensemble.second_moment[name]
            # Use unfused operations. A fused kernel may round the tail of an array differently, and which
            # network sits in the tail depends on the ensemble size.
            first.mul_(beta1).add_(gradient * (1 - beta1))
            second.mul_(beta2).add_((gradient * gradient).mul_(1 - beta2))
            if factor:
                ensemble.parameters[name].mul_(factor[0].view(per_network))
            scale = (second / bias_correction.view(per_network)).sqrt_().add_(self.eps)
            ensemble.parameters[name].sub_(step_size.view(per_network) * first / scale)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SGD(Optimizer):
    """Stochastic gradient descent with momentum (`torch.optim.SGD`).

    The scaling of `MuP` with the width holds for Adam, not for SGD.

    Args:
        learning_rate: initial learning rate, before scaling by the model (`Model.learning_rate`).
        momentum: fraction of the last update that is added to the gradient, in [0, 1).
        weight_decay: fraction of every weight that is added to its gradient.

    Raises:
        BadInputError: an argument is out of its range.

    Examples:
        >>> sgd = SGD(learning_rate=0.1, momentum=0.9)
        >>> sgd.coefficients([[0.1, 0.1]], [0], torch.zeros(1)).shape  # (steps, k, seeds)
        torch.Size([2, 1, 1])
    """

    momentum: float
    weight_decay: float = neutral(0.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        require_number("training.optimizer.momentum", self.momentum, minimum=0.0, maximum=0.999999)
        require_number("training.optimizer.weight_decay", self.weight_decay, minimum=0.0)

    def coefficients(
        self, learning_rates: Sequence[Sequence[float]], steps_done: Sequence[int], like: Tensor
    ) -> Tensor:
        """Return the learning rates."""
        return torch.tensor(learning_rates, dtype=torch.float64).mT.unsqueeze(1).to(like).contiguous()

    def update(self, ensemble: Ensemble, gradients: Parameters, coefficients: Tensor) -> None:
        (learning_rate,) = coefficients
        for name, gradient in gradients.items():
            weights, velocity = ensemble.parameters[name], ensemble.first_moment[name]
            if self.weight_decay > 0.0:
                gradient = gradient + self.weight_decay * weights
            velocity.mul_(self.momentum).add_(gradient)
            weights.sub_(learning_rate.view((-1,) + (1,) * (gradient.ndim - 1)) * velocity)
