"""Wall-clock seconds of the DSA distances of 50 networks, compared with dsa-metric.

python -m tests.benchmarks.dsa_clock. Our distances are measured as a whole matrix, with torch's number of
threads. Distances of dsa-metric are measured on a sample of pairs, half of it before and half after ours, on
a single thread and on torch's number of threads. The load of the machine is printed, because other work slows
both down, and most of all several threads that share a small product. Needs the extra `bench`.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from DSA.simdist import SimilarityTransformDist

from degen.metrics import dsa
from tests.benchmarks.metrics import TASKS, operator_groups, random_matrices, timed, trained

ITERATIONS = 1500


def package_seconds(a: torch.Tensor, b: torch.Tensor, threads: int, iterations: int) -> float:
    """Return the seconds of a pair, scaled up to 1500 iterations."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    model = SimilarityTransformDist(iters=iterations, lr=5e-3, score_method="angular")
    seconds = timed(lambda: model.fit_score(a.float().clone(), b.float().clone()))[1]
    torch.set_num_threads(before)
    return seconds * ITERATIONS / iterations


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/benchmark"))
    parser.add_argument("--size", type=int, default=30, help="of operators")
    parser.add_argument("--networks", type=int, default=50, help="random operators fill up the trained ones")
    parser.add_argument("--sample", type=int, default=8, help="pairs of theirs")
    parser.add_argument("--iterations", type=int, default=ITERATIONS, help="of theirs on several threads")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    groups = operator_groups(list(trained(arguments.runs, list(TASKS), 0)), [arguments.size])
    a = torch.cat([*groups.values(), random_matrices(arguments.networks, arguments.size, seed=1)])
    a = a[: arguments.networks]
    pairs = len(a) * (len(a) - 1) // 2
    cores = torch.get_num_threads()
    rivals = {1: ITERATIONS, cores: arguments.iterations}
    spent: dict[int, list[float]] = {threads: [] for threads in rivals}

    def sample(indices: range) -> None:
        for threads, iterations in rivals.items():
            spent[threads] += [package_seconds(a[i], a[-1 - i], threads, iterations) for i in indices]

    package_seconds(a[0], a[1], 1, 10)
    sample(range(arguments.sample // 2))
    work = time.process_time()
    _, ours = timed(lambda: dsa.distance_matrix(a, seed=0))
    work = time.process_time() - work
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(
        f"ours, {pairs} pairs on {cores} threads: {ours:.0f} s ({work:.0f} s of one core's work)",
        flush=True,
    )
    sample(range(arguments.sample // 2, arguments.sample))
    for threads, seconds in spent.items():
        seconds_per_pair = np.mean(seconds)
        print(
            f"theirs on {threads} threads, {len(seconds)} pairs of {rivals[threads]} iterations: "
            f"{seconds_per_pair:.1f} s a pair of {ITERATIONS} ({min(seconds):.1f}-{max(seconds):.1f}); "
            f"{pairs} pairs would take {seconds_per_pair * pairs:.0f} s: "
            f"ratio {seconds_per_pair * pairs / ours:.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
