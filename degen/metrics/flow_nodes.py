"""Nodes of a flow graph: fixed points, slow regions, cycles, and which trajectories end there."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import torch
from scipy.cluster.hierarchy import fcluster, linkage
from torch import Tensor

from degen.metrics.attractors import Ends, Step, compute_orbit
from degen.metrics.fixed_points import FixedPoints

KINDS = ("stable", "saddle", "slow region", "cycle", "unsettled")
"""Kinds of nodes. The unsettled node collects trajectories that neither rest nor return."""

MIN_DISTANCE = 1e-2
"""Distance, relative to 1 plus the norm of the state, below which a state is at a fixed point [chosen]."""

NEUTRAL = 0.02
"""Largest difference from 1 of the modulus of a neutral eigenvalue [chosen]."""

ON_CYCLE = 0.1
"""Largest distance of a state from the cycle that it is on, relative to the extent of the cycle [chosen]."""


@dataclasses.dataclass(frozen=True)
class Node:
    """A fixed point, slow region or cycle.

    Attributes:
        kind: one of `KINDS`.
        states: (states, n), the fixed point, or states of the slow region or cycle.
        has_end: (trajectories,), whether a trajectory ends here.
        points: indices of the fixed points in it.
        index: number of unstable directions of a saddle, or of the most stable point of a slow region. In a
            slow region, neutral directions are not unstable.
        period: steps in which a cycle returns.
    """

    kind: str
    states: Tensor
    has_end: Tensor
    points: tuple[int, ...] = ()
    index: int = 0
    period: int = 0


def tolerance(states: Tensor) -> Tensor:
    """Return the distance below which two states (points, n) count as equal, (points,)."""
    return MIN_DISTANCE * (1 + torch.linalg.vector_norm(states, dim=1))


def find_nodes(step: Step, points: FixedPoints, ends: Ends, link: float) -> list[Node]:
    """Find the nodes of a flow graph.

    Args:
        step: one time step.
        points: fixed points.
        ends: ends of all trajectories.
        link: largest gap within a slow region.

    Returns:
        The nodes. Every trajectory ends at one of them, and every fixed point belongs to one of them.
    """
    limit = tolerance(ends.states)
    is_at_rest = ends.extent <= limit
    is_cycle = ~is_at_rest & (ends.period > 0)
    is_slow = ~is_cycle & (ends.extent <= link)
    nodes, remaining = [], torch.ones_like(is_slow)
    regions = list(_slow_regions(points, ends, is_slow, link))
    in_region = {point for region in regions for point in region.points}
    for number, state in enumerate(points.states):
        if number not in in_region:
            distance = torch.linalg.vector_norm(ends.states - state, dim=1)
            has_end = is_at_rest & remaining & (distance <= limit)
            remaining &= ~has_end
            index = int((points.eigenvalues[number].abs() > 1).sum())
            kind = "saddle" if index else "stable"
            nodes.append(Node(kind, state[None], has_end, (number,), index))
    for region in regions:
        has_end = region.has_end & remaining
        remaining &= ~has_end
        nodes.append(dataclasses.replace(region, has_end=has_end))
    nodes += list(_cycles(step, ends, is_cycle & remaining))
    remaining &= ~is_cycle
    if bool(remaining.any()):
        nodes.append(Node("unsettled", ends.states[remaining], remaining))
    return nodes


def _slow_regions(points: FixedPoints, ends: Ends, is_slow: Tensor, link: float) -> Iterator[Node]:
    """Yield the slow regions: groups of neutral fixed points and of slow ends away from fixed points.

    States within `link` of each other belong to one group. A neutral fixed point alone is not a slow region,
    but a single slow end is.

    Args:
        is_slow: (trajectories,), whether a trajectory hardly moves at its end.
    """
    moduli = points.eigenvalues.abs()
    neutral = ((moduli - 1).abs() <= NEUTRAL).any(dim=1).nonzero()[:, 0]
    distances = torch.cdist(ends.states, points.states)
    is_at_point = (distances <= tolerance(ends.states)[:, None]).any(dim=1)
    slow = (is_slow & ~is_at_point).nonzero()[:, 0]
    states = torch.cat([points.states[neutral], ends.states[slow]])
    if len(states) < 2:
        groups = torch.zeros(len(states), dtype=torch.long)
    else:
        tree = linkage(states.numpy(), "single")
        groups = torch.from_numpy(fcluster(tree, link, "distance"))
    for group in groups.unique():
        members = groups == group
        in_group = tuple(neutral[members[: len(neutral)]].tolist())
        if int(members.sum()) > 1 or not in_group:
            nearest = torch.cdist(ends.states, states[members]).min(dim=1).values
            n_unstable = (moduli[list(in_group)] > 1 + NEUTRAL).sum(dim=1)
            index = int(n_unstable.min()) if in_group else 0
            yield Node("slow region", states[members], is_slow & (nearest <= link), in_group, index)


def _cycles(step: Step, ends: Ends, is_cycle: Tensor) -> Iterator[Node]:
    """Yield the cycles that some trajectories end on."""
    remaining = is_cycle.clone()
    while bool(remaining.any()):
        first = int(remaining.int().argmax())
        orbit = compute_orbit(step, ends.states[first])
        distance = torch.cdist(ends.states, orbit).min(dim=1).values
        has_end = remaining & (distance <= ON_CYCLE * ends.extent[first])
        remaining &= ~has_end
        yield Node("cycle", orbit, has_end, period=int(ends.period[first]))
