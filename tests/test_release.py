"""The version, the changelog and the workflow of a release agree."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import yaml

import degen

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
JOBS: dict[str, Any] = yaml.safe_load((ROOT / ".github/workflows/checks.yml").read_text())["jobs"]


def test_every_file_has_the_version_of_the_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    latest = re.search(r"^## \[(.*?)\] - (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert latest is not None
    assert citation["version"] == latest[1] == degen.__version__
    assert str(citation["date-released"]) == latest[2]
    assert PROJECT["dynamic"] == ["version"]


def test_the_changelog_has_one_line_per_entry():
    text = (ROOT / "CHANGELOG.md").read_text()
    assert not re.findall(r"^  .*", text, re.MULTILINE), "an entry has a second line"
    headings = re.findall(r"^### (.*)", text, re.MULTILINE)
    assert set(headings) <= {"Added", "Changed", "Fixed", "Removed", "Old and new names"}


def test_the_workflow_runs_targets_that_exist():
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    commands = "\n".join(step.get("run", "") for job in JOBS.values() for step in job["steps"])
    called = re.findall(r"^make (\S+)", commands, re.MULTILINE)
    assert set(called) == {"lint", "test", "docs", "test-cluster"}
    assert set(called) <= set(targets)


def test_the_workflow_tests_every_supported_python():
    versions = JOBS["tests"]["strategy"]["matrix"]["python-version"]
    supported = [c.rpartition(" ")[2] for c in PROJECT["classifiers"] if ":: Python :: 3." in c]
    assert versions == supported == ["3.11", "3.12", "3.13"]
