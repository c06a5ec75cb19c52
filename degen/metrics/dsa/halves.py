"""Split-half baseline: distances between operators that are estimated from half of the trials."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from degen.errors import require
from degen.metrics.arrays import Array, to_tensor
from degen.metrics.dsa.distances import paired_distances, stack_operators


class HalfDistances(NamedTuple):
    """Distances between half of the trials and the other half.

    All operators have equal estimation errors, so that the two fields can be compared. A difference between
    networks is evidence only if `between` exceeds `within`.

    `within`, (networks,), is the distance of each network from itself: the split-half baseline. `between`,
    (networks,), is the distance of each network from the next network. The last network is followed by the
    first.
    """

    within: NDArray[np.float64]
    between: NDArray[np.float64]

    @property
    def baseline_ratio(self) -> float:
        """Mean distance between networks over the split-half baseline, 1 for networks that do not differ.

        It is NaN if the baseline is zero.
        """
        baseline = float(self.within.mean())
        return float(self.between.mean()) / baseline if baseline > 0 else float("nan")


def half_distances(
    first: Array,
    second: Array,
    *,
    score: str = "angular",
    seed: int = 0,
    input_maps: tuple[Array, Array] | None = None,
) -> HalfDistances:
    """Compute the distances between operators of the first and of the second half of the trials.

    Args:
        first, second: operators of each half, (networks, r, r), for example from `operators` on the trials of
            `matched_halves`. The halves may be padded to different sizes.
        score: an entry of `SCORES`.
        seed: seed of the random initial alignments.
        input_maps: input maps of each half, as in `distance_matrix`.

    Raises:
        BadInputError: an argument that `distance_matrix` rejects, or halves of different numbers of networks.

    Examples:
        >>> from degen.metrics.dsa import Hyperparameters, operators
        >>> generator = torch.Generator().manual_seed(0)
        >>> states = torch.randn(3, 8, 20, 3, generator=generator, dtype=torch.float64).cumsum(dim=2)
        >>> one, other = matched_halves(torch.randn(8, 20, 2, generator=generator))
        >>> hyperparameters = Hyperparameters(n_components=2, lag=1, rank=2)
        >>> halves = [operators(states[:, half], hyperparameters) for half in (one, other)]
        >>> within, between = half_distances(*halves, score="wasserstein", seed=0)
        >>> within.shape, between.shape
        ((3,), (3,))
    """
    maps = (None, None) if input_maps is None else input_maps
    a, b = (stack_operators(*half) for half in zip((first, second), (score, score), maps, strict=True))
    require(len(a) == len(b), "networks of the second half", len(b), f"{len(a)}, as in the first half")
    size = max(a.shape[1], b.shape[1])
    a, b = (_pad(half, size) for half in (a, b))
    distances = paired_distances(torch.cat([a, a]), torch.cat([b, b.roll(-1, dims=0)]), score, seed)
    return HalfDistances(distances[: len(a)], distances[len(a) :])


def _pad(stacked: Tensor, size: int) -> Tensor:
    """Pad operators with input maps, (networks, r, r + inputs), to (networks, size, size + inputs)."""
    r = stacked.shape[1]
    operators, maps = stacked[..., :r], stacked[..., r:]
    return torch.cat([pad(operators, (0, size - r, 0, size - r)), pad(maps, (0, 0, 0, size - r))], dim=2)


def matched_halves(inputs: Array) -> tuple[Tensor, Tensor]:
    """Split trials into two halves with similar inputs.

    Trials are paired by the means of their inputs over time, and the two trials of a pair are in different
    halves. Both halves then cover the same stimuli. If they did not, the split-half baseline would contain
    the difference of the stimuli.

    Args:
        inputs: (trials, time, inputs).

    Returns:
        Indices of the trials of each half, sorted. For an odd number of trials one half has one trial more.

    Raises:
        BadInputError: inputs that are not finite, or fewer than two trials.

    Examples:
        >>> frequency = torch.tensor([1.0, 9.0, 5.0, 5.1, 8.9, 1.1])
        >>> first, second = matched_halves(frequency[:, None, None].expand(6, 10, 1))
        >>> frequency[first].tolist(), frequency[second].tolist()
        ([1.0, 5.099999904632568, 8.899999618530273], [9.0, 5.0, 1.100000023841858])
    """
    means = to_tensor("inputs", inputs, 3).cpu().mean(dim=1)
    require(len(means) >= 2, "trials of inputs", len(means), "at least 2")
    deviations = means.std(dim=0)
    order = _order(means / torch.where(deviations > 0, deviations, 1.0), torch.arange(len(means)))
    # The first and the second place of a pair alternate, because places are sorted by an input.
    is_first = torch.tensor([True, False, False, True]).repeat(-(-len(order) // 4))[: len(order)]
    return order[is_first].sort().values, order[~is_first].sort().values


def _order(means: Tensor, trials: Tensor) -> Tensor:
    """Order trials by repeated bisection of the input that varies most, so that neighbors are similar."""
    varying = int(means[trials].var(dim=0, unbiased=False).argmax())
    trials = trials[means[trials, varying].argsort(stable=True)]
    if len(trials) <= 3:
        return trials
    middle = len(trials) // 4 * 2  # even, so that no pair is separated
    return torch.cat([_order(means, trials[:middle]), _order(means, trials[middle:])])
