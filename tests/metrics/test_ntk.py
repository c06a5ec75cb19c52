"""Tangent kernel compared with brute force, and estimated compared with exact alignment."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from degen.errors import BadInputError
from degen.metrics.ntk import estimated_alignment, kernel_alignment, tangent_kernel

NETWORKS, TRIALS, TIME, UNITS, INPUTS, OUTPUTS = 2, 3, 5, 4, 2, 2


def outputs(parameters: dict[str, torch.Tensor]) -> torch.Tensor:
    """Run a network with one copy of its parameters per trial, or one copy for all trials."""
    hidden, inputs = trials()
    states = []
    for now in inputs.unbind(dim=1):
        drive = now.unsqueeze(1) @ parameters["input"].mT
        hidden = torch.tanh(hidden.unsqueeze(1) @ parameters["recurrent"].mT + drive).squeeze(1)
        states.append(hidden)
    return torch.stack(states, dim=1) @ parameters["output"].mT


def parameters(seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = {"recurrent": (UNITS, UNITS), "input": (UNITS, INPUTS), "output": (OUTPUTS, UNITS)}
    return {
        name: torch.randn(NETWORKS, *shape, generator=generator, dtype=torch.float64)
        for name, shape in shapes.items()
    }


def trials() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    hidden = torch.randn(TRIALS, UNITS, generator=generator, dtype=torch.float64)
    inputs = torch.randn(TRIALS, TIME, INPUTS, generator=generator, dtype=torch.float64)
    return hidden, inputs


def brute_force(weights: dict[str, torch.Tensor], network: int, times: list[int]) -> torch.Tensor:
    """Compute the kernel of a network from the gradients of all outputs, one after another."""
    hidden, inputs = trials()
    variables = {name: value[network].clone().requires_grad_() for name, value in weights.items()}
    rows = []
    for trial in range(TRIALS):
        state, values = hidden[trial], []
        for now in inputs[trial]:
            state = torch.tanh(variables["recurrent"] @ state + variables["input"] @ now)
            values.append(variables["output"] @ state)
        for time in times:
            for output in values[time]:
                gradients = torch.autograd.grad(
                    output, [variables["recurrent"], variables["input"]], retain_graph=True
                )
                rows.append(torch.cat([g.flatten() for g in gradients]))
    jacobian = torch.stack(rows)
    return jacobian @ jacobian.mT


BOTH = ["recurrent", "input"]


def exact(before, after):
    return kernel_alignment(outputs, before, after, n_trials=TRIALS, weights=BOTH, times=[1, 4])


def estimated(before, after):
    return estimated_alignment(outputs, before, after, weights=BOTH, probes=4, seed=0)


def test_tangent_kernel_agrees_with_brute_force():
    weights, times = parameters(0), [1, 4]
    kernel = tangent_kernel(outputs, weights, n_trials=TRIALS, weights=BOTH, times=times)
    for network in range(NETWORKS):
        torch.testing.assert_close(kernel[network], brute_force(weights, network, times))


def test_kernel_alignment_is_the_cosine_of_kernels():
    before, after = parameters(0), parameters(1)
    options = {"n_trials": TRIALS, "weights": BOTH, "times": [1, 4]}
    np.testing.assert_allclose(kernel_alignment(outputs, before, before, **options), 1.0)
    alignment = kernel_alignment(outputs, before, after, **options)
    for network in range(NETWORKS):
        k, l = (brute_force(weights, network, [1, 4]).flatten() for weights in (before, after))  # noqa: E741
        assert alignment[network] == pytest.approx(torch.cosine_similarity(k, l, dim=0).item())


def test_weights_are_not_modified():
    before = parameters(0)
    kernel_alignment(outputs, before, before, n_trials=TRIALS, weights=BOTH, times=[4])
    estimated_alignment(outputs, before, before, weights=BOTH, probes=3, seed=0)
    for name, value in parameters(0).items():
        assert torch.equal(before[name], value)
        assert not before[name].requires_grad


# Estimated alignment -------------------------------------------------------------------------------------


def planted(seed: int) -> tuple[torch.Tensor, dict[str, torch.Tensor], dict[str, torch.Tensor], float]:
    """Return a model with known kernel alignment: y = J w^2 / 2, whose kernel is J diag(w^2) J^T.

    Returns:
        J (60, 40), w before training, w after training, and the exact alignment.
    """
    random = np.random.default_rng(seed)
    jacobian = random.standard_normal((60, 40))
    before, after = random.standard_normal((2, 1, 40))
    k, l = (jacobian @ np.diag(w[0] ** 2) @ jacobian.T for w in (before, after))  # noqa: E741
    exact = np.sum(k * l) / (np.linalg.norm(k) * np.linalg.norm(l))
    return (
        torch.from_numpy(jacobian),
        {"w": torch.from_numpy(before)},
        {"w": torch.from_numpy(after)},
        float(exact),
    )


@pytest.fixture(scope="module")
def estimates() -> tuple[np.ndarray, np.ndarray, float]:
    """Return estimates and their standard errors for 300 seeds, and the exact value."""
    jacobian, before, after, exact = planted(0)
    results = [
        estimated_alignment(
            lambda p: p["w"].square() @ jacobian.T / 2, before, after, weights=["w"], probes=20, seed=seed
        )
        for seed in range(300)
    ]
    values, errors = (
        [getattr(result, name)[0] for result in results] for name in ("value", "standard_error")
    )
    return np.array(values), np.array(errors), exact


def test_estimate_is_unbiased(estimates):
    values, _, exact = estimates
    standard_error = values.std() / np.sqrt(len(values))
    assert 0.3 < exact < 0.9  # neither unchanged nor unrelated kernels
    assert abs(values.mean() - exact) < 3 * standard_error + 0.02 * exact
    assert standard_error < 0.01


def test_standard_error_matches_the_spread_of_estimates(estimates):
    values, errors, exact = estimates
    assert errors.mean() == pytest.approx(values.std(), rel=0.3)
    # The nominal coverage is 95 %. The jackknife of 20 probes is approximate.
    assert 0.88 <= np.mean(np.abs(values - exact) < 1.96 * errors) <= 0.99


def test_estimate_improves_with_more_probes():
    jacobian, before, after, exact = planted(1)

    def estimate(initial: dict, final: dict, probes: int) -> tuple[float, float]:
        result = estimated_alignment(
            lambda p: p["w"].square() @ jacobian.T / 2, initial, final, weights=["w"], probes=probes, seed=0
        )
        return result.value[0], result.standard_error[0]

    assert estimate(before, before, 5) == pytest.approx((1.0, 0.0), abs=1e-12)
    (_, error_of_few), (value, error) = estimate(before, after, 10), estimate(before, after, 1000)
    assert error < error_of_few / 5
    assert value == pytest.approx(exact, abs=4 * error)


def test_estimate_agrees_with_exact_alignment_of_a_network():
    before, after = parameters(0), parameters(1)
    exact = kernel_alignment(outputs, before, after, n_trials=TRIALS, weights=BOTH, times=range(TIME))
    estimate = estimated_alignment(outputs, before, after, weights=BOTH, probes=1000, seed=0)
    assert (estimate.standard_error < 0.05).all()
    assert (np.abs(estimate.value - exact) < 4 * estimate.standard_error).all()


def test_errors_name_invalid_arguments():
    weights, options = parameters(0), {"n_trials": TRIALS, "times": [0]}
    with pytest.raises(BadInputError, match="weights must be one of recurrent, input, output, got 'bias'"):
        tangent_kernel(outputs, weights, weights=["bias"], **options)
    with pytest.raises(BadInputError, match="weights must be at least one name, got \\[\\]"):
        tangent_kernel(outputs, weights, weights=[], **options)
    with pytest.raises(BadInputError, match="times must be from 0 to 4, got 5"):
        tangent_kernel(outputs, weights, n_trials=TRIALS, weights=["input"], times=[5])
    with pytest.raises(BadInputError, match="probes must be an integer of at least 3, got 2"):
        estimated_alignment(outputs, weights, weights, weights=BOTH, probes=2, seed=0)
    silent = weights | {"output": torch.zeros_like(weights["output"])}
    with pytest.raises(BadInputError, match="tangent kernel must be nonzero"):
        kernel_alignment(outputs, silent, weights, weights=["input"], **options)
    with pytest.raises(BadInputError, match="tangent kernel must be nonzero"):
        estimated_alignment(outputs, silent, weights, weights=["input"], probes=3, seed=0)


@pytest.mark.parametrize("alignment", [exact, estimated], ids=["exact", "estimated"])
def test_parameters_must_be_finite_with_equal_shapes(alignment):
    initial, final = parameters(0), parameters(1)
    for other in (
        {name: value[:1] for name, value in final.items()},
        {name: value for name, value in final.items() if name != "input"},
    ):
        for before, after in ((initial, other), (other, initial)):
            with pytest.raises(BadInputError, match="names and shapes of final must be equal to"):
                alignment(before, after)
    broken = final | {"recurrent": final["recurrent"] * torch.nan}
    with pytest.raises(BadInputError, match="parameters recurrent must be finite, got 'NaN or infinity'"):
        alignment(initial, broken)
