"""Random operators and linear systems for the tests of DSA."""

from __future__ import annotations

import pytest
import torch


def random_operators(count: int, n: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, n, n, generator=generator, dtype=torch.float64) / n**0.5


def decaying_operators(count: int, n: int, seed: int = 0) -> torch.Tensor:
    """Non-normal operators with few slow and many fast modes, as trained networks have."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand(count, n, generator=generator, dtype=torch.float64) ** 3
    return torch.diag_embed(values) + 0.2 * random_operators(count, n, seed + 1)


def rotations(count: int, n: int, seed: int = 0) -> torch.Tensor:
    """Random orthogonal matrices (count, n, n), including reflections."""
    return torch.linalg.qr(random_operators(count, n, seed))[0]


KINDS = pytest.mark.parametrize("kind", [random_operators, decaying_operators])


LINEAR = pytest.mark.parametrize("with_linear", [False, True])


def linear_system(trials: int = 20, time: int = 40, units: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    """Trajectories (trials, time, units) of h' = A h in the first three dimensions, embedded in `units`."""
    generator = torch.Generator().manual_seed(0)
    a = 0.95 * torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))[0]
    a[0] *= 0.7
    states = [torch.randn(trials, 3, generator=generator, dtype=torch.float64)]
    for _ in range(time - 1):
        states.append(states[-1] @ a.mT)
    embed = torch.linalg.qr(torch.randn(units, 3, generator=generator, dtype=torch.float64))[0]
    # Mirrored trials keep the mean, which is subtracted, at zero.
    hidden = torch.stack(states, dim=1)
    return torch.cat([hidden, -hidden]) @ embed.mT, a
