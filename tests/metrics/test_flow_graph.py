"""Flow graphs of maps with known attractors, and of a trained network."""

from __future__ import annotations

import itertools
import math

import networkx as nx
import pytest
import torch
from torch import Tensor

from degen.errors import BadInputError
from degen.metrics.attractors import find_ends
from degen.metrics.flow_graph import describe_attractors, describe_graph, flow_graph, graph_type
from tests.metrics.test_fixed_points import flip_flop, initial_states


def matrix(*rows: list[float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def grid(n: int, reach: float = 1.0) -> Tensor:
    """Return n x n states of two units."""
    line = torch.linspace(-reach, reach, n, dtype=torch.float64)
    return torch.cartesian_prod(line, line)


def rotation(gain: float, angle: float = 0.5) -> Tensor:
    return gain * matrix([math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)])


def bistable(states: Tensor) -> Tensor:
    return torch.tanh(states @ matrix([2.0, 0.0], [0.0, 0.5]))


def cyclic(states: Tensor) -> Tensor:
    return torch.tanh(states @ rotation(1.5))


def nodes_of_kind(graph: nx.DiGraph, kind: str) -> list[int]:
    return [number for number, attribute in graph.nodes(data="kind") if attribute == kind]


def test_two_memories_are_separated_by_a_saddle():
    graph = flow_graph(bistable, grid(6))
    assert describe_graph(graph) == "2 stable, 1 saddle of index 1"
    (saddle,) = nodes_of_kind(graph, "saddle")
    assert set(graph.edges) == {(saddle, stable) for stable in nodes_of_kind(graph, "stable")}
    assert [graph.nodes[stable]["inflow"] for stable in nodes_of_kind(graph, "stable")] == [0.5, 0.5]
    assert graph.nodes[saddle]["state"] == pytest.approx(0, abs=1e-6)


def test_rotation_has_a_cycle_around_an_unstable_point():
    graph = flow_graph(cyclic, grid(6))
    assert describe_graph(graph) == "1 saddle of index 2, 1 cycle"
    assert set(graph.edges) == {(*nodes_of_kind(graph, "saddle"), *nodes_of_kind(graph, "cycle"))}
    (cycle,) = nodes_of_kind(graph, "cycle")
    assert graph.nodes[cycle]["inflow"] == 1
    # 0.5 per step is the rotation of small states.
    assert graph.nodes[cycle]["period"] == pytest.approx(2 * math.pi / 0.5, abs=1)


def test_two_cycles_are_separate_nodes():
    def step(states: Tensor) -> Tensor:
        memory = torch.tanh(2 * states[:, 2:])
        return torch.cat([torch.tanh(states[:, :2] @ rotation(1.5)), memory], dim=1)

    signs = torch.tensor([-1.0, 1.0], dtype=torch.float64).repeat(18)[:, None]
    assert describe_attractors(flow_graph(step, torch.cat([grid(6), signs], dim=1))) == "2 cycles"


@pytest.mark.parametrize("weights", [rotation(0.97), matrix([0.99, 0.0], [0.0, 0.5])])
def test_decay_ends_in_a_stable_point(weights):
    assert describe_graph(flow_graph(lambda states: states @ weights, grid(6))) == "1 stable"


@pytest.mark.parametrize("decay", [1.0, 0.9999, 0.999])
def test_line_of_slow_points_is_one_region(decay):
    def step(states: Tensor) -> Tensor:
        return states @ matrix([decay, 0.0], [0.0, 0.5])

    graph = flow_graph(step, grid(16))
    assert describe_graph(graph) == "1 slow region"
    assert graph.nodes[0]["inflow"] == 1


def test_two_lines_are_two_regions():
    def step(states: Tensor) -> Tensor:
        return torch.stack([states[:, 0], torch.tanh(2 * states[:, 1])], dim=1)

    graph = flow_graph(step, grid(16))
    assert describe_graph(graph) == "2 slow regions, 1 slow region of index 1"
    assert describe_attractors(graph) == "2 slow regions"
    assert sorted(out for _, out in graph.out_degree()) == [0, 0, 2]


def test_drift_without_end_is_unsettled():
    graph = flow_graph(lambda states: states + 0.01, torch.zeros(2, 1, dtype=torch.float64))
    assert describe_graph(graph) == "1 unsettled"
    assert graph.nodes[0]["inflow"] == 1


def test_three_bits_have_a_graph_of_a_cube():
    graph = flow_graph(flip_flop, initial_states(3000)[::3])
    assert describe_attractors(graph) == "8 stable"
    assert sum(attribute for _, attribute in graph.nodes(data="inflow")) == pytest.approx(1)
    edges = [n for n in nodes_of_kind(graph, "saddle") if graph.nodes[n]["index"] == 1]
    assert len(edges) == 12
    for saddle in edges:
        corners = [graph.nodes[target]["state"][:3] for target in graph.successors(saddle)]
        assert [(abs(a - b) > 1).sum() for a, b in itertools.combinations(corners, 2)] == [1]


def test_type_depends_on_the_graph_and_not_on_coordinates():
    def rotated(states: Tensor) -> Tensor:
        return bistable(states @ rotation(1.0).T) @ rotation(1.0)

    kinds = [graph_type(flow_graph(step, grid(6))) for step in (bistable, rotated, cyclic)]
    assert kinds[0] == kinds[1] != kinds[2]


def test_cycle_without_integer_period_returns():
    ends = find_ends(lambda states: cyclic(states @ rotation(1.0, math.sqrt(2))), grid(3)[:4])
    assert (ends.period > 0).all()


def test_states_must_be_finite():
    with pytest.raises(BadInputError, match="states must be finite"):
        flow_graph(bistable, torch.full((2, 2), float("nan")))
