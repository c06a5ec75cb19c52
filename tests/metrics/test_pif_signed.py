"""PIF with signs: invariances, planted signed permutations, enumeration, and the value without signs."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from degen.errors import BadInputError
from degen.metrics import pif
from degen.models import MuP, Standard
from degen.streams import Stream
from degen.tasks import FlipFlop
from tests.metrics.test_pif import matrices
from tests.metrics.test_pif_symmetry import bipartite, bump, circulant, cycle, hub, ring, torus, two_cycles


def random_alignment(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return a random order of units, and a random sign of each."""
    generator = torch.Generator().manual_seed(seed)
    signs = 1.0 - 2.0 * torch.randint(0, 2, (n,), generator=generator)
    return torch.randperm(n, generator=generator), signs.double()


def twin(weights: Tensor, seed: int) -> Tensor:
    """Return recurrent weights (n, n) with randomly flipped and reordered units."""
    order, signs = random_alignment(len(weights), seed)
    return (signs[:, None] * weights * signs)[order][:, order]


def twins(weights: Tensor) -> Tensor:
    return torch.stack([twin(matrix, seed) for seed, matrix in enumerate(weights)])


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_distance_equals_the_optimum_by_enumeration(n):
    a, b = matrices(6, n), matrices(6, n, seed=1)
    signs = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=n)), dtype=torch.float64)
    for x, y, distance in zip(a, b, pif.align(a, b, seed=0, signs=True).distance, strict=True):
        flipped = signs[:, :, None] * y * signs[:, None, :]
        all_distances = [
            torch.linalg.matrix_norm(x - flipped[:, order][:, :, order]).min()
            for order in map(list, itertools.permutations(range(n)))
        ]
        assert distance.item() == pytest.approx(min(all_distances).item(), abs=1e-9)


def test_enumeration_with_other_weights_agrees():
    n = 4
    recurrent, others = matrices(2, n), matrices(2, n, seed=1)
    inputs, biases, outputs = others[:, :, :2], others[:, :, 2], others[:, :, 3:].mT
    distance = pif.distance_matrix(
        recurrent, seed=0, signs=True, input_weights=inputs, biases=biases, output_weights=outputs
    )[0, 1]
    smallest = min(
        (recurrent[0] - (s[:, None] * recurrent[1] * s)[order][:, order]).square().sum()
        + (others[0] - (s[:, None] * others[1])[order]).square().sum()
        for order in map(list, itertools.permutations(range(n)))
        for s in torch.tensor(list(itertools.product([-1.0, 1.0], repeat=n)), dtype=torch.float64)
    )
    assert distance == pytest.approx(smallest.sqrt().item(), abs=1e-9)


@pytest.mark.parametrize(("n", "pairs"), [(32, 100), (128, 10)])
def test_planted_signs_are_recovered_under_noise(n, pairs):
    a = matrices(pairs, n)
    b = twins(a + 0.3 * matrices(pairs, n, seed=1))
    result = pif.align(a, b, seed=0, signs=True)
    recovered = 0
    for seed, (permutation, signs) in enumerate(zip(result.permutation, result.signs, strict=True)):
        order, planted = random_alignment(n, seed)
        is_equal = (
            torch.equal(order[permutation], torch.arange(n)) and (signs * planted).unique().numel() == 1
        )
        recovered += is_equal  # the opposite of all signs is an equal alignment
    assert recovered >= 0.99 * pairs


@pytest.mark.parametrize("model", [
    Standard(width=12, gamma=1.0), MuP(width=12, gamma=2.0, leak_rate=0.5, input_std=1.0)
])  # fmt: skip
def test_flipped_and_reordered_twin_computes_the_same(model):
    task = FlipFlop(channels=2, n_steps=20, pulse_probability=0.3)
    weights = model.initialize(task, Stream.named([0], "weights", dtype=torch.float64))
    order, signs = random_alignment(model.width, seed=3)
    s = signs[:, None]
    other = {
        "recurrent": (s * weights["recurrent"] * signs)[:, order][:, :, order],
        "input": (s * weights["input"])[:, order],
        "output": (weights["output"] * signs)[:, :, order],
    }
    if "bias" in weights:
        other |= {"bias": (signs * weights["bias"])[:, order], "output_bias": weights["output_bias"]}
    trials = task.generate(5, Stream.named([0], "trials", dtype=torch.float64))
    torch.testing.assert_close(model(other, trials), model(weights, trials))
    both = {name: torch.cat([weights[name], other[name]]) for name in weights}
    distances = pif.distance_matrix(
        model.recurrent(both),
        seed=0,
        signs=True,
        input_weights=both["input"],
        biases=both.get("bias"),
        output_weights=both["output"],
    )
    assert distances[0, 1] < 1e-12
    assert pif.distance_matrix(model.recurrent(both), seed=0)[0, 1] > 0.1


@pytest.mark.parametrize("n", [3, 9, 40])
def test_distances_are_never_above_those_without_signs(n):
    weights = matrices(4, n)
    for others in ({}, {"input_weights": matrices(4, n, seed=1)[:, :, :2]}):
        signed = pif.distance_matrix(weights, seed=0, signs=True, **others)
        assert (signed <= pif.distance_matrix(weights, seed=0, **others) + 1e-12).all()


def test_signs_do_not_help_where_no_weight_is_negative():
    weights = matrices(4, 6).abs()
    signed, unsigned = (pif.distance_matrix(weights, seed=0, signs=signs) for signs in (True, False))
    assert signed == pytest.approx(unsigned)


def test_distance_ignores_order_and_signs_of_units():
    weights = matrices(3, 20)
    both = torch.cat([weights, twins(weights)])
    distances = pif.distance_matrix(both, seed=0, signs=True)
    assert distances.diagonal(3).max() < 1e-6
    assert (distances == distances.T).all()
    assert (pif.lower_bound_matrix(both) <= distances + 1e-6).all()
    assert (pif.distance_matrix(both[3:], seed=0, signs=True) == distances[3:, 3:]).all()


def test_alignment_attains_its_distance_in_both_directions():
    a, b = matrices(5, 12), matrices(5, 12, seed=1)
    forward, backward = pif.align(a, b, seed=0, signs=True), pif.align(b, a, seed=0, signs=True)
    assert torch.equal(forward.permutation.argsort(dim=1), backward.permutation)
    assert torch.equal(forward.signs.gather(1, backward.permutation), backward.signs)
    assert len(forward.signs.unique()) == 2
    for x, y, p, s, d in zip(a, b, forward.permutation, forward.signs, forward.distance, strict=True):
        aligned = s[:, None] * y[p][:, p] * s
        assert torch.linalg.matrix_norm(x - aligned).item() == pytest.approx(d.item())
    assert (pif.align(a, b, seed=0).signs == 1).all()


@pytest.mark.parametrize("make", [cycle, ring, bump, circulant, bipartite, hub, two_cycles])
@pytest.mark.parametrize("n", [8, 33, 64])
def test_flipped_symmetric_networks_have_distance_zero(make, n):
    weights = make(n)
    assert pif.distance_matrix([weights, twin(weights, 1)], seed=0, signs=True)[0, 1] < 1e-6


def test_flipped_torus_has_distance_zero():
    weights = torus(5, 7)
    assert pif.distance_matrix([weights, twin(weights, 1)], seed=0, signs=True)[0, 1] < 1e-6


def test_zero_and_diagonal_weights_are_aligned():
    diagonal = torch.diag(torch.arange(6.0))
    distances = pif.distance_matrix([torch.zeros(6, 6), diagonal, twin(diagonal, 0)], seed=0, signs=True)
    assert distances[0, 1] == pytest.approx(55**0.5)
    assert distances[1, 2] < 1e-6


def test_procrustes_does_not_support_signs():
    with pytest.raises(BadInputError, match="solver must be faq for signs"):
        pif.distance_matrix(matrices(2, 4), seed=0, signs=True, solver="procrustes")
