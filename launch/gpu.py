"""What to do with a CUDA machine that is there for half an hour (`make gpu`).

python -m launch.gpu --experiments demo --minutes 25 --export export

Stages: machine, tests, benchmarks, then train and analyse for each experiment. Each is a process of its own
with a deadline; one that fails does not keep the next from starting. Tables and small files go to the export
folder, with a note of what is done: the same command, the folder carried along, goes on with what is left. It
needs no network and no installation; packages that are missing may be carried as wheels. Without a CUDA
device everything runs on the CPU, the benchmarks at a tiny size.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import NoReturn

from launch.paths import CONF, PROJECT_ROOT
from launch.stages import Stages

# Of the time that is left: for tests, for each benchmark, and for an experiment's training (the rest is for
# its analysis).
_SHARES = {"tests": 0.4, "benchmark": 0.3, "train": 0.75, "analyse": 1.0}
_LARGEST_FILE = 4 * 2**20
_DESCRIBE = """
import json, platform, torch
cuda = torch.cuda.is_available()
card = torch.cuda.get_device_properties(0) if cuda else None
print(json.dumps({
    "card": card.name if card else None,
    "card_bytes": torch.cuda.mem_get_info(0)[1] if card else None,
    "free_bytes": torch.cuda.mem_get_info(0)[0] if card else None,
    "torch": torch.__version__, "cuda": torch.version.cuda, "python": platform.python_version(),
}))
"""


def refuse(sentence: str) -> NoReturn:
    """End the process, as every entry point does on bad input."""
    print(f"error: {sentence}", file=sys.stderr)
    sys.exit(2)


def missing_packages() -> list[str]:
    """Requirements of `pyproject.toml` that this Python does not meet, and that of the tests, pytest."""
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]
    tests = [text for text in project["optional-dependencies"]["dev"] if text.startswith("pytest>=")]
    return [text for text in [*project["dependencies"], *tests] if not _met(text)]


def _met(requirement: str) -> bool:
    name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    try:
        from packaging.requirements import Requirement
    except ImportError:  # then its presence must do
        return True
    return Requirement(requirement).specifier.contains(version, prereleases=True)


def install_wheels(wheels: Path, place: Path) -> None:
    """Unpack every wheel of a folder into `place`, without a look at the network."""
    files = sorted(str(file) for file in wheels.glob("*.whl"))
    if not files:
        refuse(f"wheels must be a folder with wheels, got {wheels}.")
    shutil.rmtree(place, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-compile"]
    subprocess.run([*pip, "--target", str(place), *files], check=True)


def require_packages() -> None:
    """End the process where packages are missing."""
    missing = missing_packages()
    if missing:
        refuse(
            f"these packages are missing in {sys.executable}: {', '.join(missing)}; "
            "install them, or carry their wheels in a folder and name it (make gpu WHEELS=folder)."
        )


def describe_machine(export: Path, environment: dict[str, str]) -> dict:
    """Card, torch, Python: printed, stored and returned."""
    described = subprocess.run(
        [sys.executable, "-c", _DESCRIBE], env=environment, capture_output=True, text=True, check=True
    )
    machine: dict = json.loads(described.stdout)
    machine["cores"] = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    export.mkdir(parents=True, exist_ok=True)
    (export / "machine.json").write_text(json.dumps(machine, indent=2) + "\n")
    card = "no CUDA device: everything runs on the CPU"
    if machine["card"]:
        free, whole = machine["free_bytes"] / 2**30, machine["card_bytes"] / 2**30
        card = f"{machine['card']}, {free:.0f} of {whole:.0f} GiB free, CUDA {machine['cuda']}"
    print(f"== machine: {card}; torch {machine['torch']}, Python {machine['python']}", flush=True)
    return machine


def export_results(results: Path, runs: Path, export: Path) -> None:
    """Copy tables, matrices, figures and records that are not large; activations and weights stay."""
    for source, name in ((results, "results"), (runs, "runs")):
        for file in sorted(source.rglob("*")):
            wanted = name == "results" or file.name in ("manifest.json", "condition.yaml")
            kept = wanted and "activations" not in file.parts and file.is_file()
            if kept and file.stat().st_size <= _LARGEST_FILE:
                target = export / name / file.relative_to(source)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)


def main() -> None:
    """The command line."""
    started = time.monotonic()
    parser = argparse.ArgumentParser(prog="python -m launch.gpu", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--experiments", default="demo", help="names in conf/experiment, in order")
    parser.add_argument("--overrides", default="", help="of every condition, as for launch.train")
    parser.add_argument("--minutes", type=float, default=25.0, help="until the session must end")
    parser.add_argument("--export", type=Path, default=Path("export"), help="folder for what is to be kept")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of run folders")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of results")
    parser.add_argument("--wheels", type=Path, help="folder of wheels to use, for a machine without network")
    given = parser.parse_args()
    if not given.minutes > 0:
        refuse(f"minutes must be a number above 0, got {given.minutes:g}.")
    experiments, overrides = re.split(r"[\s,]+", given.experiments.strip(", ")), given.overrides.split()
    known = sorted(file.stem for file in (CONF / "experiment").glob("*.yaml"))
    for name in experiments:
        if name not in known:
            refuse(f"experiments must be among {', '.join(known)}, got {name!r}.")
    export, runs, results = given.export.resolve(), given.runs.resolve(), given.results.resolve()

    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    # Its stages are ended here, by SIGTERM, which training in a job of SLURM takes for SLURM's warning.
    environment.pop("SLURM_JOB_ID", None)
    if given.wheels:
        site = PROJECT_ROOT / "build" / "site"
        install_wheels(given.wheels.resolve(), site)
        sys.path.insert(0, str(site))
        environment["PYTHONPATH"] = os.pathsep.join([str(site), environment.get("PYTHONPATH", "")]).strip(":")
    require_packages()
    try:
        keys = {name: _key(name, overrides) for name in experiments}
    except ValueError as error:  # a BadInputError, whose module needs torch
        refuse(str(error))
    machine = describe_machine(export, environment)
    # Wheels and first imports take a minute of it on a machine that has just been started.
    stages = Stages(export, given.minutes - (time.monotonic() - started) / 60, environment)
    # Whoever lends the machine may end the session: as Ctrl-C does, with its stage and with a summary.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _measure(stages, export, on_cuda=machine["card"] is not None)
        for name in experiments:
            _experiment(stages, name, keys[name], overrides, runs, results)
            export_results(results, runs, export)
    finally:
        (export / "summary.txt").write_text(stages.summary() + "\n")
        print(stages.summary(), flush=True)
        print(f"everything to keep is in {export}", flush=True)
    sys.exit(0 if stages.complete else 1)


def _measure(stages: Stages, export: Path, *, on_cuda: bool) -> None:
    """Tests and benchmarks."""
    from launch.session import digest, sources

    parts = (
        sources(PROJECT_ROOT / part, ".yaml") for part in ("degen", "launch", "analysis", "tests", "conf")
    )
    key = digest([file for files in parts for file in files])

    # Names of tests (-q is set) and where one hangs: whoever reads the log may not have the machine any more.
    told = ("-vv", "--tb=short", "-o", "faulthandler_timeout=60")
    pytest = ("-m", "pytest", "-m", "gpu", "tests/gpu", "-p", "no:cacheprovider", *told)
    if not stages.done_before("tests", key):
        stages.run("tests", key, _SHARES["tests"], *pytest)
    device = ("--device", "cuda") if on_cuda else ("--device", "cpu", "--tiny")
    for name in ("gpu", "scaling"):
        arguments = ("-m", f"tests.benchmarks.{name}", *device, "--export", str(export))
        if not stages.done_before(f"benchmark {name}", key):
            stages.run(f"benchmark {name}", key, _SHARES["benchmark"], *arguments)


def _key(name: str, overrides: list[str]) -> str:
    """Of what an experiment asks for: its conditions and their seeds.

    Raises:
        BadInputError: an override is not allowed.
    """
    from launch.conditions import experiments

    each = experiments(name, overrides)
    asked = [[one.name, one.seeds, [condition.signature for condition in one.conditions]] for one in each]
    return hashlib.sha256(json.dumps([overrides, asked]).encode()).hexdigest()[:12]


def _experiment(stages: Stages, name: str, key: str, overrides: list[str], runs: Path, results: Path) -> None:
    """Train all conditions of an experiment, one after the other, and analyse those that are there."""
    train, analyse = f"train {name}", f"analyse {name}"
    if stages.done_before(analyse, key):
        return
    chosen = (f"experiment={name}", f"runs={runs}")
    trained = stages.run(train, key, _SHARES["train"], "-m", "launch.train", *chosen, *overrides)
    same = (f"results={results}", f"overrides={json.dumps(overrides)}")
    if stages.run(analyse, key, _SHARES["analyse"], "-m", "analysis", *chosen, *same) and not trained:
        stages.note(analyse, key, "left", "of the conditions that are trained; again when all are")


if __name__ == "__main__":
    main()
