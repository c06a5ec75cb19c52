"""The commands of docs/tutorials/slurm.md print on a real SLURM what the page shows."""

from __future__ import annotations

import re

import pytest

from tests.login import Login
from tests.pages import read_blocks, run_shell, write_files

pytestmark = pytest.mark.slurm

PAGE = "tutorials/slurm.md"
REPEATED = (
    (r"(?m)^ *state +condition .*$", "state condition"),
    (r"(?m)^ *(\w+) +(flip_flop/\S+) +(\d+).*$", r"\1 \2 \3"),
    (r"\(/\S+/((?:runs|results)/)", r"(/\1"),
    (r"\d{4}-\d\d-\d\d[_T][\d:-]{8}", "DATE"),
    (r"jobs [\d, ]+ \(", "jobs ("),
    (r"batch job \d+", "batch job"),
    (r"about [\d.e-]+ device", "about device"),
    # Messages of SLURM about a killed job.
    (r"(?m)^  (?:CANCELLED|srun|slurmstepd).*\n", ""),
    # Values and outcomes of an analysis may depend on the CPU.
    (r"(?m)^  (N-bit flip-flop, .*?): .*$", r"\1"),
    (r"(?m)^(?:changes|no effect seen|cannot be told):\n", ""),
)
"""Patterns of what differs between two runs of the page, and their replacements."""


def essence(printed: str) -> list[str]:
    """Return the lines without job numbers, dates, progress and values."""
    for pattern, replacement in REPEATED:
        printed = re.sub(pattern, replacement, printed)
    return printed.strip().splitlines()


def read_steps() -> list[tuple[list[str], str]]:
    """Return the commands of each block of shell code, and the output that the page shows below it."""
    blocks = read_blocks(PAGE, "sh|text")
    assert [language for language, _ in blocks] == ["sh", "text"] * (len(blocks) // 2)
    return [(blocks[i][1].splitlines(), blocks[i + 1][1]) for i in range(0, len(blocks), 2)]


def run(line: str, login: Login, numbers: dict[str, str]) -> str:
    """Run a line with the job numbers of this cluster, and return what it prints."""
    if line == "# the node dies":
        login.wait("a job runs", lambda: "RUNNING" in login.jobs().values())
        login.cluster.kill_node()
        return ""
    if line == "# the node returns":
        login.cluster.start_node()
        return ""
    line = re.sub(r"\b(\d+)(?=_\d+$)", lambda match: numbers[match[1]], line)
    return run_shell(line, login.workspace, login.environment).stdout


def job_number(printed: str) -> str | None:
    """Return the number of the job array that a command has submitted."""
    match = re.search(r"submitted: jobs (\d+) ", printed)
    return match[1] if match else None


def assert_prints(login: Login, numbers: dict[str, str], commands: list[str], shown: str) -> str:
    """Assert that commands print what the page shows, and return it. A state may take a while."""
    *first, last = commands
    expected = essence(shown)
    start = "".join(run(line, login, numbers) for line in first)
    printed = ""

    def is_as_shown() -> bool:
        nonlocal printed
        printed = start + run(last, login, numbers)
        # `--watch` prints the table at every change, and the page shows the last one.
        return sorted(essence(printed)[-len(expected) :]) == sorted(expected)

    if "status" in last and "--watch" not in last:
        login.wait(f"{last} prints {expected}", is_as_shown)
    else:
        assert is_as_shown(), printed
    return printed


def test_the_page_prints_what_it_shows(login):
    write_files(PAGE, login.workspace)
    numbers: dict[str, str] = {}
    steps = read_steps()
    assert len(steps) == 14
    for commands, shown in steps:
        printed = assert_prints(login, numbers, commands, shown)
        if (number := job_number(shown)) is not None:
            numbers[number] = job_number(printed) or ""
    assert (login.workspace / "results/richness/report.html").exists()
