"""The stages of an experiment's analysis in order: gather, activations, matrices, degeneracy, figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from analysis import figures
from analysis.activations import activations, require_pairs
from analysis.degeneracy import as_text, degeneracy
from analysis.gather import Trialset, gather
from analysis.matrices import Metric, matrices
from analysis.results import Results
from analysis.statistics import Bootstrap
from degen.condition import build
from launch.conditions import Experiment


class Analysis:
    """What settings name, built and checked.

    Args:
        experiment: what is analyzed.
        settings: `conf/analyze.yaml`, resolved.

    Raises:
        BadInputError: a setting is not allowed.
    """

    def __init__(self, experiment: Experiment, settings: dict[str, Any]):
        self.experiment = experiment
        self.probe: Trialset = build(settings["probe"], Trialset, "probe")[1]
        self.ood: Trialset = build(settings["ood"], Trialset, "ood")[1]
        self.bootstrap: Bootstrap = build(settings["bootstrap"], Bootstrap, "bootstrap")[1]
        self.metrics = {
            name: build(node, Metric, f"metrics.{name}") for name, node in settings.get("metrics", {}).items()
        }
        self.runs = Path(settings["runs"])
        self.results = Results(Path(settings["results"]) / experiment.name)

    def prepare(self) -> pd.DataFrame:
        """Gather, and store activations; the table of networks."""
        table = gather(self.experiment, self.runs, self.results, self.ood)
        require_pairs(self.experiment, table)
        activations(self.experiment, self.runs, self.results, table, self.probe)
        return table

    def measure(self, only: str | None = None) -> None:
        """Store the distance matrices of all conditions, or of that of one signature."""
        matrices(self.experiment, self.results, self.metrics, only)

    def run(self) -> None:
        """Every stage, each skipping what is there."""
        table = self.prepare()
        self.measure()
        found = degeneracy(self.experiment, self.results, table, list(self.metrics), self.bootstrap)
        print(f"\n{as_text(found, self.bootstrap.level)}\n", flush=True)
        for path in figures.draw_all(self.experiment, self.results):
            print(f"figure: {path}", flush=True)
