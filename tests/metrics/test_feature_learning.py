"""Weight change, representation alignment and the tangent kernel against brute force."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from degen.errors import BadInputError
from degen.metrics.feature_learning import representation_alignment, weight_change
from degen.metrics.ntk import kernel_alignment, tangent_kernel

NETWORKS, TRIALS, TIME, UNITS, INPUTS, OUTPUTS = 2, 3, 5, 4, 2, 2


def step(parameters: dict[str, torch.Tensor], hidden: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
    return torch.tanh(hidden @ parameters["recurrent"].mT + inputs @ parameters["input"].mT)


def readout(parameters: dict[str, torch.Tensor], hidden: torch.Tensor) -> torch.Tensor:
    return hidden @ parameters["output"].mT.unsqueeze(1)


def parameters(seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = {"recurrent": (UNITS, UNITS), "input": (UNITS, INPUTS), "output": (OUTPUTS, UNITS)}
    return {
        name: torch.randn(NETWORKS, *shape, generator=generator, dtype=torch.float64)
        for name, shape in shapes.items()
    }


def trials() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    hidden = torch.randn(NETWORKS, TRIALS, UNITS, generator=generator, dtype=torch.float64)
    inputs = torch.randn(1, TRIALS, TIME, INPUTS, generator=generator, dtype=torch.float64)
    return hidden, inputs


def brute_force(weights: dict[str, torch.Tensor], network: int, times: list[int]) -> torch.Tensor:
    """Gradients of one output after the other by autograd, with a loop over time and trials."""
    hidden, inputs = trials()
    own = {name: value[network].clone().requires_grad_() for name, value in weights.items()}
    rows = []
    for trial in range(TRIALS):
        state, outputs = hidden[network, trial], []
        for now in inputs[0, trial]:
            state = torch.tanh(own["recurrent"] @ state + own["input"] @ now)
            outputs.append(own["output"] @ state)
        for time in times:
            for output in outputs[time]:
                gradients = torch.autograd.grad(output, [own["recurrent"], own["input"]], retain_graph=True)
                rows.append(torch.cat([g.flatten() for g in gradients]))
    jacobian = torch.stack(rows)
    return jacobian @ jacobian.mT


def test_tangent_kernel_is_brute_force_autograds():
    weights, times = parameters(0), [1, 4]
    kernel = tangent_kernel(step, readout, weights, *trials(), weights=["recurrent", "input"], times=times)
    for network in range(NETWORKS):
        torch.testing.assert_close(kernel[network], brute_force(weights, network, times))


def test_kernel_alignment_is_one_without_training_and_the_cosine_of_kernels_after():
    before, after = parameters(0), parameters(1)
    options = {"weights": ["recurrent", "input"], "times": [1, 4]}
    same = kernel_alignment(step, readout, before, before, *trials(), **options)
    torch.testing.assert_close(same, torch.ones_like(same))
    found = kernel_alignment(step, readout, before, after, *trials(), **options)
    for network in range(NETWORKS):
        k, l = (brute_force(weights, network, [1, 4]).flatten() for weights in (before, after))  # noqa: E741
        assert found[network].item() == pytest.approx(torch.cosine_similarity(k, l, dim=0).item())


def test_unknown_weights_and_times_outside_the_trial_are_refused():
    with pytest.raises(BadInputError, match="weights must be one of recurrent, input, output, got 'bias'"):
        tangent_kernel(step, readout, parameters(0), *trials(), weights=["bias"], times=[0])
    with pytest.raises(BadInputError, match="times must be from 0 to 4, got 5"):
        tangent_kernel(step, readout, parameters(0), *trials(), weights=["input"], times=[5])


def test_weight_change_is_the_frobenius_norm():
    before = np.zeros((2, 3, 3))
    after = before.copy()
    after[1, 0, :2] = 3.0, 4.0
    assert weight_change(before, after).tolist() == [0.0, 5.0]
    assert weight_change(before, after, per_parameter=True).tolist() == [0.0, 5.0 / 9]


def test_representation_alignment_is_the_cosine_of_gram_matrices_over_samples():
    random = np.random.default_rng(0)
    before, after = random.standard_normal((2, 2, 30, 5))
    for x, y, found in zip(before, after, representation_alignment(before, after), strict=True):
        k, l = x @ x.T, y @ y.T  # noqa: E741
        assert found == pytest.approx(np.sum(k * l) / (np.linalg.norm(k) * np.linalg.norm(l)))
