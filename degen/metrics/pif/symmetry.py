r"""Candidate permutations for networks with indistinguishable units, such as rings, cycles and tori.

If all units have equivalent connections, the relaxed problem of `degen.metrics.pif.solver` has no gradient
towards a solution. The symmetry is broken as in individualization-refinement (McKay & Piperno 2014, Journal
of Symbolic Computation): fix the image of one unit, distinguish the other units by their relation to the
fixed unit, and repeat with a unit that is still ambiguous. The relation of units u and v is a
continuous-time quantum walk (Qiang et al. 2012, J. Phys. A), :math:`\langle u | e^{itH} | v \rangle` at
several times t, which depends continuously on the weights and so tolerates noise.
"""

from __future__ import annotations

import torch
from torch import Tensor

_MAX_SPREAD = 0.2  # of units that count as similar, relative to a random matrix
_TWIN_TOLERANCE = 1e-9  # difference below which units count as exactly equal
_SAME_RELATION = 0.3  # root-mean-square distance below which units are ambiguous
_TIMES = 16  # of the walk
_MAX_FIXED_UNITS = 4
_MAX_CANDIDATES = 1024
_MAX_ENTRIES = 1 << 22  # of one matrix per candidate


def units_look_alike(a: Tensor) -> Tensor:
    """Return whether the units of each matrix are so similar that local optima are likely.

    The result is true if the units' sums, norms and self-connections differ by less than 20 % of their
    differences in a random matrix of equal norm, or if at least half of the units have an exact duplicate.

    Args:
        a: (matrices, n, n).

    Returns:
        (matrices,), boolean. False for matrices whose entries are constant on and off the diagonal.
    """
    centered, n = _center(a), a.shape[-1]
    varied = _varies(a)
    square = centered.square().mean(dim=(1, 2)).where(varied, 1.0)
    spread = centered.diagonal(dim1=1, dim2=2).var(dim=1, correction=0) / square
    for axis in (1, 2):
        spread = spread + centered.sum(dim=axis).var(dim=1, correction=0) / (n * square)
        norms = centered.square().sum(dim=axis)
        spread = spread + norms.var(dim=1, correction=0) / (4 * n * square.square())
    return varied & ((spread < 5 * _MAX_SPREAD**2) | (_fraction_of_twins(a) >= 0.5))


def units_look_alike_in_blocks(a: Tensor) -> Tensor:
    """Return whether the units of each network look alike in every block.

    A block without differences between connections, such as a block of zeros, does not count.

    Args:
        a: (networks, blocks, n, n).

    Returns:
        (networks,), boolean.
    """
    alike, varied = (test(a.flatten(0, 1)).view(a.shape[:2]) for test in (units_look_alike, _varies))
    return alike.any(dim=1) & (alike | ~varied).all(dim=1)


def candidate_gains(a: Tensor, b: Tensor) -> Tensor:
    """Compute assignment problems that match units by their relation to a few units with fixed images.

    Args:
        a, b: the blocks of one network each, (blocks, n, n), for which `units_look_alike_in_blocks`.

    Returns:
        Gain of assigning unit i of the first network to unit j of the second, (candidates, n, n).
    """
    n, varies = a.shape[-1], _varies(a) & _varies(b)
    # Two networks may vary in different blocks.
    blocks = varies if varies.any() else ~varies
    limit = max(1, min(_MAX_CANDIDATES, _MAX_ENTRIES // n**2))
    relations, other_relations = (torch.cat([*map(_relations, m[blocks])], dim=-1) for m in (a, b))
    returns = relations.diagonal().mT  # of the walk to its start, the only relation of a single unit
    within, across = _squares(returns, returns), _squares(returns, other_relations.diagonal().mT)[None]
    scale = returns.square().sum(dim=1).mean()
    for n_fixed in range(_MAX_FIXED_UNITS):
        distances = (within / scale).fill_diagonal_(torch.inf)
        nearest = distances.amin(dim=1)
        if n_fixed > 0 and nearest.min() > _SAME_RELATION**2:
            break
        # Round, so that rounding errors do not change which unit comes first.
        unit = int((nearest * 1e6).round().argmin())
        similar = int((distances[unit] < _SAME_RELATION**2).sum()) + 1 if n_fixed else n
        count = max(1, min(similar, limit // len(across)))
        images, index = across[:, unit].topk(count, largest=False).indices.unique(return_inverse=True)
        change = _squares(relations[unit], other_relations[images])
        across = (across[:, None] + change[index]).flatten(0, 1)
        within = within + _squares(relations[unit], relations[unit])
        scale = scale + relations[unit].square().sum(dim=1).mean()
    return -across


def _varies(a: Tensor) -> Tensor:
    """Return whether entries of each matrix (matrices, n, n) vary on or off the diagonal."""
    return _center(a).square().mean(dim=(1, 2)) > 1e-18 * a.square().mean(dim=(1, 2))


def _center(a: Tensor) -> Tensor:
    """Subtract the mean of the diagonal and the mean of the other entries, which no permutation changes."""
    n = a.shape[-1]
    diagonal = a.diagonal(dim1=-2, dim2=-1).mean(dim=-1)
    others = (a.sum(dim=(-2, -1)) - n * diagonal) / max(1, n * (n - 1))
    on_diagonal = torch.eye(n, dtype=torch.bool, device=a.device)
    return a - torch.where(on_diagonal, diagonal[..., None, None], others[..., None, None])


def _fraction_of_twins(a: Tensor) -> Tensor:
    """Return the fraction of units that have the weights of another unit, in any order.

    Units are compared by one number that does not depend on the order of their weights. Units without weights
    do not count.
    """
    squares = a.square()
    scaled = a / squares.mean(dim=(1, 2), keepdim=True).sqrt()
    numbers = scaled.sin().sum(dim=2) + scaled.cos().sum(dim=1) + scaled.diagonal(dim1=1, dim2=2)
    is_empty = squares.sum(dim=1) + squares.sum(dim=2) == 0
    numbers = numbers.masked_fill(is_empty, torch.inf).sort(dim=1).values
    is_next_equal = torch.nn.functional.pad(numbers.diff(dim=1) <= _TWIN_TOLERANCE, (1, 1))
    return (is_next_equal[:, 1:] | is_next_equal[:, :-1]).double().mean(dim=1)


def _relations(a: Tensor) -> Tensor:
    """Compute the amplitudes of the quantum walk (see the module) between all pairs of units.

    Args:
        a: one block, (n, n).

    Returns:
        (n, n, 2 * _TIMES), the real and the imaginary part at each time.
    """
    centered, n = _center(a), a.shape[-1]
    values, vectors = torch.linalg.eigh(torch.complex(centered + centered.mT, centered - centered.mT))
    powers = torch.linspace(0, 1, _TIMES, dtype=a.dtype, device=a.device)
    # The last time is long enough for the walk to cross a cycle.
    times = n**powers / values.abs().amax().clamp(min=1e-300)  # all eigenvalues may be zero
    phases = torch.exp(1j * times[:, None] * values)
    walks = (vectors * phases[:, None, :]) @ vectors.mH
    return torch.view_as_real(walks).permute(2, 1, 0, 3).flatten(2)


def _squares(x: Tensor, y: Tensor) -> Tensor:
    """Compute the squared distances of rows."""
    return torch.cdist(x.expand(*y.shape[:-2], -1, -1), y, compute_mode="use_mm_for_euclid_dist").square()
