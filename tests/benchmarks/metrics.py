"""Quality and speed of the solvers against public ones, on trained networks: make bench-metrics.

Prints tables. Networks of all four tasks are trained where RUNS has none: small ones, for a few minutes, so
that path integration does not converge. Needs the extra `bench`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from DSA.simdist import SimilarityTransformDist
from scipy.optimize import quadratic_assignment

import degen
from degen.errors import BadInputError
from degen.metrics import dsa, pif
from degen.streams import Stream

TASKS = ("flip_flop", "delayed_discrimination", "sine_wave", "path_integration")
TRAINING = ("width=32", "training.batch=32", "training.max_epochs=10", "seeds=8")
PAIRS = 1225  # of 50 networks


def trained(runs: Path) -> Iterator[tuple[str, torch.Tensor, torch.Tensor]]:
    """Task, hidden states (networks, trials, time, units) and recurrent matrices (networks, n, n)."""
    for task in TASKS:
        if not list(runs.glob(f"{task}/*")):
            command = [sys.executable, "-m", "launch.train", f"task={task}", f"runs={runs}", *TRAINING]
            subprocess.run(command, check=True)
        run = degen.load(next(runs.glob(f"{task}/*")))
        trials = run.task.generate(64, Stream.named([0], "probe"))
        with torch.no_grad():
            hidden = torch.cat([run.model.unroll(network.weights, trials) for network in run.networks])
            recurrent = torch.cat([run.model.recurrent(network.weights) for network in run.networks])
        yield task, hidden.double(), recurrent.double()


def operators(hidden: torch.Tensor, size: int) -> torch.Tensor | None:
    """Operators of that size at the shortest lag that allows it, if any up to 30 does."""
    k = max(dsa.n_components(states) for states in hidden)
    for lag in range(-(-size // k), 31):
        try:
            return dsa.operators(hidden, dsa.Settings(n_components=k, lag=lag, rank=size))
        except BadInputError:
            continue
    return None


def random_matrices(count: int, n: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, n, n, generator=generator, dtype=torch.float64) / n**0.5


def some_pairs(count: int, wanted: int) -> list[tuple[int, int]]:
    """`wanted` pairs of `count` networks, spread evenly over all."""
    every = list(combinations(range(count), 2))
    return [every[index] for index in np.linspace(0, len(every) - 1, min(wanted, len(every))).astype(int)]


def package_angle(a: torch.Tensor, b: torch.Tensor) -> float:
    """dsa-metric with 1500 iterations; copies, because it normalizes its arguments in place.

    On one core: more make it slower at these sizes.
    """
    cores = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = SimilarityTransformDist(iters=1500, lr=5e-3, score_method="angular")
    angle = float(model.fit_score(a.float().clone(), b.float().clone()))
    torch.set_num_threads(cores)
    return angle


def timed(function: Callable[[], object]) -> tuple[object, float]:
    begin = time.perf_counter()
    return function(), time.perf_counter() - begin


def angles_of_copies(groups: dict[str, torch.Tensor]) -> None:
    print("\nDSA, every operator against a rotated or reflected copy of itself")
    print(f"{'operators':32s} {'cases':>6s} {'largest angle':>14s} {'below 1e-3':>11s}")
    for name, a in groups.items():
        c = torch.linalg.qr(random_matrices(len(a), a.shape[-1]))[0]
        overlap = dsa.align(a, c @ a @ c.mT, seed=0).overlap / torch.linalg.matrix_norm(a) ** 2
        angle = torch.arccos(overlap.clamp(-1, 1))
        share = (angle < 1e-3).double().mean()
        print(f"{name:32s} {len(a):6d} {angle.max():14.1e} {share:11.0%}", flush=True)


def angles_against_package(groups: dict[str, torch.Tensor], wanted: int) -> None:
    print(
        "\nDSA against dsa-metric (angular, 1500 iterations, lr 5e-3, best of both argument orders), radians"
    )
    print(
        f"{'operators':32s} {'pairs':>5s} {'ours - theirs: median':>21s} {'worst':>8s} {'<= theirs':>9s}",
        end="",
    )
    print(f" {'ours s/pair':>11s} {'theirs s/pair, one order':>24s} {'ratio':>6s}")
    everything = []
    for name, a in groups.items():
        pairs = some_pairs(len(a), wanted)
        first, second = (a[list(index)] for index in zip(*pairs, strict=True))
        members = sorted({index for pair in pairs for index in pair})
        matrix, seconds = timed(lambda a=a, members=members: dsa.distance_matrix(a[members], seed=0))
        ours = [matrix[members.index(i), members.index(j)] for i, j in pairs]
        theirs, spent = timed(
            lambda first=first, second=second: [
                min(package_angle(x, y), package_angle(y, x)) for x, y in zip(first, second, strict=True)
            ]
        )
        difference = np.array(ours) - np.array(theirs)
        everything.extend(difference)
        each = seconds / (len(members) * (len(members) - 1) / 2)
        other = spent / (2 * len(pairs))
        print(
            f"{name:32s} {len(pairs):5d} {np.median(difference):21.4f} {difference.max():8.4f} "
            f"{np.mean(difference <= 1e-6):9.0%} {each:11.3f} {other:24.2f} {other / each:6.0f}",
            flush=True,
        )
    total = np.array(everything)
    quantiles = ", ".join(f"{q:.0%} {np.quantile(total, q):+.4f}" for q in (0.01, 0.25, 0.5, 0.75, 0.99))
    print(
        f"all {len(total)} pairs: quantiles {quantiles}; worst {total.max():+.4f}; not above "
        f"{np.mean(total <= 1e-6):.1%}; not above by more than 1e-3 {np.mean(total <= 1e-3):.1%}"
    )


def permutations_against_public(groups: dict[str, torch.Tensor], wanted: int) -> None:
    print("\nPIF against SciPy's FAQ (default start) and the best non-k-opt method of procrustes, Frobenius")
    print(
        f"{'matrices':32s} {'pairs':>5s} {'ours':>8s} {'FAQ':>8s} {'procrustes':>10s} {'identity':>8s}",
        end="",
    )
    print(f" {'above any':>9s} {'s for 1,225 pairs':>18s}")
    for name, w in groups.items():
        pairs = some_pairs(len(w), wanted)
        members = sorted({index for pair in pairs for index in pair})
        where = [(members.index(i), members.index(j)) for i, j in pairs]
        matrix, seconds = timed(lambda w=w, members=members: pif.distance_matrix(w[members], seed=0))
        found = [
            np.array([distances[index] for index in where])
            for distances in (
                matrix,
                faq_matrix(w[members]),
                pif.distance_matrix(w[members], seed=0, solver="procrustes"),
                pif.unaligned_distance_matrix(w[members]),
            )
        ]
        above = int(np.sum(found[0] > np.min(found[1:], axis=0) + 1e-9))
        means = " ".join(
            f"{values.mean():{width}.3f}" for values, width in zip(found, (8, 8, 10, 8), strict=True)
        )
        each = seconds / (len(members) * (len(members) - 1) / 2)
        print(f"{name:32s} {len(pairs):5d} {means} {above:9d} {each * PAIRS:18.0f}", flush=True)


def faq_matrix(w: torch.Tensor) -> np.ndarray:
    distances = np.zeros((len(w), len(w)))
    for i, j in combinations(range(len(w)), 2):
        a, b = w[i].numpy(), w[j].numpy()
        p = quadratic_assignment(a, b, options={"maximize": True}).col_ind
        distances[i, j] = distances[j, i] = np.linalg.norm(a - b[p][:, p])
    return distances


def planted_permutations(cases: int) -> None:
    print("\nPIF, planted permutation under 30 % noise")
    for n in (32, 128, 256):
        a = random_matrices(cases, n)
        generator = torch.Generator().manual_seed(0)
        order = torch.stack([torch.randperm(n, generator=generator) for _ in range(cases)])
        row = torch.arange(cases)[:, None, None]
        noisy = a + 0.3 * random_matrices(cases, n, seed=1)
        b = noisy[row, order[:, :, None], order[:, None, :]]
        found = pif.align(a, b, seed=0).permutation
        recovered = int((order.gather(1, found) == torch.arange(n)).all(dim=1).sum())
        print(f"n = {n:3d}: found in {recovered} of {cases}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/benchmark"))
    parser.add_argument("--pairs", type=int, default=3, help="of each kind and size, against dsa-metric")
    parser.add_argument("--cases", type=int, default=20, help="planted permutations of each size")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 30], help="of operators")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    networks = list(trained(arguments.runs))
    groups = {}
    for size in arguments.sizes:
        for task, hidden, _ in networks:
            found = operators(hidden, size)
            if found is not None:
                groups[f"{task}, size {size}"] = found
        groups[f"random, size {size}"] = random_matrices(8, size)
    weights = {f"{task}, n = {w.shape[-1]}": w for task, _, w in networks}
    weights |= {f"random, n = {n}": random_matrices(8, n) for n in (32, 64, 128)}
    angles_of_copies(groups)
    planted_permutations(arguments.cases)
    permutations_against_public(weights, 10)
    angles_against_package(groups, arguments.pairs)


if __name__ == "__main__":
    main()
