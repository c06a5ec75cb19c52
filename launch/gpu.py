"""Session on a borrowed CUDA machine: tests, benchmarks, then experiments, within a time limit (`make gpu`).

python -m launch.gpu --experiments demo --minutes 25 --export export

Every step is a command with a share of the remaining time. A step that runs out of time receives SIGTERM, on
which training saves its networks. Training and analysis skip finished work, so the same command resumes. The
export folder receives the output of each step, tables, figures and manifests. Without a CUDA device all steps
run on the CPU, the benchmarks at a tiny size.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch

from degen.errors import require
from launch.cli import exit_on_user_error
from launch.experiment import experiments
from launch.paths import PROJECT_ROOT

_SECONDS_TO_SAVE = 30
_LARGEST_EXPORTED_FILE = 4 * 2**20


@dataclasses.dataclass(frozen=True)
class Step:
    """A command of a session.

    Attributes:
        name: name of the step, and of its log file.
        share: share of the remaining time.
        arguments: arguments of Python.
    """

    name: str
    share: float
    arguments: list[str]


def check_steps(export: Path) -> list[Step]:
    """Return the tests and benchmarks that need a CUDA device."""
    # Names of tests and where one hangs: the machine may be gone when the log is read.
    verbose = ["-vv", "--tb=short", "-o", "faulthandler_timeout=60", "-p", "no:cacheprovider"]
    device = ["--device", "cuda"] if torch.cuda.is_available() else ["--device", "cpu", "--tiny"]
    options = [*device, "--export", str(export)]
    return [
        Step("tests", 0.4, ["-m", "pytest", "-m", "gpu", "tests/gpu", *verbose]),
        Step("benchmark-gpu", 0.3, ["-m", "tests.benchmarks.gpu", *options]),
        Step("benchmark-scaling", 0.3, ["-m", "tests.benchmarks.scaling", *options]),
    ]


def experiment_steps(name: str, overrides: list[str], runs: Path, results: Path) -> list[Step]:
    """Return the training and the analysis of an experiment."""
    train = ["-m", "launch.command", "train", f"experiment={name}", f"runs={runs}", *overrides]
    analyze = ["-m", "launch.command", "analyze", f"experiment={name}", f"runs={runs}", f"results={results}"]
    analyze.append(f"overrides={json.dumps(overrides)}")
    return [Step(f"train-{name}", 0.75, train), Step(f"analyze-{name}", 1.0, analyze)]


def run_step(step: Step, seconds: float, export: Path) -> str:
    """Run a step, print its output and store it in the export folder.

    Returns:
        `done`, `failed` or `out of time`.
    """
    if seconds < 1:
        return "out of time"
    print(f"== {step.name}: {' '.join(step.arguments)} (at most {seconds / 60:.1f} min)", flush=True)
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    environment.pop("SLURM_JOB_ID", None)  # with it, training would take SIGTERM for a warning
    # timeout(1) signals the step and everything that the step has started.
    limit = ["timeout", "--signal=TERM", f"--kill-after={_SECONDS_TO_SAVE}", f"{seconds:.1f}"]
    started = time.monotonic()
    process = subprocess.Popen(
        [*limit, sys.executable, *step.arguments],
        cwd=PROJECT_ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        with open(export / f"{step.name}.log", "w") as log:
            for line in process.stdout:
                print(line, end="", flush=True)
                log.write(line)
                log.flush()
        code = process.wait()
    finally:
        process.terminate()  # after Ctrl-C: the step is in a process group of its own
        process.wait()
    return "done" if code == 0 else "failed" if time.monotonic() - started < seconds else "out of time"


def export_results(runs: Path, results: Path, export: Path) -> None:
    """Copy results and the records of training. Activations, weights and other large files are left out."""
    records = [*runs.rglob("manifest.json"), *runs.rglob("condition.yaml")]
    tables = [file for file in results.rglob("*") if file.is_file() and "activations" not in file.parts]
    for name, folder, files in (("runs", runs, records), ("results", results, tables)):
        for file in files:
            if file.stat().st_size <= _LARGEST_EXPORTED_FILE:
                target = export / name / file.relative_to(folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)


def run_session(steps: list[Step], minutes: float, runs: Path, results: Path, export: Path) -> bool:
    """Run steps one after the other, also after a failed step. Return whether all are done."""
    deadline = time.monotonic() + 60 * minutes
    export.mkdir(parents=True, exist_ok=True)
    outcomes = dict.fromkeys((step.name for step in steps), "not started")
    try:
        for step in steps:
            outcomes[step.name] = "interrupted"
            outcomes[step.name] = run_step(step, step.share * (deadline - time.monotonic()), export)
            export_results(runs, results, export)
    finally:
        export_results(runs, results, export)
        summary = "\n".join(f"{outcome:12} {name}" for name, outcome in outcomes.items())
        (export / "summary.txt").write_text(summary + "\n")
        print(f"\n{summary}\nresults and logs are in {export}", flush=True)
    return set(outcomes.values()) == {"done"}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m launch.gpu", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--experiments", default="demo", help="names in conf/experiment, in order")
    parser.add_argument("--overrides", default="", help="overrides of every condition, as for launch.train")
    parser.add_argument("--minutes", type=float, default=25.0, help="length of the session")
    parser.add_argument("--skip-checks", action="store_true", help="leave out tests and benchmarks")
    parser.add_argument("--export", type=Path, default=Path("export"), help="folder for results and logs")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of run folders")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of results")
    options = parser.parse_args()
    export, runs, results = (path.resolve() for path in (options.export, options.runs, options.results))
    overrides = options.overrides.split()
    # The machine's owner may end the session: as Ctrl-C does, with a summary.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with exit_on_user_error():
        require(options.minutes > 0, "--minutes", options.minutes, "a number above 0")
        steps = [] if options.skip_checks else check_steps(export)
        for name in re.split(r"[\s,]+", options.experiments.strip(", ")):
            experiments(name, overrides)  # raises if the name or an override is not allowed
            steps += experiment_steps(name, overrides, runs, results)
        is_complete = run_session(steps, options.minutes, runs, results, export)
    sys.exit(0 if is_complete else 1)


if __name__ == "__main__":
    main()
