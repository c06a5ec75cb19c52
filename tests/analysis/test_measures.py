"""Measures of the analysis in one process: OOD conditions, alignments of networks, DSA with inputs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.func import jacrev

from analysis.metrics import DSA
from analysis.steps.feature_learning import KernelProbe, compute_alignments
from analysis.trials import ExtraOOD, TrialSet, build_further_ood
from degen.condition import Condition
from degen.errors import BadInputError
from degen.models import Parameters
from degen.networks import TrainedNetwork
from degen.streams import Stream
from degen.tasks import Trials
from degen.training import History
from degen.training.validation import mean_loss
from tests.conftest import build

TRIALSET = TrialSet(n_trials=6, seed=3)


# Out-of-distribution conditions -----------------------------------------------------------------------------


def drawn(doublings: int, input_noise: float, *overrides: str, outside: bool = False) -> Trials:
    other = ExtraOOD(doublings=doublings, input_noise=input_noise, outside_training=outside)
    return other.draw(build(*overrides).task, TRIALSET, torch.float32)


def test_one_doubling_without_noise_is_the_papers_condition():
    task = build("task=flip_flop").task
    papers = TRIALSET.draw(task.ood(), "ood trials", torch.float32)
    assert torch.equal(drawn(1, 0.0, "task=flip_flop").inputs, papers.inputs)
    assert torch.equal(drawn(1, 0.0, "task=flip_flop").targets, papers.targets)


def test_two_doublings_are_four_times_the_trial_or_the_delay():
    assert drawn(2, 0.0, "task=sine_wave").inputs.shape[-2] == 400
    assert all(20 <= delay <= 80 for delay in delays(drawn(2, 0.0, "task=delayed_discrimination")))


def delays(trials: Trials) -> list[int]:
    """Return the delays of trials with one channel."""
    pulses = [
        [(trial[:, channel] > 0).nonzero().flatten() for channel in (0, 1)] for trial in trials.inputs[0]
    ]
    return [int(second[0] - first[-1]) - 1 for first, second in pulses]


@pytest.mark.parametrize("longest", [20, 30])
def test_delays_outside_training_are_above_the_longest_trained(longest):
    overrides = ("task=delayed_discrimination", f"task.max_delay={longest}", "task.n_steps=110")
    result = delays(drawn(1, 0.0, *overrides, outside=True))
    assert all(longest < delay <= 2 * longest for delay in result)
    assert min(delays(drawn(1, 0.0, *overrides))) <= longest


@pytest.mark.parametrize("name", ["flip_flop", "sine_wave", "path_integration", "lorenz96"])
def test_longer_trials_are_all_outside_training(name):
    outside, papers = (drawn(1, 0.0, f"task={name}", outside=flag) for flag in (True, False))
    assert torch.equal(outside.inputs, papers.inputs)
    assert papers.inputs.shape[-2] > build(f"task={name}").task.n_steps


def test_the_task_as_trained_has_no_trials_outside_training():
    with pytest.raises(
        BadInputError, match="outside_training of further_ood must be true or false, and false"
    ):
        drawn(0, 0.1, outside=True)


def test_noise_scales_with_each_input_and_spares_targets():
    clean, noisy = (drawn(0, noise, "task=sine_wave", "task.channels=2") for noise in (0.0, 0.1))
    assert torch.equal(clean.targets, noisy.targets)
    noise = noisy.inputs - clean.inputs
    share = noise.std(dim=(0, 1, 2)) / clean.inputs.std(dim=(0, 1, 2))
    assert share.tolist() == pytest.approx([0.1, 0.1], rel=0.1)
    assert abs(float(noise.mean())) < 0.1 * float(clean.inputs.std())


def test_conditions_are_named():
    options = {"doublings": 1, "input_noise": 0.5, "outside_training": False}
    node = {"_target_": "analysis.trials.ExtraOOD", **options}
    assert build_further_ood({"mine": node}) == {"mine": ExtraOOD(**options)}
    with pytest.raises(BadInputError, match=r"further_ood.mine.doublings is missing"):
        build_further_ood({"mine": {name: value for name, value in node.items() if name != "doublings"}})
    with pytest.raises(BadInputError, match="name in further_ood must be made of"):
        build_further_ood({"settled": node})


@pytest.mark.parametrize("task", ["flip_flop", "delayed_discrimination", "path_integration"])
def test_the_loss_of_many_trials_is_that_of_all_at_once(task):
    condition = build(f"task={task}", "width=6", "dtype=float64")
    network = networks(condition, torch.float64)[0]
    trials = TrialSet(n_trials=1100, seed=3).draw(condition.task, "test trials", torch.float64)
    squares = (condition.model(network.weights, trials) - trials.targets).square().mean(dim=-1)
    weights = torch.ones_like(squares) if trials.mask is None else trials.mask
    whole = float((squares * weights).sum() / weights.sum())
    assert mean_loss(condition.model, network.weights, trials).item() == pytest.approx(whole, rel=1e-12)


# Feature learning -------------------------------------------------------------------------------------------


def networks(condition: Condition, dtype: torch.dtype = torch.float32) -> list[TrainedNetwork]:
    """Two networks whose final weights are drawn afresh."""
    initial, final = (
        condition.model.initialize(condition.task, Stream.named(seeds, "weights", dtype=dtype))
        for seeds in ((0, 1), (7, 8))
    )

    def slice_member(weights: Parameters, index: int) -> Parameters:
        return {name: value[index : index + 1] for name, value in weights.items()}

    history = History([1.0], [0.0], [0.1], [1.0], [0.5], [0.0])
    return [
        TrainedNetwork(
            i,
            "converged",
            "",
            slice_member(initial, i),
            slice_member(final, i),
            slice_member(final, i),
            history,
        )
        for i in (0, 1)
    ]


def cosine(first: torch.Tensor, second: torch.Tensor) -> float:
    return torch.cosine_similarity(first.flatten(), second.flatten(), dim=0).item()


@pytest.mark.parametrize("parameterization", ["standard", "mup"])
def test_alignments_of_networks_are_brute_forces(parameterization):
    condition = build(
        "task=path_integration",
        "task.start=hidden_state",
        "task.n_steps=8",
        f"parameterization={parameterization}",
        "width=6",
    )
    model = condition.model
    probe = KernelProbe(n_trials=3, n_times=2, weights=["recurrent", "encoder"], seed=5)
    trials = TrialSet(n_trials=3, seed=5).draw(condition.task, "kernel probe", torch.float64)
    assert probe.times(8) == [3, 7]

    def unrolled(probed: Parameters, others: Parameters) -> tuple[torch.Tensor, torch.Tensor]:
        weights = others | probed
        hidden = model.unroll(weights, trials)  # the plain loop over `Model.step`
        return model.readout(weights, hidden)[0][:, [3, 7]].flatten(), hidden

    def both(weights: Parameters) -> tuple[torch.Tensor, torch.Tensor]:
        exact = {name: value.double() for name, value in weights.items()}
        probed = {name: exact[name] for name in probe.weights}
        rows, hidden = jacrev(unrolled, has_aux=True)(probed, exact)
        jacobian = torch.cat([rows[name].flatten(1) for name in probe.weights], dim=1)
        samples = hidden.flatten(0, 2)
        return jacobian @ jacobian.mT, samples @ samples.mT

    trained = networks(condition)
    for network, result in zip(trained, compute_alignments(condition, trained, probe), strict=True):
        (kernel, gram), (kernel_after, gram_after) = both(network.initial), both(network.weights)
        assert result["kernel_alignment"] == pytest.approx(cosine(kernel, kernel_after), rel=1e-9)
        assert result["representation_alignment"] == pytest.approx(cosine(gram, gram_after), rel=1e-9)


# DSA with inputs --------------------------------------------------------------------------------------------


def driven(rotation: torch.Tensor, angle: float, trials: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    """States (trials, 30, 3) of h' = A h + D u in other coordinates, and inputs (trials, 30, 3)."""
    inputs = torch.randn(trials, 30, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    turn = torch.tensor([[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0]])
    a = 0.8 * torch.cat([turn, torch.tensor([[0, 0, 1.0]])]).double()
    states, state = [], torch.zeros(trials, 3, dtype=torch.float64)
    for now in inputs.unbind(dim=1):
        state = state @ a.mT + now
        states.append(state)
    return torch.stack(states, dim=1) @ rotation.mT, inputs


def test_dsa_with_inputs_ignores_coordinates():
    rotation = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(1)).double())[0]
    plain = torch.eye(3, dtype=torch.float64)
    (first, inputs), (same, _), (other, _) = driven(plain, 0.6), driven(rotation, 0.6), driven(plain, 1.5)
    metric = DSA(
        score="angular",
        lowest_lag=1,
        highest_lag=1,
        ranks=[3],
        variance=1.0,
        components="most",
        held_out=0.25,
        controlled=True,
        seed=0,
    )
    hidden = torch.stack([first, same, other])
    curve = metric.select(hidden)
    result = metric.distances({"hidden": hidden, "inputs": inputs}, metric.selected(curve))
    distances, null = result.matrix, result.halves.within
    assert distances[0, 1] < 1e-3
    assert distances[0, 2] > 0.2
    assert null.shape == (3,)
    # Without noise, both halves of the trials give the same operator but for their whitening.
    assert (null < 0.5 * distances[0, 2]).all()
    assert np.isfinite(curve["aic"]).all()
