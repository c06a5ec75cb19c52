"""DSA: operators from activations, alignment, distances, and the choice of settings."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from degen.errors import BadInputError
from degen.metrics import dsa
from degen.metrics.dsa.ascent import _Objective, _Point, climb, eigenbasis, overlap
from degen.metrics.dsa.embedding import Moments, windows


def random_operators(count: int, n: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, n, n, generator=generator, dtype=torch.float64) / n**0.5


def decaying_operators(count: int, n: int, seed: int = 0) -> torch.Tensor:
    """Like those of trained networks: a few slow modes, many fast ones, not normal."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand(count, n, generator=generator, dtype=torch.float64) ** 3
    return torch.diag_embed(values) + 0.2 * random_operators(count, n, seed + 1)


def rotations(count: int, n: int, seed: int = 0) -> torch.Tensor:
    """Orthogonal, reflections among them."""
    return torch.linalg.qr(random_operators(count, n, seed))[0]


KINDS = pytest.mark.parametrize("kind", [random_operators, decaying_operators])


@KINDS
@pytest.mark.parametrize(("n", "count"), [(1, 3), (2, 10), (5, 30), (10, 30), (20, 20), (50, 8), (100, 2)])
def test_a_rotated_copy_has_distance_zero(kind, n, count):
    a, c = kind(count, n), rotations(count, n, seed=5)
    overlap = dsa.align(a, c @ a @ c.mT, seed=0).overlap
    cosine = overlap / torch.linalg.matrix_norm(a) ** 2
    assert torch.arccos(cosine.clamp(-1, 1)).max() < 1e-3


@KINDS
def test_both_orders_and_any_company_give_the_same_bits(kind):
    operators = kind(5, 12)
    distances = dsa.distance_matrix(operators, seed=0)
    order = [3, 0, 4]
    assert np.array_equal(distances, distances.T)
    assert not distances.diagonal().any()
    assert np.array_equal(dsa.distance_matrix(operators[order], seed=0), distances[np.ix_(order, order)])


@KINDS
def test_rotation_is_orthogonal_and_reaches_the_overlap_in_both_orders(kind):
    a, b = kind(6, 9), kind(6, 9, seed=20)
    for x, y in ((a, b), (b, a)):
        found = dsa.align(x, y, seed=0)
        c = found.rotation
        torch.testing.assert_close(c @ c.mT, torch.eye(9, dtype=torch.float64).expand(6, 9, 9))
        torch.testing.assert_close((x * (c @ y @ c.mT)).sum(dim=(1, 2)), found.overlap)
        assert (found.by_start.amax(dim=1) <= found.overlap + 1e-5).all()


LINEAR = pytest.mark.parametrize("with_linear", [False, True])


@KINDS
@LINEAR
@pytest.mark.parametrize("steps", [1, 25])
def test_an_ascent_ends_orthogonal_at_the_value_it_names_and_not_below_its_start(kind, with_linear, steps):
    a, b, c = eigenbasis(kind(200, 10))[1], kind(200, 10, seed=20), rotations(200, 10, seed=5)
    a, b, c, linear = (x.float() for x in (a, b, c, random_operators(200, 10, seed=9)))
    pull = linear if with_linear else None
    found, value = climb(a, b, pull, c, steps)
    eye = torch.eye(10).expand(200, 10, 10)
    torch.testing.assert_close(found @ found.mT, eye, atol=1e-4, rtol=0)
    torch.testing.assert_close(value, overlap(a, b, pull, found))
    assert (value >= overlap(a, b, pull, c) - 1e-5).all()


@KINDS
@LINEAR
def test_an_ascent_from_near_a_maximum_converges_to_it(kind, with_linear):
    a, b, c = eigenbasis(kind(20, 10))[1], kind(20, 10, seed=20), rotations(20, 10, seed=5)
    pull = random_operators(20, 10, seed=9) if with_linear else None
    top, best = climb(a, b, pull, c, 3000)
    omega = random_operators(20, 10, seed=11)
    omega = omega - omega.mT
    begin = torch.matrix_exp(omega / torch.linalg.matrix_norm(omega, keepdim=True) / 2) @ top
    left = (best - climb(a, b, pull, begin, 100)[1]) / (best - overlap(a, b, pull, begin))
    assert left.max() < 1e-10


def test_points_that_are_taken_back_are_the_former_ones_and_no_others():
    a, b, c = eigenbasis(random_operators(5, 7))[1], random_operators(5, 7, seed=20), rotations(5, 7, seed=5)
    objective = _Objective.of(a, b, None)
    former, moved = _Point.at(objective, c), _Point.at(objective, c.mT)
    here, there = dataclasses.astuple(former), dataclasses.astuple(moved)  # copies
    back = torch.tensor([True, False, False, True, False])
    moved.replace(former, back)
    for x, y, z in zip(dataclasses.astuple(moved), here, there, strict=True):
        assert torch.equal(x[back], y[back])
        assert torch.equal(x[~back], z[~back])


@KINDS
@LINEAR
def test_value_and_gradient_of_an_ascent_are_those_of_autograd_before_and_after_a_turn(kind, with_linear):
    a, b, c = eigenbasis(kind(4, 7))[1], kind(4, 7, seed=20), rotations(4, 7, seed=5)
    linear = random_operators(4, 7, seed=9) if with_linear else None
    objective = _Objective.of(a, b, linear)
    point, turned = _Point.at(objective, c), _Point.at(objective, c)
    omega = random_operators(4, 7, seed=11) / 10
    turned.turn(objective, point, omega - omega.mT, *(torch.empty_like(c) for _ in range(3)))
    assert (turned.c - c).abs().max() > 0.01
    for here in (point, turned):
        zero = torch.zeros_like(c, requires_grad=True)
        value = overlap(a, b, linear, torch.linalg.matrix_exp(zero) @ here.c)
        (slope,) = torch.autograd.grad(value.sum(), zero)
        torch.testing.assert_close(here.value, value.detach())
        torch.testing.assert_close(here.gradient, (slope - slope.mT) / 2)


@KINDS
@LINEAR
def test_curvatures_are_what_the_gradient_loses_by_a_rotation_in_a_plane(kind, with_linear):
    # Near a maximum, where none is negative and few are raised to the least.
    a, b = eigenbasis(kind(4, 7))[1], kind(4, 7, seed=20)
    linear = random_operators(4, 7, seed=9) if with_linear else None
    objective = _Objective.of(a, b, linear)
    point = _Point.at(objective, climb(a, b, linear, rotations(4, 7, seed=5), 300)[0])
    right = []
    for p, q in torch.triu_indices(7, 7, offset=1).T.tolist():
        generator = torch.zeros(7, 7, dtype=torch.float64)
        generator[p, q], generator[q, p] = 1e-5, -1e-5
        ahead, behind = (
            _Point.at(objective, torch.matrix_exp(turn) @ point.c).gradient
            for turn in (generator, -generator)
        )
        loss = (behind - ahead)[:, p, q] / 2e-5
        assert (loss > 0).all()
        right.append((point.curvature[:, p, q] - loss).abs() < 1e-4 * loss)
        assert (point.curvature[:, p, q] >= loss * (1 - 1e-4)).all()
    assert torch.stack(right).double().mean() > 0.9


def test_two_by_two_is_the_optimum_of_a_fine_grid():
    a, b = random_operators(20, 2), random_operators(20, 2, seed=1)
    angles = torch.linspace(0, 2 * torch.pi, 20001, dtype=torch.float64)
    turn = torch.stack([angles.cos(), -angles.sin(), angles.sin(), angles.cos()], dim=-1).view(-1, 2, 2)
    every = torch.cat([turn, turn * torch.tensor([1.0, -1.0])])
    best = torch.stack(
        [(x * (every @ y @ every.mT)).sum(dim=(1, 2)).max() for x, y in zip(a, b, strict=True)]
    )
    found = dsa.align(a, b, seed=0).overlap
    assert (found >= best - 1e-12).all()
    torch.testing.assert_close(found, best, atol=1e-6, rtol=0)


def test_symmetric_operators_are_aligned_by_their_ordered_eigenvalues():
    a, b = (m + m.mT for m in (random_operators(6, 15), random_operators(6, 15, seed=1)))
    ordered = (torch.linalg.eigvalsh(a) * torch.linalg.eigvalsh(b)).sum(dim=1)
    torch.testing.assert_close(dsa.align(a, b, seed=0).overlap, ordered, rtol=1e-6, atol=0)


def test_scores_follow_from_one_overlap():
    operators = random_operators(4, 6)
    norms = torch.linalg.matrix_norm(operators).numpy()
    cosine = np.cos(dsa.distance_matrix(operators, score="angular", seed=0))
    off = ~np.eye(4, dtype=bool)
    frobenius = dsa.distance_matrix(operators, score="frobenius", seed=0)
    normalized = dsa.distance_matrix(operators, score="normalized", seed=0)
    squares = np.add.outer(norms**2, norms**2) - 2 * np.outer(norms, norms) * cosine
    np.testing.assert_allclose(frobenius[off], np.sqrt(squares[off]))
    np.testing.assert_allclose(normalized[off], np.sqrt(2 - 2 * cosine[off]))


def test_wasserstein_is_the_assignment_of_eigenvalues():
    operators = random_operators(2, 7)
    first, second = np.linalg.eigvals(operators.numpy())
    cost = np.abs(first[:, None] - second) ** 2
    expected = np.sqrt(cost[linear_sum_assignment(cost)].mean())
    found = dsa.distance_matrix(operators, score="wasserstein", seed=0)
    assert found[0, 1] == pytest.approx(expected)


@pytest.mark.parametrize("size", [1e-2, 1e-4])
def test_a_perturbation_moves_the_distance_by_its_size(size):
    a, b = decaying_operators(2, 10)
    noise = size * random_operators(1, 10, seed=9)[0]
    before = dsa.distance_matrix([a, b], score="frobenius", seed=0)[0, 1]
    after = dsa.distance_matrix([a, b + noise], score="frobenius", seed=0)[0, 1]
    assert abs(after - before) <= torch.linalg.matrix_norm(noise) + 1e-9


def test_never_above_the_public_package():
    similarity = pytest.importorskip("DSA.simdist").SimilarityTransformDist
    operators = random_operators(3, 8)
    ours = dsa.distance_matrix(operators, seed=0)
    for i, j in ((0, 1), (2, 0)):
        torch.manual_seed(0)
        model = similarity(iters=300, lr=1e-2, score_method="angular")
        theirs = float(model.fit_score(operators[i].float().clone(), operators[j].float().clone()))
        assert ours[i, j] <= theirs + 1e-3


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


def test_operator_of_a_linear_system_has_its_eigenvalues_whatever_the_lag():
    hidden, a = linear_system()
    expected = np.sort_complex(torch.linalg.eigvals(a).numpy())
    for lag in (1, 3):
        settings = dsa.Settings(n_components=3, lag=lag, rank=3)
        operator = dsa.operators([hidden, hidden], settings)[0]
        np.testing.assert_allclose(
            np.sort_complex(torch.linalg.eigvals(operator).numpy()), expected, atol=1e-6
        )


def test_full_rank_operators_do_not_see_rotations_of_units():
    hidden, _ = linear_system()
    turned = hidden @ rotations(1, 6)[0]
    settings = dsa.Settings(n_components=3, lag=1, rank=3)
    assert dsa.distance_matrix(dsa.operators([hidden, turned], settings), seed=0)[0, 1] < 1e-3


def test_null_of_a_noiseless_linear_system_is_small():
    hidden, _ = linear_system()
    null = dsa.null_distances(
        [hidden, hidden], dsa.Settings(n_components=3, lag=1, rank=3), score="wasserstein", seed=0
    )
    assert null.max() < 1e-6


def test_null_falls_as_the_root_of_the_trials_and_distances_of_different_systems_stay():
    """Noise, the same for all systems, drives them, as inputs that all networks see do."""
    systems = 0.9 * rotations(4, 6, seed=2) + 0.1 * random_operators(4, 6, seed=3)
    generator = torch.Generator().manual_seed(7)
    distance, null = {}, {}
    for trials in (32, 512):
        noise = torch.randn(trials, 40, 6, generator=generator, dtype=torch.float64)
        states = [noise[:, 0].expand(4, -1, -1)]
        for t in range(1, 40):
            states.append(states[-1] @ systems.mT + noise[:, t])
        hidden = torch.stack(states, dim=2)
        settings = dsa.Settings(n_components=6, lag=1, rank=6)
        distance[trials] = dsa.distance_matrix(dsa.operators(hidden, settings), seed=0).sum() / 12
        null[trials] = dsa.null_distances(hidden, settings, seed=0).mean()
    assert distance[32] == pytest.approx(distance[512], rel=0.05)
    assert null[32] / null[512] == pytest.approx(4, rel=0.2)


def test_choice_on_linear_data_has_no_error_and_names_the_candidates():
    hidden, _ = linear_system()
    choice = dsa.choose([hidden, hidden], lags=(1, 2), ranks=(2, 3), variance=1.0)
    assert choice.settings.rank == 3
    assert choice.curve["held_out_error"].min() < 1e-9
    assert set(choice.curve["lag"]) == {1, 2}


def wandering(trials: int, time: int, units: int) -> torch.Tensor:
    """States (trials, time, units) of no linear system: random walks, squashed."""
    generator = torch.Generator().manual_seed(4)
    return torch.randn(trials, time, units, generator=generator, dtype=torch.float64).cumsum(1).tanh()


def test_a_rank_above_the_windows_that_are_fitted_is_refused_though_all_windows_hold_it():
    # Of 5 trials of 6 steps 15 windows of 4 steps, 10 of which have a next one.
    with pytest.raises(BadInputError, match=r"at most 10, .* got 13"):
        dsa.operators(wandering(5, 6, 12).expand(2, -1, -1, -1), dsa.Settings(12, 4, 13))
    assert dsa.operators(wandering(5, 6, 12).expand(2, -1, -1, -1), dsa.Settings(12, 4, 10)).isfinite().all()


@pytest.mark.parametrize(("trials", "time"), [(3, 8), (3, 12), (8, 10)])
def test_what_is_chosen_on_few_trials_is_held_by_half_of_them(trials, time):
    hidden = wandering(trials, time, 48).unflatten(-1, (3, 16)).movedim(2, 0)
    choice = dsa.choose(hidden, lags=(1, 2, 3, 4), ranks=(3, 5, 10, 12, 15, 20))
    held = (trials // 2) * (time - choice.curve["lag"])
    assert (choice.curve["rank"] <= held).all()
    # The best one alone may lie far below.
    for lag, rank in choice.curve[["lag", "rank"]].to_numpy():
        settings = dataclasses.replace(choice.settings, lag=int(lag), rank=int(rank))
        assert np.isfinite(dsa.null_distances(hidden, settings, score="wasserstein", seed=0)).all()


@pytest.mark.parametrize(
    ("trials", "time", "k", "lag"), [(5, 9, 3, 1), (4, 12, 2, 5), (3, 6, 4, 5), (1, 8, 1, 3)]
)
def test_moments_are_sums_over_the_windows_of_each_trial(trials, time, k, lag):
    states = wandering(trials, time, k)
    found = Moments.of(states, lag)
    every, before, step, after = (torch.zeros(k * lag, k * lag, dtype=torch.float64) for _ in range(4))
    for trial in states:
        vectors = [torch.cat([trial[t - i] for i in range(lag)]) for t in range(lag - 1, time)]
        every += sum(torch.outer(h, h) for h in vectors)
        for now, then in itertools.pairwise(vectors):
            before += torch.outer(now, now)
            step += torch.outer(then, now)
            after += torch.outer(then, then)
    for name, sums in {"every": every, "before": before, "step": step, "after": after}.items():
        torch.testing.assert_close(getattr(found, name), sums, rtol=1e-12, atol=1e-12)
    assert found.count == trials * (time - lag)


def test_the_error_of_a_candidate_is_that_of_predicting_trials_that_were_not_fitted():
    states = wandering(8, 30, 6)
    curve = dsa.choose([states, states], lags=(1, 2, 4), ranks=(3, 5), variance=1.0).curve
    centred = states - states.mean(dim=(0, 1))
    components = centred @ torch.linalg.svd(centred.flatten(0, 1), full_matrices=False)[2].mT
    # All lags predict the same steps.
    embedded = {lag: windows(components, lag)[:, 4 - lag :] for lag in (1, 2, 4)}
    for lag, rank, error, aic in curve[["lag", "rank", "held_out_error", "aic"]].to_numpy():
        lag, rank = int(lag), int(rank)
        train, test = embedded[lag][:6], embedded[lag][6:]
        _, scales, axes = torch.linalg.svd(train.flatten(0, 1), full_matrices=False)
        encode = axes[:rank].mT / scales[:rank]
        now, then = (part.flatten(0, 1) @ encode for part in (train[:, :-1], train[:, 1:]))
        operator = torch.linalg.lstsq(now, then).solution
        decode = (scales[:rank, None] * axes[:rank])[:, :6]
        shares = []
        for part in (test, train):
            wanted = part[:, 1:, :6]
            missed = wanted - part[:, :-1] @ encode @ operator @ decode
            shares.append(float(missed.square().sum() / wanted.square().sum()))
        assert error == pytest.approx(shares[0], rel=1e-9)
        count = 6 * train[:, 1:].flatten(0, 1).shape[0]
        assert aic == pytest.approx(count * np.log(shares[1]) + 2 * rank**2, rel=1e-9)


def test_wide_networks_beside_a_narrow_one_get_as_many_components_as_that_has_units():
    noise = torch.randn(2, 20, 40, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    wide, narrow = noise[0], noise[1, ..., :4]
    assert dsa.choose([wide, wide], lags=(1,), ranks=(2,)).settings.n_components == 12
    assert dsa.choose([wide, narrow], lags=(1,), ranks=(2,)).settings.n_components == 4


def driven_system(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Hidden states and inputs (trials, time, ...) of h' = A h + D u', and A."""
    generator = torch.Generator().manual_seed(seed)
    a, d = 0.8 * rotations(1, 4, seed)[0], torch.randn(4, 2, generator=generator, dtype=torch.float64)
    inputs = torch.randn(20, 50, 2, generator=torch.Generator().manual_seed(99), dtype=torch.float64)
    states = [torch.zeros(20, 4, dtype=torch.float64)]
    for now in inputs[:, 1:].unbind(dim=1):
        states.append(states[-1] @ a.mT + now @ d.mT)
    hidden, inputs = torch.stack(states, dim=1), inputs.clone()
    return torch.cat([hidden, -hidden]), torch.cat([inputs, -inputs]), a


def test_control_separates_the_drive_from_the_dynamics():
    hidden, inputs, a = driven_system(0)
    settings = dsa.Settings(n_components=4, lag=1, rank=4)
    operators, maps = dsa.controlled_operators([hidden, hidden], inputs, settings)
    found = np.sort_complex(torch.linalg.eigvals(operators[0]).numpy())
    np.testing.assert_allclose(found, np.sort_complex(torch.linalg.eigvals(a).numpy()), atol=1e-8)
    for power in range(3):  # what inputs do is the same in other coordinates: rank of A^k D
        assert torch.linalg.matrix_rank(operators[0].matrix_power(power) @ maps[0]) == 2


def test_input_maps_do_not_depend_on_units_or_on_the_number_of_trials():
    hidden, inputs, _ = driven_system(0)
    settings = dsa.Settings(n_components=4, lag=1, rank=4)
    expected = dsa.controlled_operators([hidden, hidden], inputs, settings)
    scaled = dsa.controlled_operators([hidden, hidden], inputs * torch.tensor([1e3, 1e-3]), settings)
    twice = [torch.cat([hidden, hidden])] * 2, torch.cat([inputs, inputs])
    for found in (scaled, dsa.controlled_operators(*twice, settings)):
        for mine, theirs in zip(found, expected, strict=True):
            # Coordinates are found up to their signs.
            torch.testing.assert_close(mine.abs(), theirs.abs(), rtol=1e-6, atol=1e-8)


@KINDS
def test_input_maps_are_aligned_with_their_operators(kind):
    a, c, d = kind(1, 8)[0], rotations(1, 8, seed=5)[0], random_operators(1, 8, seed=3)[0, :, :2]
    both = torch.stack([a, c @ a @ c.mT])
    assert dsa.distance_matrix(both, seed=0, input_maps=torch.stack([d, c @ d]))[0, 1] < 1e-3
    assert dsa.distance_matrix(both, seed=0, input_maps=torch.stack([d, c @ d.flip(1)]))[0, 1] > 1e-2


def test_without_dynamics_input_maps_are_aligned_by_procrustes():
    d, e = random_operators(2, 6)[:, :, :3]
    tiny = 1e-6 * random_operators(2, 6)
    found = dsa.distance_matrix(tiny, score="frobenius", seed=0, input_maps=torch.stack([d, e]))[0, 1]
    squares = d.square().sum() + e.square().sum() - 2 * torch.linalg.matrix_norm(d @ e.mT, "nuc")
    assert found == pytest.approx(squares.sqrt().item(), rel=1e-4)
