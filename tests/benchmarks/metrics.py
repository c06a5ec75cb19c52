"""Quality and speed of the solvers against public ones, on trained networks: make bench-metrics.

Prints tables. Networks of all four tasks are trained where RUNS has none: small ones, for a few minutes, so
that path integration does not converge. DSA is timed on one core and in seconds of that core's work, both
sides, so that other work on the machine counts little. Needs the extra `bench`.
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
from typing import TypeVar

import numpy as np
import torch
from scipy.optimize import quadratic_assignment

import degen
from degen.errors import BadInputError
from degen.metrics import dsa, pif
from degen.streams import Stream

T = TypeVar("T")

TASKS = ("flip_flop", "delayed_discrimination", "sine_wave", "path_integration")
TABLES = ("copies", "planted", "pif", "signed", "dsa")
TRAINING = ("width=32", "training.batch_size=32", "training.max_epochs=10", "seeds=8")
PAIRS = 1225  # of 50 networks


def trained(runs: Path, tasks: list[str], skip: int) -> Iterator[tuple[str, torch.Tensor, torch.Tensor]]:
    """Task, hidden states (networks, trials, time, units) and recurrent matrices (networks, n, n)."""
    for task in tasks:
        if not list(runs.glob(f"{task}/*")):
            command = [sys.executable, "-m", "launch.train", f"task={task}", f"runs={runs}", *TRAINING]
            subprocess.run(command, check=True)
        folders = sorted(runs.glob(f"{task}/*"))
        for folder in folders:
            name = task if len(folders) == 1 else f"{task} {folder.name.split('-')[0]}"
            yield name, *_activity(degen.load(folder), skip)


def _activity(run: degen.Run, skip: int) -> tuple[torch.Tensor, torch.Tensor]:
    trials = run.task.generate(64, Stream.named([0], "probe"))
    networks = run.networks[skip:]
    with torch.no_grad():
        hidden = torch.cat([run.model.unroll(network.weights, trials) for network in networks])
        recurrent = torch.cat([run.model.recurrent(network.weights) for network in networks])
    return hidden.double(), recurrent.double()


def operators(hidden: torch.Tensor, size: int) -> torch.Tensor | None:
    """Operators of that size at the shortest lag that allows it, if any up to 30 does."""
    k = max(dsa.n_components(states) for states in hidden)
    for lag in range(-(-size // k), 31):
        try:
            return dsa.operators(hidden, dsa.Hyperparameters(n_components=k, lag=lag, rank=size))
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
    """dsa-metric with 1500 iterations; copies, because it normalizes its arguments in place."""
    from DSA.simdist import SimilarityTransformDist  # other tables run without the package

    torch.manual_seed(0)
    model = SimilarityTransformDist(iters=1500, lr=5e-3, score_method="angular")
    return float(model.fit_score(a.float().clone(), b.float().clone()))


def timed(function: Callable[[], T]) -> tuple[T, float]:
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


def on_one_core(function: Callable[[], T]) -> tuple[T, float]:
    """The result, and seconds of one core's work."""
    cores = torch.get_num_threads()
    torch.set_num_threads(1)
    begin = time.process_time()
    result, seconds = function(), time.process_time() - begin
    torch.set_num_threads(cores)
    return result, seconds


def angles_against_package(groups: dict[str, torch.Tensor], wanted: int) -> None:
    print("\nDSA against dsa-metric (angular, 1500 iterations, lr 5e-3, best of both argument orders)")
    print("differences ours - theirs in radians; seconds a pair on one core, theirs of one order")
    print(
        f"{'operators':32s} {'pairs':>5s} {'median':>8s} {'worst':>8s} {'<= theirs':>9s} "
        f"{'ours':>7s} {'theirs':>7s} {'ratio':>9s}",
        flush=True,
    )
    differences, ratios = [], []
    for name, a in groups.items():
        pairs = some_pairs(len(a), wanted)
        difference, ours, theirs = _compared(a, pairs)
        ratio = theirs / ours
        print(
            f"{name:32s} {len(pairs):5d} {np.median(difference):+8.4f} {difference.max():+8.4f} "
            f"{np.mean(difference <= 1e-6):9.0%} {ours:7.3f} {theirs.mean():7.2f} "
            f"{ratio.min():4.0f}-{ratio.max():.0f}",
            flush=True,
        )
        differences.append(difference)
        ratios.append(ratio)
    _print_quantiles(np.concatenate(differences), np.concatenate(ratios))


def _compared(a: torch.Tensor, pairs: list[tuple[int, int]]) -> tuple[np.ndarray, float, np.ndarray]:
    """Ours minus theirs of each pair, our seconds a pair, and theirs of each."""
    matrix, seconds = on_one_core(lambda: dsa.distance_matrix(a, seed=0))
    difference, spent = np.empty(len(pairs)), np.empty(len(pairs))
    for k, (i, j) in enumerate(pairs):
        both, together = on_one_core(lambda x=a[i], y=a[j]: (package_angle(x, y), package_angle(y, x)))
        difference[k] = matrix[i, j] - min(both)
        spent[k] = together / 2
    return difference, seconds / (len(a) * (len(a) - 1) / 2), spent


def _print_quantiles(difference: np.ndarray, ratio: np.ndarray) -> None:
    quantiles = ", ".join(f"{q:.0%} {np.quantile(difference, q):+.4f}" for q in (0.01, 0.25, 0.5, 0.75, 0.99))
    print(
        f"all {len(difference)} pairs: quantiles {quantiles}; worst {difference.max():+.4f}; not above "
        f"{np.mean(difference <= 1e-6):.1%}; not above by more than 1e-3 {np.mean(difference <= 1e-3):.1%}; "
        f"ratio of time {ratio.min():.0f}-{ratio.max():.0f}, median {np.median(ratio):.0f}"
    )
    print("in units of 1e-4:", *np.sort(np.round(1e4 * difference).astype(int)), flush=True)


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
        results = [
            np.array([distances[index] for index in where])
            for distances in (
                matrix,
                faq_matrix(w[members]),
                pif.distance_matrix(w[members], seed=0, solver="procrustes"),
                pif.unaligned_distance_matrix(w[members]),
            )
        ]
        above = int(np.sum(results[0] > np.min(results[1:], axis=0) + 1e-9))
        means = " ".join(
            f"{values.mean():{width}.3f}" for values, width in zip(results, (8, 8, 10, 8), strict=True)
        )
        seconds_per_pair = seconds / (len(members) * (len(members) - 1) / 2)
        print(f"{name:32s} {len(pairs):5d} {means} {above:9d} {seconds_per_pair * PAIRS:18.0f}", flush=True)


def faq_matrix(w: torch.Tensor) -> np.ndarray:
    distances = np.zeros((len(w), len(w)))
    for i, j in combinations(range(len(w)), 2):
        a, b = w[i].numpy(), w[j].numpy()
        p = quadratic_assignment(a, b, options={"maximize": True}).col_ind
        distances[i, j] = distances[j, i] = np.linalg.norm(a - b[p][:, p])
    return distances


def signs_against_none(groups: dict[str, torch.Tensor], wanted: int) -> None:
    print("\nPIF with and without signs of units, Frobenius; milliseconds a pair on one core")
    print(f"{'matrices':32s} {'pairs':>5s} {'without':>8s} {'with':>8s} {'change':>8s} {'ms':>6s} {'ms':>6s}")
    for name, w in groups.items():
        first, second = (w[list(index)] for index in zip(*some_pairs(len(w), wanted), strict=True))
        (plain, plain_s), (signed, signed_s) = (
            on_one_core(lambda a=first, b=second, s=signs: pif.align(a, b, seed=0, signs=s).distance)
            for signs in (False, True)
        )
        change = signed.mean() / plain.mean() - 1
        clock = " ".join(f"{1e3 * seconds / len(first):6.0f}" for seconds in (plain_s, signed_s))
        print(
            f"{name:32s} {len(first):5d} {plain.mean():8.3f} {signed.mean():8.3f} {change:+8.1%} {clock}",
            flush=True,
        )


def planted_permutations(cases: int) -> None:
    print("\nPIF, planted permutation under 30 % noise, without and with planted signs")
    for n in (32, 128, 256):
        a = random_matrices(cases, n)
        generator = torch.Generator().manual_seed(0)
        order = torch.stack([torch.randperm(n, generator=generator) for _ in range(cases)])
        flips = torch.randint(0, 2, (cases, n), generator=generator) * 2.0 - 1.0
        row = torch.arange(cases)[:, None, None]
        noisy = a + 0.3 * random_matrices(cases, n, seed=1)
        for signs in (False, True):
            flipped = flips[:, :, None] * noisy * flips[:, None, :] if signs else noisy
            b = flipped[row, order[:, :, None], order[:, None, :]]
            results = pif.align(a, b, seed=0, signs=signs)
            recovered = (order.gather(1, results.permutation) == torch.arange(n)).all(dim=1)
            if signs:  # up to the sign of all units, which changes no weight
                product = results.signs * flips
                recovered &= (product == product[:, :1]).all(dim=1)
            print(f"n = {n:3d}, signs {signs}: found in {int(recovered.sum())} of {cases}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/benchmark"))
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    parser.add_argument("--skip", type=int, default=0, help="first networks of each run to leave out")
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=TABLES)
    parser.add_argument("--pairs", type=int, default=3, help="of each kind and size, against public solvers")
    parser.add_argument("--cases", type=int, default=20, help="planted permutations of each size")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 30], help="of operators")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    networks = list(trained(arguments.runs, arguments.tasks, arguments.skip))
    weights = {f"{task}, n = {w.shape[-1]}": w for task, _, w in networks}
    weights |= {f"random, n = {n}": random_matrices(10, n) for n in (32, 64, 128)}
    groups = operator_groups(networks, arguments.sizes)
    tables = {
        "copies": lambda: angles_of_copies(groups),
        "planted": lambda: planted_permutations(arguments.cases),
        "pif": lambda: permutations_against_public(weights, arguments.pairs),
        "signed": lambda: signs_against_none(weights, arguments.pairs),
        "dsa": lambda: angles_against_package(groups, arguments.pairs),
    }
    for name in arguments.tables:
        tables[name]()


def operator_groups(
    networks: list[tuple[str, torch.Tensor, torch.Tensor]], sizes: list[int]
) -> dict[str, torch.Tensor]:
    groups = {}
    for size in sizes:
        for task, hidden, _ in networks:
            results = operators(hidden, size)
            if results is not None:
                groups[f"{task}, size {size}"] = results
        groups[f"random, size {size}"] = random_matrices(8, size)
    return groups


if __name__ == "__main__":
    main()
