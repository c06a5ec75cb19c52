"""PIF of gated cells: one permutation aligns the recurrent matrices of all gates."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from degen.errors import BadInputError
from degen.metrics import pif
from degen.models import GRU, LSTM
from degen.models.gated import Gated
from degen.streams import Stream
from degen.tasks import FlipFlop
from tests.metrics.test_pif import matrices
from tests.metrics.test_pif_symmetry import bump, circulant, cycle, ring


def stacks(count: int, blocks: int, n: int, seed: int = 0) -> Tensor:
    return matrices(count * blocks, n, seed).unflatten(0, (count, blocks))


def orders(count: int, n: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randperm(n, generator=generator) for _ in range(count)])


def reorder(stack: Tensor, order: Tensor) -> Tensor:
    """Return the blocks (blocks, n, n) of one network with reordered units."""
    return stack[:, order][:, :, order]


def twins(weights: Tensor, order: Tensor) -> Tensor:
    return torch.stack([reorder(*network) for network in zip(weights, order, strict=True)])


@pytest.mark.parametrize("blocks", [1, 3, 4])
@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_distance_equals_the_optimum_by_enumeration(blocks, n):
    a, b = stacks(4, blocks, n), stacks(4, blocks, n, seed=1)
    all_orders = [list(order) for order in itertools.permutations(range(n))]
    for x, y, distance in zip(a, b, pif.align(a, b, seed=0).distance, strict=True):
        smallest = min(
            (x - reorder(y, order)).square().sum().sqrt().item() for order in map(torch.tensor, all_orders)
        )
        assert distance.item() == pytest.approx(smallest, abs=1e-9)


@pytest.mark.parametrize("n", [2, 4])
def test_enumeration_with_signs_and_other_weights_agrees(n):
    weights, others = stacks(2, 3, n), matrices(2, n, seed=1)[..., :2]
    distance = pif.distance_matrix(weights, seed=0, signs=True, input_weights=others)[0, 1]
    smallest = min(
        (weights[0] - reorder(s[:, None] * weights[1] * s, order)).square().sum()
        + (others[0] - (s[:, None] * others[1])[order]).square().sum()
        for order in map(torch.tensor, itertools.permutations(range(n)))
        for s in torch.tensor(list(itertools.product([-1.0, 1.0], repeat=n)), dtype=torch.float64)
    )
    assert distance == pytest.approx(smallest.sqrt().item(), abs=1e-9)


@pytest.mark.parametrize("blocks", [3, 4])
@pytest.mark.parametrize("n", [8, 16, 33, 64])
def test_reordered_networks_have_distance_zero(blocks, n):
    weights = stacks(2, blocks, n)
    both = torch.cat([weights, twins(weights, orders(2, n))])
    distances = pif.distance_matrix(both, seed=0)
    assert distances.diagonal(2).max() < 1e-6
    assert np.array_equal(distances, distances.T)
    assert np.all(pif.lower_bound_matrix(both) <= distances + 1e-6)
    assert pif.lower_bound_matrix(both)[0, 1] > 0


@pytest.mark.parametrize("make", [cycle, ring, bump, circulant])
@pytest.mark.parametrize("n", [8, 33])
def test_gates_of_symmetric_networks_have_distance_zero(make, n):
    """A block of zeros and a multiple of another block do not break the symmetry."""
    weights = torch.stack([make(n), torch.zeros(n, n, dtype=torch.float64), 2 * make(n).mT])
    distances = pif.distance_matrix([weights, reorder(weights, orders(1, n)[0])], seed=0)
    assert distances[0, 1] < 1e-6


@pytest.mark.parametrize(("n", "pairs"), [(32, 40), (64, 10)])
def test_planted_permutation_is_recovered_under_noise(n, pairs):
    a, order = stacks(pairs, 3, n), orders(pairs, n)
    b = twins(a + 0.5 * stacks(pairs, 3, n, seed=1), order)
    result = pif.align(a, b, seed=0)
    assert torch.equal(order.gather(1, result.permutation), torch.arange(n).expand(pairs, -1))
    noise = 0.5 * stacks(pairs, 3, n, seed=1).square().sum(dim=(1, 2, 3)).sqrt()
    torch.testing.assert_close(result.distance, noise)


def test_three_gates_recover_more_than_one():
    """With noise as large as the weights, a single gate does not identify the units."""
    n, pairs = 24, 20
    a, order = stacks(pairs, 3, n), orders(pairs, n)
    b = twins(a + 1.0 * stacks(pairs, 3, n, seed=1), order)

    def recovered(first: Tensor, second: Tensor) -> int:
        permutation = pif.align(first, second, seed=0).permutation
        return int((order.gather(1, permutation) == torch.arange(n)).all(dim=1).sum())

    assert recovered(a, b) > recovered(a[:, 0], b[:, 0])


def test_distance_is_bounded_by_those_of_single_blocks():
    a, b = stacks(6, 3, 12), stacks(6, 3, 12, seed=1)
    joint = pif.align(a, b, seed=0).distance
    of_gates = [pif.align(a[:, gate], b[:, gate], seed=0) for gate in range(3)]
    # No permutation gives less than the sum of the blocks' own minima.
    lower = torch.stack([single.distance for single in of_gates]).square().sum(dim=0).sqrt()
    assert (joint >= lower - 1e-9).all()
    for single in of_gates:
        assert (joint <= (a - twins(b, single.permutation)).square().sum(dim=(1, 2, 3)).sqrt() + 1e-9).all()
    assert (joint <= (a - b).square().sum(dim=(1, 2, 3)).sqrt() + 1e-9).all()


def test_one_block_is_a_network_without_gates():
    weights, others = matrices(5, 10), matrices(5, 10, seed=1)[..., :3]
    for options in ({}, {"signs": True}, {"input_weights": others}, {"normalization": "relative"}):
        plain = pif.distance_matrix(weights, seed=0, **options)
        assert np.array_equal(pif.distance_matrix(weights.unsqueeze(1), seed=0, **options), plain)
    # Equal gates have the permutation of one of them.
    repeated = pif.distance_matrix(weights.unsqueeze(1).expand(-1, 4, -1, -1), seed=0)
    np.testing.assert_allclose(repeated, 2 * pif.distance_matrix(weights, seed=0))


def test_normalizations_count_the_weights_of_all_gates():
    weights = stacks(3, 4, 6)
    plain = pif.distance_matrix(weights, seed=0)
    np.testing.assert_allclose(pif.distance_matrix(weights, normalization="parameters"), plain / (4 * 36))
    squares = weights.square().sum(dim=(1, 2, 3)).numpy()
    np.testing.assert_allclose(
        pif.distance_matrix(weights, normalization="relative"), plain / np.sqrt(squares[:, None] + squares)
    )
    unaligned = (weights[0] - weights[1]).square().sum().sqrt().item()
    assert pif.unaligned_distance_matrix(weights)[0, 1] == pytest.approx(unaligned)


def test_value_of_a_pair_ignores_other_networks_and_order():
    weights = stacks(5, 3, 9)
    distances = pif.distance_matrix(weights, seed=0)
    assert np.array_equal(pif.distance_matrix(weights[[3, 0]], seed=0), distances[np.ix_([3, 0], [3, 0])])
    forward, backward = (
        pif.align(*pair, seed=0) for pair in ((weights[:2], weights[2:4]), (weights[2:4], weights[:2]))
    )
    assert torch.equal(forward.permutation.argsort(dim=1), backward.permutation)


@pytest.mark.parametrize("model", [GRU(width=10, gamma=1.0), LSTM(width=10, gamma=2.0)])
def test_reordered_twin_of_a_gated_cell_computes_the_same(model: Gated):
    task = FlipFlop(channels=2, n_steps=20, pulse_probability=0.3)
    weights = model.initialize(task, Stream.named([0], "weights", dtype=torch.float64))
    n, order = model.width, orders(1, model.width)[0]
    rows = (order + n * torch.arange(model.blocks)[:, None]).flatten()
    other = {
        name: values[:, rows] if values.shape[1] == model.blocks * n else values[..., order]
        for name, values in weights.items()
        if name != "output_bias"
    } | {"output_bias": weights["output_bias"]}
    other["recurrent"] = other["recurrent"][..., order]
    trials = task.generate(5, Stream.named([0], "trials", dtype=torch.float64))
    torch.testing.assert_close(model(other, trials), model(weights, trials))
    both = torch.cat([model.recurrent(weights), model.recurrent(other)]).unflatten(1, (-1, n))
    inputs = torch.stack(
        [
            parameters["input"][0].unflatten(0, (-1, n)).movedim(0, 1).flatten(1)
            for parameters in (weights, other)
        ]
    )
    assert pif.distance_matrix(both, seed=0)[0, 1] < 1e-12
    assert pif.distance_matrix(both, seed=0, input_weights=inputs)[0, 1] < 1e-12
    assert pif.unaligned_distance_matrix(both)[0, 1] > 0.1


@pytest.mark.parametrize("model", [GRU(width=6, gamma=1.0), LSTM(width=6, gamma=1.0)])
def test_signs_of_candidate_rows_remain_as_a_symmetry(model: Gated):
    """PIF does not remove them: the rows of the other gates keep their signs."""
    task = FlipFlop(channels=2, n_steps=20, pulse_probability=0.3)
    weights = model.initialize(task, Stream.named([0], "weights", dtype=torch.float64))
    n, candidate = model.width, 2  # the candidate of a GRU, and g of an LSTM
    signs = torch.tensor([1.0, -1.0] * (n // 2), dtype=torch.float64)
    rows = torch.ones(model.blocks * n, dtype=torch.float64)
    rows[candidate * n : (candidate + 1) * n] = signs
    other = weights | {
        "recurrent": rows[:, None] * weights["recurrent"] * signs,
        "input": rows[:, None] * weights["input"],
        "bias": rows * weights["bias"],
        "output": weights["output"] * signs,
    }
    if "recurrent_bias" in weights:
        other["recurrent_bias"] = signs * weights["recurrent_bias"]
    trials = task.generate(5, Stream.named([0], "trials", dtype=torch.float64))
    torch.testing.assert_close(model(other, trials), model(weights, trials))
    both = torch.cat([model.recurrent(weights), model.recurrent(other)]).unflatten(1, (-1, n))
    assert pif.distance_matrix(both, seed=0, signs=True)[0, 1] > 0.1


def test_errors_name_invalid_gates():
    weights = stacks(2, 3, 4)
    with pytest.raises(
        BadInputError, match=r"weights shapes must be one shape \(blocks, n, n\) for all networks"
    ):
        pif.distance_matrix([weights[0], weights[1, :2]])
    with pytest.raises(
        BadInputError, match=r"weights shapes must be one shape \(blocks, n, n\) for all networks"
    ):
        pif.distance_matrix(weights[..., :3])
    with pytest.raises(BadInputError, match="solver must be faq for signs, several gates"):
        pif.distance_matrix(weights, solver="procrustes")
