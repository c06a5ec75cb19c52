"""Flow graph of a recurrent network: its fixed points, cycles and slow regions, and who flows where."""

from __future__ import annotations

import dataclasses
import warnings
from collections import Counter

import networkx as nx
import numpy as np
import torch
from torch import Tensor

from degen.metrics.arrays import Array, to_tensor
from degen.metrics.attractors import Step, concatenate, find_ends
from degen.metrics.fixed_points import FixedPoints, fixed_points, jacobian
from degen.metrics.flow_nodes import KINDS, find_nodes, tolerance

LINK = 0.25
"""Largest gap in a slow region, relative to the standard deviation of the states in space [chosen]."""


def flow_graph(step: Step, states: Array) -> nx.DiGraph:
    """Compute the fixed points, cycles and slow regions that the states of a network flow to.

    Fixed points are searched from the states, and from the ends of the trajectories that start there. Fixed
    points with a neutral eigenvalue and ends of trajectories that hardly move form a slow region if at least
    two lie together. Trajectories start at the states, and next to every saddle in both directions of each
    unstable eigenvector.

    Args:
        step: F, one time step of the network under constant input, from float64 states (points, n) to states
            (points, n). It treats rows independently and consists of torch operations.
        states: (points, n), for example states visited on trials.

    Returns:
        A graph with one node per fixed point, slow region and cycle. Attributes of nodes: kind (one of
        `KINDS`), index (number of unstable directions of a saddle or slow region, otherwise 0), state (n,),
        period (steps in which a cycle returns, otherwise 0) and inflow (fraction of the states that flow to
        the node). Edges lead from saddles and slow regions to the nodes that their trajectories flow to.

    Raises:
        BadInputError: states or a step that `fixed_points` rejects.

    Examples:
        >>> states = torch.linspace(-1, 1, 20, dtype=torch.float64)[:, None]
        >>> graph = flow_graph(lambda h: torch.tanh(2 * h), states)
        >>> describe_graph(graph)
        '2 stable, 1 saddle of index 1'
        >>> graph.number_of_edges()
        2
    """
    initial = to_tensor("states", states, 2)
    ends = find_ends(step, initial)
    points = fixed_points(step, torch.cat([initial, _distinct(ends.states)]))
    sources, departures = _departures(step, points)
    after = find_ends(step, departures)
    points = _add_points(points, fixed_points(step, _distinct(after.states)))
    link = LINK * float((initial - initial.mean(dim=0)).square().sum(dim=1).mean().sqrt())
    nodes = find_nodes(step, points, concatenate(ends, after), link)
    graph = nx.DiGraph()
    for number, node in enumerate(nodes):
        inflow = float(node.has_end[: len(initial)].double().mean())
        attributes = {"kind": node.kind, "index": node.index, "period": node.period, "inflow": inflow}
        graph.add_node(number, **attributes, state=node.states[0].numpy())
    targets = torch.stack([node.has_end for node in nodes])[:, len(initial) :].int().argmax(dim=0)
    node_of_point = {point: number for number, node in enumerate(nodes) for point in node.points}
    for source, target in zip(sources.tolist(), targets.tolist(), strict=True):
        if node_of_point[source] != target:
            graph.add_edge(node_of_point[source], target)
    return graph


def describe_graph(graph: nx.DiGraph) -> str:
    """Return the numbers of nodes of each kind, and with unstable directions by index, in words."""
    counts = Counter((KINDS.index(node["kind"]), node["index"]) for _, node in graph.nodes(data=True))
    words = []
    for (kind, index), number in sorted(counts.items()):
        name = KINDS[kind] + ("s" if number > 1 and KINDS[kind] not in ("stable", "unsettled") else "")
        words.append(f"{number} {name}" + (f" of index {index}" if index else ""))
    return ", ".join(words)


def describe_attractors(graph: nx.DiGraph) -> str:
    """Return the numbers of nodes without unstable directions, in words."""
    attractors = [number for number, index in graph.nodes(data="index") if index == 0]
    return describe_graph(graph.subgraph(attractors))


def graph_type(graph: nx.DiGraph) -> str:
    """Return a hash of the nodes with at most one unstable direction and of the edges between them.

    Edges of a node with several unstable directions are left out, because they depend on the eigenvectors
    along which trajectories start. The hash of Weisfeiler and Lehman is equal for isomorphic graphs with
    equal kinds and indices of nodes. It may be equal for some graphs that are not isomorphic.
    """
    nodes = {n: node for n, node in graph.nodes(data=True) if node["index"] <= 1}
    labeled = nx.DiGraph(graph.subgraph(nodes).edges)
    labeled.add_nodes_from((n, {"label": f"{node['kind']} {node['index']}"}) for n, node in nodes.items())
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The hashes produced for directed graphs changed")
        return nx.weisfeiler_lehman_graph_hash(labeled, node_attr="label", digest_size=4)


def _departures(step: Step, points: FixedPoints) -> tuple[Tensor, Tensor]:
    """Return states next to unstable points, in both directions of each unstable eigenvector.

    Returns:
        The index of the point of each state, and the states (departures, n).
    """
    unstable = (points.eigenvalues.abs() > 1).any(dim=1).nonzero()[:, 0]
    jacobians = jacobian(step, points.states[unstable]).numpy()
    sources, directions = [], []
    for point, matrix in zip(unstable.tolist(), jacobians, strict=True):
        values, vectors = np.linalg.eig(matrix)
        # The real and imaginary part of a vector span the plane of a conjugate pair.
        is_real, is_pair = values.imag == 0, values.imag > 0
        is_unstable = np.abs(values) > 1
        real = vectors.T[is_unstable & is_real].real
        pairs = vectors.T[is_unstable & is_pair]
        for vector in np.concatenate([real, pairs.real, pairs.imag]):
            direction = torch.from_numpy(vector / np.linalg.norm(vector))
            sources += [point, point]
            directions += [direction, -direction]
    index = torch.tensor(sources, dtype=torch.long)
    if not sources:
        return index, points.states[:0]
    start = points.states[index]
    return index, start + tolerance(start)[:, None] * torch.stack(directions)


def _distinct(states: Tensor) -> Tensor:
    """Return the states that are not within the tolerance of an earlier one."""
    indices: list[int] = []
    limits = tolerance(states).tolist()
    for index, limit in enumerate(limits):
        distances = torch.linalg.vector_norm(states[indices] - states[index], dim=1)
        if bool((distances > limit).all()):
            indices.append(index)
    return states[indices]


def _add_points(points: FixedPoints, others: FixedPoints) -> FixedPoints:
    """Return points, and the others that are not within the tolerance of any of them."""
    is_new = (torch.cdist(others.states, points.states) > tolerance(others.states)[:, None]).all(dim=1)
    return FixedPoints(
        *(
            torch.cat([getattr(points, field.name), getattr(others, field.name)[is_new]])
            for field in dataclasses.fields(FixedPoints)
        )
    )
