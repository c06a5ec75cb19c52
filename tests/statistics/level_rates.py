"""Simulated rates of the comparison of two levels.

Prints the table of docs/statistics.md: python -m tests.statistics.level_rates
"""

from __future__ import annotations

import numpy as np

from degen.statistics import Bootstrap, LevelDifference, compare_levels

Array = np.ndarray
BOOTSTRAP = Bootstrap(n_samples=1, level=0.95, seed=0)


def distances(points: Array) -> Array:
    return np.linalg.norm(points[:, None] - points, axis=-1)


def levels(
    random: np.random.Generator,
    n: int,
    *,
    shift: float = 0.0,
    scale: float = 1.0,
    shared: float = 0.0,
    skewness: float = 0.0,
) -> Array:
    """Return distances of networks of two levels.

    Args:
        random: source of the networks, points in three dimensions.
        n: networks per level.
        shift: distance of the levels along each axis.
        scale: factor of the scatter of the second level.
        shared: fraction of the variance that networks of equal seed share.
        skewness: sigma of a log-normal factor of each network's distance from the center.
    """
    seeds = random.standard_normal((n, 3))
    groups = [
        (shared**0.5 * seeds + (1 - shared) ** 0.5 * random.standard_normal((n, 3)))
        * np.exp(skewness * random.standard_normal((n, 1)))
        for _ in range(2)
    ]
    return distances(np.concatenate([groups[0], shift + scale * groups[1]]))


def compare(
    matrix: Array, *, shares_seeds: bool = True, name: str = "test", n_permutations: int = 199
) -> LevelDifference:
    n = len(matrix) // 2
    seeds = range(n), range(n) if shares_seeds else range(n, 2 * n)
    return compare_levels(matrix, seeds, BOOTSTRAP, n_permutations, name)


CASES: dict[str, dict[str, float]] = {
    "levels do not differ": {},
    "levels do not differ, log-normal 1": {"skewness": 1.0},
    "levels do not differ, seeds share half of the variance": {"shared": 0.5},
    "centers are one standard deviation apart (power)": {"shift": 3**-0.5},
    "centers are two standard deviations apart (power)": {"shift": 2 * 3**-0.5},
    "one level scatters twice as much (power)": {"scale": 2.0},
}
"""Distances of the simulated levels. Networks have a standard deviation of one along each axis."""


def rates(case: str, n: int, runs: range) -> tuple[float, float, float]:
    """Return the fractions of p <= 0.05 and of ratio intervals above 1, and the median ratio."""
    results = [compare(levels(np.random.default_rng(run), n, **CASES[case]), name=str(run)) for run in runs]
    separated = np.mean([result.p <= 0.05 for result in results])
    excluded = np.mean([result.ratio.low > 1 for result in results])
    return float(separated), float(excluded), float(np.median([result.ratio.value for result in results]))


def main(n_runs: int = 1000) -> None:
    """Print percentages for 8 and 16 networks per level."""
    print(
        "| levels | p \u2264 0.05, n = 8 | n = 16 | interval of the ratio above 1, n = 8 | n = 16 "
        "| median ratio |"
    )
    print("|---|---|---|---|---|---|")
    for case in CASES:
        few, many = (rates(case, n, range(n_runs)) for n in (8, 16))
        cells = [f"{100 * value:.1f}" for value in (few[0], many[0], few[1], many[1])]
        print(f"| {case} | {' | '.join(cells)} | {many[2]:.2f} |", flush=True)


if __name__ == "__main__":
    main()
