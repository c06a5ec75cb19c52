"""Pairs of linear systems with equal or different dynamics, to compare forms of DSA.

Prints the table of docs/metrics.md: python -m tests.metrics.planted_pairs
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from degen.metrics import dsa
from degen.metrics.dsa.distances import paired_distances
from tests.metrics.dsa_systems import rotations

UNITS, TRIALS, STEPS, BURN_IN, NOISE = 12, 128, 60, 60, 0.1


@dataclasses.dataclass(frozen=True)
class System:
    """x' = A x + B (u + noise), observed through a random rotation into `UNITS` units.

    Attributes:
        a, b: A and B, (n, n).
        scale: standard deviation of each input u, (n,).
        persistence: correlation of an input with its value in the previous step.
    """

    a: Tensor
    b: Tensor
    scale: Tensor
    persistence: float = 0.0

    @classmethod
    def of_covariance(cls, a: Tensor, covariance: Tensor) -> System:
        """Return the system with stationary covariance `covariance`, driven by white inputs."""
        values, axes = torch.linalg.eigh(covariance - a @ covariance @ a.mT)
        assert values.min() > 0, "no white inputs give this covariance"
        return cls(a, (axes * values.sqrt()) @ axes.mT, torch.ones(len(a), dtype=a.dtype))

    def sample(self, seed: int) -> tuple[Tensor, Tensor]:
        """Return states (TRIALS, STEPS, UNITS) and inputs (TRIALS, STEPS, n)."""
        generator, n = torch.Generator().manual_seed(seed), len(self.a)
        shape = TRIALS, BURN_IN + STEPS, n
        white, noise = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
        fresh = (1 - self.persistence**2) ** 0.5
        state, drive = torch.zeros(TRIALS, n, dtype=torch.float64), white[:, 0]
        states, inputs = [], []
        for t in range(BURN_IN + STEPS):
            drive = self.persistence * drive + fresh * white[:, t]
            state = state @ self.a.mT + (drive * self.scale + NOISE * noise[:, t]) @ self.b.mT
            states.append(state)
            inputs.append(drive * self.scale)
        embedding = rotations(1, UNITS, seed)[0][:n]
        return torch.stack(states[BURN_IN:], 1) @ embedding, torch.stack(inputs[BURN_IN:], 1)


def _diagonal(*values: float) -> Tensor:
    return torch.diag(torch.tensor(values, dtype=torch.float64))


def _spiral(angle: float, radius: float) -> Tensor:
    """Return rotations by `angle` per step in two planes."""
    turn = torch.tensor([[0.0, -angle], [angle, 0.0]], dtype=torch.float64).matrix_exp()
    return radius * torch.block_diag(turn, turn)


def _rate(seed: int, low: float, high: float) -> float:
    return float(np.random.default_rng(seed).uniform(low, high))


def _mixed(seed: int) -> Tensor:
    """Return a random stable A (4, 4) with slow and fast, partly rotating modes."""
    basis = torch.eye(4, dtype=torch.float64) + 0.3 * rotations(1, 4, seed)[0]
    a = torch.block_diag(_spiral(0.3, _rate(seed, 0.85, 0.95))[:2, :2], _diagonal(0.9, 0.5))
    return basis @ a @ torch.linalg.inv(basis)


def other_inputs(seed: int) -> tuple[System, System]:
    a, b = _mixed(seed), rotations(1, 4, seed + 1)[0]
    scale = torch.tensor([1.0, 1.0, 1.0, 1.0], dtype=torch.float64)
    other = torch.tensor([2.0, 1.0, 1.0, 0.5], dtype=torch.float64)
    return System(a, b, scale), System(a, b, other, persistence=0.3)


def weak_direction(seed: int) -> tuple[System, System]:
    """A direction with 0.5 % of the variance has other dynamics."""
    covariance = _diagonal(2.0, 1.0, 0.5, 0.0175)
    first, second = _diagonal(0.95, 0.8, 0.6, 0.9), _diagonal(0.95, 0.8, 0.6, -_rate(seed, 0.3, 0.7))
    return System.of_covariance(first, covariance), System.of_covariance(second, covariance)


def spiral_or_node(seed: int) -> tuple[System, System]:
    covariance, radius = _diagonal(1.0, 1.0, 0.25, 0.25), _rate(seed, 0.9, 0.97)
    spiral, node = _spiral(0.2, radius), _diagonal(*[radius] * 4)
    return System.of_covariance(spiral, covariance), System.of_covariance(node, covariance)


def slow_rotation(seed: int) -> tuple[System, System]:
    covariance, radius = _diagonal(1.0, 1.0, 0.25, 0.25), _rate(seed, 0.96, 0.99)
    systems = [System.of_covariance(_spiral(angle, radius), covariance) for angle in (0.05, 0.15)]
    return systems[0], systems[1]


def exchanged_rates(seed: int) -> tuple[System, System]:
    """Directions of much and of little variance have exchanged their rates, at one covariance."""
    covariance, rates = _diagonal(4.0, 2.0, 1.0, 0.5), (0.98, 0.9, _rate(seed, 0.6, 0.8), 0.4)
    first, second = _diagonal(*rates), _diagonal(*rates[::-1])
    return System.of_covariance(first, covariance), System.of_covariance(second, covariance)


def line_or_plane(seed: int) -> tuple[System, System]:
    """Return a line attractor and a plane attractor with slow decay, driven by equal inputs."""
    slow, white, eye = _rate(seed, 0.96, 0.99), torch.ones(4, dtype=torch.float64), _diagonal(*[1.0] * 4)
    line, plane = _diagonal(slow, 0.6, 0.5, 0.4), _diagonal(slow, slow, 0.5, 0.4)
    return System(line, eye, white), System(plane, eye, white)


def shear(seed: int) -> tuple[System, System]:
    """Normal and non-normal dynamics with equal eigenvalues and one covariance."""
    covariance, normal = _diagonal(1.0, 0.8, 0.6, 0.4), _diagonal(0.7, 0.65, 0.6, 0.55)
    feedforward = torch.diag(torch.full((3,), _rate(seed, 0.15, 0.2), dtype=torch.float64), 1)
    sheared = System.of_covariance(normal + feedforward, covariance)
    return System.of_covariance(normal, covariance), sheared


def other_geometry(seed: int) -> tuple[System, System]:
    """An invertible linear map of the states, which DSA at full rank ignores."""
    a, b = _mixed(seed), rotations(1, 4, seed + 1)[0]
    stretch, white = _diagonal(3.0, 1.0, 1.0, 0.3), torch.ones(4, dtype=torch.float64)
    return System(a, b, white), System(stretch @ a @ torch.linalg.inv(stretch), stretch @ b, white)


Pair = Callable[[int], tuple[System, System]]

PAIRS: dict[Pair, str] = {
    other_inputs: "equal",
    weak_direction: "equal",
    spiral_or_node: "different",
    slow_rotation: "different",
    exchanged_rates: "different",
    line_or_plane: "different",
    shear: "different",
    other_geometry: "given up",
}
"""Pairs and what their dynamics are. The weighted forms give up the last invariance, so it is not counted."""

Form = Callable[[tuple[Tensor, Tensor]], Tensor]
"""Operator and input map (k, k + inputs), from states (trials, time, units) and inputs."""

_FULL_RANK = dsa.Hyperparameters(n_components=4, lag=1, rank=4)


def _weighted(form: str) -> Form:
    return lambda sample: dsa.weighted_operators([sample[0]] * 2, form=form)[0][0]


def _with_inputs(form: str) -> Form:
    def fit(sample: tuple[Tensor, Tensor]) -> Tensor:
        operators, maps = dsa.weighted_operators([sample[0]] * 2, form=form, inputs=sample[1])
        assert maps is not None
        return torch.cat([operators[0], maps[0]], dim=1)

    return fit


def _dsa(sample: tuple[Tensor, Tensor]) -> Tensor:
    return dsa.operators([sample[0]] * 2, _FULL_RANK)[0]


def _input_dsa(sample: tuple[Tensor, Tensor]) -> Tensor:
    operators, maps = dsa.controlled_operators([sample[0]] * 2, sample[1], _FULL_RANK)
    return torch.cat([operators[0], maps[0]], dim=1)


FORMS: dict[str, Form] = {
    "weighted": _weighted("map"),
    "flow": _weighted("flow"),
    "weighted, inputs apart": _with_inputs("map"),
    "flow, inputs apart": _with_inputs("flow"),
    "geometry": _weighted("geometry"),
    "dsa, lag 1": _dsa,
    "input_dsa, lag 1": _input_dsa,
}
"""Operators of the forms. The first four are eligible, the simplest first."""


def ratios(pair: Pair, form: Form, seeds: Sequence[int]) -> NDArray[np.float64]:
    """Return the distance of two systems divided by the distance of two samples of one system, for each seed.

    All operators are estimated from `TRIALS` trials, so that all distances have equal estimation errors.
    """
    first, second = (
        _pad_and_stack(
            [
                form(system.sample(1000 * seed + 10 * i + half))
                for seed in seeds
                for i, system in enumerate(pair(seed))
            ]
        )
        for half in range(2)
    )
    other = torch.arange(len(first)) ^ 1  # the other system of each pair
    distances = paired_distances(torch.cat([first, first]), torch.cat([second, second[other]]), "angular", 0)
    within, between = distances.reshape(2, -1, 2).mean(axis=2)
    return between / within


def _pad_and_stack(operators: list[Tensor]) -> Tensor:
    """Stack operators and input maps (k, k + inputs) of systems with other numbers of components."""
    size = max(map(len, operators))
    padded = []
    for operator in operators:
        k = len(operator)
        extra = size - k
        padded.append(
            torch.cat([pad(operator[:, :k], (0, extra, 0, extra)), pad(operator[:, k:], (0, 0, 0, extra))], 1)
        )
    return torch.stack(padded)


def main(n_seeds: int = 10) -> None:
    """Print the median ratio of each pair and form, and the number of correct answers of each form."""
    torch.set_num_threads(1)
    correct = dict.fromkeys(FORMS, 0)
    print("| pair | dynamics |", " | ".join(FORMS), "|")
    for pair, dynamics in PAIRS.items():
        values = {name: ratios(pair, form, range(n_seeds)) for name, form in FORMS.items()}
        cells = " | ".join(f"{np.median(ratio):.1f}" for ratio in values.values())
        print(f"| {pair.__name__} | {dynamics} | {cells} |", flush=True)
        for name, ratio in values.items():
            if dynamics != "given up":
                correct[name] += int(((ratio > 2) == (dynamics == "different")).sum())
    print(f"| correct, of {7 * n_seeds} | |", " | ".join(map(str, correct.values())), "|")


if __name__ == "__main__":
    main()
