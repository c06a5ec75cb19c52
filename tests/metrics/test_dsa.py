"""DSA: operators, alignment, distances and selection of hyperparameters."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from degen.errors import BadInputError
from degen.metrics import dsa
from degen.metrics.dsa.embedding import Moments, windows
from degen.metrics.dsa.objective import Objective, Point, eigenbasis, overlap
from degen.metrics.dsa.optimizer import maximize


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


@KINDS
@pytest.mark.parametrize(("n", "count"), [(1, 3), (2, 10), (5, 30), (10, 30), (20, 20), (50, 8), (100, 2)])
def test_rotated_copy_has_distance_zero(kind, n, count):
    a, c = kind(count, n), rotations(count, n, seed=5)
    overlap = dsa.align(a, c @ a @ c.mT, seed=0).overlap
    cosine = overlap / torch.linalg.matrix_norm(a) ** 2
    assert torch.arccos(cosine.clamp(-1, 1)).max() < 1e-3


@KINDS
def test_distance_is_bitwise_independent_of_other_networks(kind):
    operators = kind(5, 12)
    distances = dsa.distance_matrix(operators, seed=0)
    order = [3, 0, 4]
    assert np.array_equal(distances, distances.T)
    assert not distances.diagonal().any()
    assert np.array_equal(dsa.distance_matrix(operators[order], seed=0), distances[np.ix_(order, order)])


@KINDS
def test_rotation_is_orthogonal_and_attains_the_overlap(kind):
    a, b = kind(6, 9), kind(6, 9, seed=20)
    for x, y in ((a, b), (b, a)):
        alignment = dsa.align(x, y, seed=0)
        c = alignment.rotation
        torch.testing.assert_close(c @ c.mT, torch.eye(9, dtype=torch.float64).expand(6, 9, 9))
        torch.testing.assert_close((x * (c @ y @ c.mT)).sum(dim=(1, 2)), alignment.overlap)
        assert (alignment.overlap_by_start.amax(dim=1) <= alignment.overlap + 1e-5).all()


LINEAR = pytest.mark.parametrize("with_linear", [False, True])


@KINDS
@LINEAR
@pytest.mark.parametrize("steps", [1, 25])
def test_optimizer_result_is_orthogonal_and_not_below_its_start(kind, with_linear, steps):
    a, b, c = eigenbasis(kind(200, 10))[1], kind(200, 10, seed=20), rotations(200, 10, seed=5)
    a, b, c, linear = (x.float() for x in (a, b, c, random_operators(200, 10, seed=9)))
    linear = linear if with_linear else None
    final, value = maximize(a, b, linear, c, steps)
    eye = torch.eye(10).expand(200, 10, 10)
    torch.testing.assert_close(final @ final.mT, eye, atol=1e-4, rtol=0)
    torch.testing.assert_close(value, overlap(a, b, linear, final))
    assert (value >= overlap(a, b, linear, c) - 1e-5).all()


@KINDS
@LINEAR
def test_optimizer_converges_to_a_nearby_maximum(kind, with_linear):
    a, b, c = eigenbasis(kind(20, 10))[1], kind(20, 10, seed=20), rotations(20, 10, seed=5)
    linear = random_operators(20, 10, seed=9) if with_linear else None
    maximum, best = maximize(a, b, linear, c, 3000)
    omega = random_operators(20, 10, seed=11)
    omega = omega - omega.mT
    start = torch.matrix_exp(omega / torch.linalg.matrix_norm(omega, keepdim=True) / 2) @ maximum
    remaining = (best - maximize(a, b, linear, start, 100)[1]) / (best - overlap(a, b, linear, start))
    assert remaining.max() < 1e-10


def test_copy_from_copies_only_the_selected_problems():
    a, b, c = eigenbasis(random_operators(5, 7))[1], random_operators(5, 7, seed=20), rotations(5, 7, seed=5)
    objective = Objective.from_matrices(a, b, None)
    source, target = Point.from_rotation(objective, c), Point.from_rotation(objective, c.mT)
    source_fields, target_fields = dataclasses.astuple(source), dataclasses.astuple(target)  # copies
    selected = torch.tensor([True, False, False, True, False])
    target.copy_from(source, selected)
    for x, y, z in zip(dataclasses.astuple(target), source_fields, target_fields, strict=True):
        assert torch.equal(x[selected], y[selected])
        assert torch.equal(x[~selected], z[~selected])


@KINDS
@LINEAR
def test_value_and_gradient_agree_with_autograd(kind, with_linear):
    a, b, c = eigenbasis(kind(4, 7))[1], kind(4, 7, seed=20), rotations(4, 7, seed=5)
    linear = random_operators(4, 7, seed=9) if with_linear else None
    objective = Objective.from_matrices(a, b, linear)
    point, rotated = Point.from_rotation(objective, c), Point.from_rotation(objective, c)
    omega = random_operators(4, 7, seed=11) / 10
    rotated.rotate(objective, point, omega - omega.mT, *(torch.empty_like(c) for _ in range(3)))
    assert (rotated.c - c).abs().max() > 0.01
    for evaluated in (point, rotated):
        zero = torch.zeros_like(c, requires_grad=True)
        value = overlap(a, b, linear, torch.linalg.matrix_exp(zero) @ evaluated.c)
        (slope,) = torch.autograd.grad(value.sum(), zero)
        torch.testing.assert_close(evaluated.value, value.detach())
        torch.testing.assert_close(evaluated.gradient, (slope - slope.mT) / 2)


@KINDS
@LINEAR
def test_curvatures_agree_with_differences_of_the_gradient(kind, with_linear):
    # Near a maximum curvatures are positive, and few are raised to the lower bound.
    a, b = eigenbasis(kind(4, 7))[1], kind(4, 7, seed=20)
    linear = random_operators(4, 7, seed=9) if with_linear else None
    objective = Objective.from_matrices(a, b, linear)
    point = Point.from_rotation(objective, maximize(a, b, linear, rotations(4, 7, seed=5), 300)[0])
    is_exact = []
    for p, q in torch.triu_indices(7, 7, offset=1).T.tolist():
        generator = torch.zeros(7, 7, dtype=torch.float64)
        generator[p, q], generator[q, p] = 1e-5, -1e-5
        ahead, behind = (
            Point.from_rotation(objective, torch.matrix_exp(omega) @ point.c).gradient
            for omega in (generator, -generator)
        )
        difference = (behind - ahead)[:, p, q] / 2e-5
        assert (difference > 0).all()
        is_exact.append((point.curvature[:, p, q] - difference).abs() < 1e-4 * difference)
        assert (point.curvature[:, p, q] >= difference * (1 - 1e-4)).all()
    assert torch.stack(is_exact).double().mean() > 0.9


def test_alignment_of_2x2_operators_equals_a_grid_search():
    a, b = random_operators(20, 2), random_operators(20, 2, seed=1)
    angles = torch.linspace(0, 2 * torch.pi, 20001, dtype=torch.float64)
    rotation = torch.stack([angles.cos(), -angles.sin(), angles.sin(), angles.cos()], dim=-1).view(-1, 2, 2)
    grid = torch.cat([rotation, rotation * torch.tensor([1.0, -1.0])])
    best = torch.stack([(x * (grid @ y @ grid.mT)).sum(dim=(1, 2)).max() for x, y in zip(a, b, strict=True)])
    reached = dsa.align(a, b, seed=0).overlap
    assert (reached >= best - 1e-12).all()
    torch.testing.assert_close(reached, best, atol=1e-6, rtol=0)


def test_symmetric_operators_are_aligned_by_sorted_eigenvalues():
    a, b = (m + m.mT for m in (random_operators(6, 15), random_operators(6, 15, seed=1)))
    optimum = (torch.linalg.eigvalsh(a) * torch.linalg.eigvalsh(b)).sum(dim=1)
    torch.testing.assert_close(dsa.align(a, b, seed=0).overlap, optimum, rtol=1e-6, atol=0)


def test_scores_are_functions_of_one_overlap():
    operators = random_operators(4, 6)
    norms = torch.linalg.matrix_norm(operators).numpy()
    cosine = np.cos(dsa.distance_matrix(operators, score="angular", seed=0))
    off_diagonal = ~np.eye(4, dtype=bool)
    frobenius = dsa.distance_matrix(operators, score="frobenius", seed=0)
    normalized = dsa.distance_matrix(operators, score="normalized", seed=0)
    squares = np.add.outer(norms**2, norms**2) - 2 * np.outer(norms, norms) * cosine
    np.testing.assert_allclose(frobenius[off_diagonal], np.sqrt(squares[off_diagonal]))
    np.testing.assert_allclose(normalized[off_diagonal], np.sqrt(2 - 2 * cosine[off_diagonal]))


def test_wasserstein_is_an_optimal_assignment_of_eigenvalues():
    operators = random_operators(2, 7)
    first, second = np.linalg.eigvals(operators.numpy())
    cost = np.abs(first[:, None] - second) ** 2
    expected = np.sqrt(cost[linear_sum_assignment(cost)].mean())
    distances = dsa.distance_matrix(operators, score="wasserstein", seed=0)
    assert distances[0, 1] == pytest.approx(expected)


@pytest.mark.parametrize("size", [1e-2, 1e-4])
def test_perturbation_changes_the_distance_by_at_most_its_norm(size):
    a, b = decaying_operators(2, 10)
    noise = size * random_operators(1, 10, seed=9)[0]
    before = dsa.distance_matrix([a, b], score="frobenius", seed=0)[0, 1]
    after = dsa.distance_matrix([a, b + noise], score="frobenius", seed=0)[0, 1]
    assert abs(after - before) <= torch.linalg.matrix_norm(noise) + 1e-9


def test_distances_are_not_above_those_of_dsa_metric():
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


def test_operator_has_the_eigenvalues_of_a_linear_system():
    hidden, a = linear_system()
    expected = np.sort_complex(torch.linalg.eigvals(a).numpy())
    for lag in (1, 3):
        hyperparameters = dsa.Hyperparameters(n_components=3, lag=lag, rank=3)
        operator = dsa.operators([hidden, hidden], hyperparameters)[0]
        np.testing.assert_allclose(
            np.sort_complex(torch.linalg.eigvals(operator).numpy()), expected, atol=1e-6
        )


def test_distance_ignores_rotation_of_units():
    hidden, _ = linear_system()
    rotated = hidden @ rotations(1, 6)[0]
    hyperparameters = dsa.Hyperparameters(n_components=3, lag=1, rank=3)
    assert dsa.distance_matrix(dsa.operators([hidden, rotated], hyperparameters), seed=0)[0, 1] < 1e-3


def test_null_of_a_noiseless_linear_system_is_zero():
    hidden, _ = linear_system()
    null = dsa.null_distances(
        [hidden, hidden], dsa.Hyperparameters(n_components=3, lag=1, rank=3), score="wasserstein", seed=0
    )
    assert null.max() < 1e-6


def test_null_decreases_with_trials_but_distances_do_not():
    """All systems receive identical noise, as networks receive identical inputs."""
    systems = 0.9 * rotations(4, 6, seed=2) + 0.1 * random_operators(4, 6, seed=3)
    generator = torch.Generator().manual_seed(7)
    distance, null = {}, {}
    for trials in (32, 512):
        noise = torch.randn(trials, 40, 6, generator=generator, dtype=torch.float64)
        states = [noise[:, 0].expand(4, -1, -1)]
        for t in range(1, 40):
            states.append(states[-1] @ systems.mT + noise[:, t])
        hidden = torch.stack(states, dim=2)
        hyperparameters = dsa.Hyperparameters(n_components=6, lag=1, rank=6)
        distance[trials] = dsa.distance_matrix(dsa.operators(hidden, hyperparameters), seed=0).sum() / 12
        null[trials] = dsa.null_distances(hidden, hyperparameters, seed=0).mean()
    assert distance[32] == pytest.approx(distance[512], rel=0.05)
    assert null[32] / null[512] == pytest.approx(4, rel=0.2)


def test_selection_on_linear_data_has_no_error():
    hidden, _ = linear_system()
    selection = dsa.select_hyperparameters([hidden, hidden], lags=(1, 2), ranks=(2, 3), variance=1.0)
    assert selection.hyperparameters.rank == 3
    assert selection.curve["held_out_error"].min() < 1e-9
    assert set(selection.curve["lag"]) == {1, 2}


def random_walks(trials: int, time: int, units: int) -> torch.Tensor:
    """Nonlinear states (trials, time, units): tanh of random walks."""
    generator = torch.Generator().manual_seed(4)
    return torch.randn(trials, time, units, generator=generator, dtype=torch.float64).cumsum(1).tanh()


def test_rank_above_the_number_of_transitions_is_rejected():
    # Five trials of 6 steps contain 15 windows of 4 steps and 10 transitions between windows.
    with pytest.raises(BadInputError, match=r"at most 10, .* got 13"):
        dsa.operators(random_walks(5, 6, 12).expand(2, -1, -1, -1), dsa.Hyperparameters(12, 4, 13))
    assert (
        dsa.operators(random_walks(5, 6, 12).expand(2, -1, -1, -1), dsa.Hyperparameters(12, 4, 10))
        .isfinite()
        .all()
    )


@pytest.mark.parametrize(("trials", "time"), [(3, 8), (3, 12), (8, 10)])
def test_candidates_are_supported_by_half_of_the_trials(trials, time):
    hidden = random_walks(trials, time, 48).unflatten(-1, (3, 16)).movedim(2, 0)
    selection = dsa.select_hyperparameters(hidden, lags=(1, 2, 3, 4), ranks=(3, 5, 10, 12, 15, 20))
    n_transitions = (trials // 2) * (time - selection.curve["lag"])
    assert (selection.curve["rank"] <= n_transitions).all()
    # Test all candidates: the selected rank may be far below the bound.
    for lag, rank in selection.curve[["lag", "rank"]].to_numpy():
        candidate = dataclasses.replace(selection.hyperparameters, lag=int(lag), rank=int(rank))
        assert np.isfinite(dsa.null_distances(hidden, candidate, score="wasserstein", seed=0)).all()


@pytest.mark.parametrize(
    ("trials", "time", "k", "lag"), [(5, 9, 3, 1), (4, 12, 2, 5), (3, 6, 4, 5), (1, 8, 1, 3)]
)
def test_moments_are_sums_over_windows_and_transitions(trials, time, k, lag):
    states = random_walks(trials, time, k)
    moments = Moments.from_states(states, lag)
    all_windows, current, cross, successor = (
        torch.zeros(k * lag, k * lag, dtype=torch.float64) for _ in range(4)
    )
    for trial in states:
        vectors = [torch.cat([trial[t - i] for i in range(lag)]) for t in range(lag - 1, time)]
        all_windows += sum(torch.outer(h, h) for h in vectors)
        for now, then in itertools.pairwise(vectors):
            current += torch.outer(now, now)
            cross += torch.outer(then, now)
            successor += torch.outer(then, then)
    expected = {"all_windows": all_windows, "current": current, "cross": cross, "successor": successor}
    for name, sums in expected.items():
        torch.testing.assert_close(getattr(moments, name), sums, rtol=1e-12, atol=1e-12)
    assert moments.n_transitions == trials * (time - lag)


def test_scores_of_candidates_agree_with_least_squares():
    states = random_walks(8, 30, 6)
    curve = dsa.select_hyperparameters([states, states], lags=(1, 2, 4), ranks=(3, 5), variance=1.0).curve
    centered = states - states.mean(dim=(0, 1))
    components = centered @ torch.linalg.svd(centered.flatten(0, 1), full_matrices=False)[2].mT
    # All lags predict one set of time steps.
    embedded = {lag: windows(components, lag)[:, 4 - lag :] for lag in (1, 2, 4)}
    for lag, rank, error, aic in curve[["lag", "rank", "held_out_error", "aic"]].to_numpy():
        lag, rank = int(lag), int(rank)
        train, test = embedded[lag][:6], embedded[lag][6:]
        _, scales, axes = torch.linalg.svd(train.flatten(0, 1), full_matrices=False)
        encode = axes[:rank].mT / scales[:rank]
        now, then = (part.flatten(0, 1) @ encode for part in (train[:, :-1], train[:, 1:]))
        operator = torch.linalg.lstsq(now, then).solution
        decode = (scales[:rank, None] * axes[:rank])[:, :6]
        fractions = []
        for part in (test, train):
            target = part[:, 1:, :6]
            residual = target - part[:, :-1] @ encode @ operator @ decode
            fractions.append(float(residual.square().sum() / target.square().sum()))
        assert error == pytest.approx(fractions[0], rel=1e-9)
        count = 6 * train[:, 1:].flatten(0, 1).shape[0]
        assert aic == pytest.approx(count * np.log(fractions[1]) + 2 * rank**2, rel=1e-9)


def test_components_are_limited_by_the_smallest_network():
    noise = torch.randn(2, 20, 40, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    wide, narrow = noise[0], noise[1, ..., :4]
    assert dsa.select_hyperparameters([wide, wide], lags=(1,), ranks=(2,)).hyperparameters.n_components == 12
    assert dsa.select_hyperparameters([wide, narrow], lags=(1,), ranks=(2,)).hyperparameters.n_components == 4


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


def test_control_separates_inputs_from_dynamics():
    hidden, inputs, a = driven_system(0)
    hyperparameters = dsa.Hyperparameters(n_components=4, lag=1, rank=4)
    operators, maps = dsa.controlled_operators([hidden, hidden], inputs, hyperparameters)
    eigenvalues = np.sort_complex(torch.linalg.eigvals(operators[0]).numpy())
    np.testing.assert_allclose(eigenvalues, np.sort_complex(torch.linalg.eigvals(a).numpy()), atol=1e-8)
    for power in range(3):  # the rank of A^k D does not depend on the coordinates
        assert torch.linalg.matrix_rank(operators[0].matrix_power(power) @ maps[0]) == 2


def test_input_maps_ignore_input_units_and_number_of_trials():
    hidden, inputs, _ = driven_system(0)
    hyperparameters = dsa.Hyperparameters(n_components=4, lag=1, rank=4)
    expected = dsa.controlled_operators([hidden, hidden], inputs, hyperparameters)
    scaled = dsa.controlled_operators([hidden, hidden], inputs * torch.tensor([1e3, 1e-3]), hyperparameters)
    twice = [torch.cat([hidden, hidden])] * 2, torch.cat([inputs, inputs])
    for result in (scaled, dsa.controlled_operators(*twice, hyperparameters)):
        for actual, desired in zip(result, expected, strict=True):
            # The signs of the coordinates are arbitrary.
            torch.testing.assert_close(actual.abs(), desired.abs(), rtol=1e-6, atol=1e-8)


@KINDS
def test_input_maps_are_aligned_with_operators(kind):
    a, c, d = kind(1, 8)[0], rotations(1, 8, seed=5)[0], random_operators(1, 8, seed=3)[0, :, :2]
    both = torch.stack([a, c @ a @ c.mT])
    assert dsa.distance_matrix(both, seed=0, input_maps=torch.stack([d, c @ d]))[0, 1] < 1e-3
    assert dsa.distance_matrix(both, seed=0, input_maps=torch.stack([d, c @ d.flip(1)]))[0, 1] > 1e-2


def test_input_maps_without_dynamics_are_aligned_by_procrustes():
    d, e = random_operators(2, 6)[:, :, :3]
    tiny = 1e-6 * random_operators(2, 6)
    distance = dsa.distance_matrix(tiny, score="frobenius", seed=0, input_maps=torch.stack([d, e]))[0, 1]
    squares = d.square().sum() + e.square().sum() - 2 * torch.linalg.matrix_norm(d @ e.mT, "nuc")
    assert distance == pytest.approx(squares.sqrt().item(), rel=1e-4)
