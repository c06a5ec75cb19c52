"""Hidden states of networks that rotate slowly or fast, with weights and inputs."""

from __future__ import annotations

import numpy as np

RANDOM = np.random.default_rng(0)


def rotating(
    angle: float, n_networks: int, units: int = 5, trials: int = 30, time: int = 20, seed: int = 0
) -> list[np.ndarray]:
    """States (trials, time, units) of networks that rotate by an angle per step, in random coordinates."""
    turn = 0.98 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    random, networks = np.random.default_rng(seed), []
    for _ in range(n_networks):
        states = [random.standard_normal((trials, 2))]
        for _ in range(time - 1):
            states.append(states[-1] @ turn.T + 0.05 * random.standard_normal((trials, 2)))
        networks.append(np.stack(states, axis=1) @ random.standard_normal((2, units)))
    return networks


SLOW, FAST = rotating(0.1, 5), rotating(0.8, 5, seed=1)
WEIGHTS = RANDOM.standard_normal((5, 5, 5))
INPUTS = RANDOM.standard_normal((30, 20, 2))
