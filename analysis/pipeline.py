"""The stages of one experiment's analysis, in order, each reading the files of the one before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from analysis import figures
from analysis.metrics import Metric
from analysis.results import Results, is_made_from, read_table
from analysis.steps.activations import NothingToCompareError, activations, activations_from, with_pairs
from analysis.steps.degeneracy import as_text, degeneracy
from analysis.steps.distances import matrices
from analysis.steps.feature_learning import KernelProbe, feature_learning
from analysis.steps.hyperparameters import choose
from analysis.steps.line_attractors import line_attractors
from analysis.steps.networks import Trialset, further_ood, gather
from analysis.steps.trajectories import trajectories
from degen.condition import build
from degen.errors import BadInputError, require, require_choice
from degen.files import write_atomically
from degen.locks import exclusive_lock
from degen.networks import WEIGHTS_AT
from degen.statistics.bootstrap import Bootstrap
from degen.storage import RunFolder
from launch.experiment import Experiment

REPORTED = (
    *("overrides", "weights_at", "probe", "ood", "further_ood"),
    *("feature_learning", "metrics", "bootstrap"),
)
"""Settings on which numbers depend: kept beside them."""


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
        self.settings = settings
        self.probe: Trialset = build(settings["probe"], Trialset, "probe")[1]
        self.ood: Trialset = build(settings["ood"], Trialset, "ood")[1]
        self.kernel_probe: KernelProbe = build(settings["feature_learning"], KernelProbe, "feature_learning")[
            1
        ]
        require_choice("weights_at", settings["weights_at"], WEIGHTS_AT)
        self.weights_at: str = settings["weights_at"]
        self.further_ood = further_ood(settings["further_ood"])
        self.bootstrap: Bootstrap = build(settings["bootstrap"], Bootstrap, "bootstrap")[1]
        lost = ", ".join(settings.get("metric", {}))
        require(not lost, "a file of metric", lost, "begun with the line # @package metrics.<name>")
        self.metrics = {name: _metric(name, node) for name, node in settings["metrics"].items()}
        self.runs = Path(settings["runs"])
        self.results = Results(Path(settings["results"]) / experiment.name)
        for condition in experiment.conditions:
            self.kernel_probe.require_fits(condition)

    def has_pairs(self) -> bool:
        """Whether two networks of one of the experiment's own conditions are finished."""
        folders = [RunFolder.of(self.runs, condition) for condition in self.experiment.swept]
        return any(len(set(folder.finished_seeds()) & set(self.experiment.seeds)) >= 2 for folder in folders)

    def prepare(self) -> tuple[Experiment, pd.DataFrame]:
        """Gather, store activations and what is measured on single networks.

        Returns:
            The experiment with the conditions that have pairs only, and the table of networks.
        """
        table = gather(
            self.experiment,
            self.runs,
            self.results,
            self.ood,
            self.further_ood,
            self.weights_at,
            self.settings["overrides"],
        )
        kept = with_pairs(self.experiment, table)
        # From here on, stopped or refused, it leaves files of two analyses.
        self.results.begin()
        activations(kept, self.runs, self.results, table, self.probe, self.weights_at)
        aligned = feature_learning(kept, self.runs, self.results, table, self.kernel_probe, self.weights_at)
        return kept, aligned

    def prepared(self) -> Experiment | None:
        """What `prepare` returned first, from its files; None where it has not stored them all."""
        # The table as it was prepared: several jobs measure at once, and none of them writes it.
        table = read_table(self.results.networks)
        if table is None or "network" not in table:  # not there, or of an earlier version
            return None
        try:
            kept = with_pairs(self.experiment, table)
        except NothingToCompareError:
            return None
        is_whole = all(
            is_made_from(self.results.activations(c.signature), activations_from(table, c, self.probe))
            for c in kept.conditions
        )
        return kept if is_whole else None

    def measure(self, only: str) -> None:
        """After `prepare` and `chosen`, store the matrices of the condition of that signature."""
        kept = self.prepared()
        assert kept is not None, "prepare comes first"
        self.results.begin()
        rejected = matrices(kept, self.results, self.metrics, only)
        if rejected:
            raise rejected[0]

    def finish(self, kept: Experiment, table: pd.DataFrame) -> None:
        """After `prepare` and `chosen`, every other stage, each skipping what is there.

        Args:
            kept, table: what `prepare` returned.

        Raises:
            BadInputError: a metric cannot measure a condition. Everything else is measured.
        """
        rejected = matrices(kept, self.results, self.metrics)
        found = degeneracy(self.experiment, self.results, table, list(self.metrics), self.bootstrap)
        used = yaml.safe_dump({name: self.settings[name] for name in REPORTED}, sort_keys=False)
        if not self.results.settings.exists() or self.results.settings.read_text() != used:
            write_atomically(self.results.settings, used.encode())
        print(f"\n{as_text(found, self.bootstrap.level)}\n", flush=True)
        if self.experiment.trajectories:
            lines = line_attractors(kept, self.runs, self.results, table, self.weights_at)
            trajectories(kept, self.runs, self.results, table, self.probe, lines, self.weights_at)
        for path in figures.draw_all(self.experiment, self.results):
            print(f"figure: {path}", flush=True)
        self.results.end()
        if rejected:
            raise rejected[0]


def _metric(name: str, node: Any) -> tuple[dict[str, Any], Metric]:
    """Completed configuration and metric, which does not know its name: it may have several."""
    field = f"metrics.{name}"
    try:
        return build(node, Metric, field)
    except BadInputError as error:
        if str(error).startswith(field):
            raise
        raise BadInputError(f"{field}.{error}") from None


def run(every: Sequence[Analysis]) -> None:
    """All stages of several experiments, analysed together: settings are chosen on the networks of all.

    Raises:
        BadInputError: one of them cannot be measured; the others are then.
    """
    prepared: list[tuple[Analysis, Experiment, pd.DataFrame]] = []
    refused: list[BadInputError] = []
    for analysis in every:
        try:
            prepared.append((analysis, *analysis.prepare()))
        except BadInputError as error:
            is_last = analysis is every[-1] and not prepared
            if is_last or not isinstance(error, NothingToCompareError):
                refused.append(error)
            if len(every) > 1:
                print(f"left out: {analysis.experiment.name}, {error}", flush=True)
    if prepared:
        # Another analysis that would choose in the same folder waits, and then takes this choice.
        with exclusive_lock(every[0].results.path.parent, "results"):
            refused += chosen([(analysis, kept) for analysis, kept, _ in prepared], every)
    for analysis, kept, table in prepared:
        try:
            analysis.finish(kept, table)
        except BadInputError as error:
            refused.append(error)
            if len(every) > 1:
                print(f"not measured: {analysis.experiment.name}, {error}", flush=True)
    if refused:
        raise refused[0]


def chosen(
    prepared: Sequence[tuple[Analysis, Experiment]], takers: Sequence[Analysis]
) -> list[BadInputError]:
    """Choose hyperparameters on the prepared experiments, for those that are measured next."""
    if not prepared:
        return []
    first, places = prepared[0][0], [(kept, one.results) for one, kept in prepared]
    return choose(places, first.metrics, first.probe, [one.results for one in takers])


def trained(every: Sequence[Analysis], name: str) -> list[Analysis]:
    """Those of the experiments of that name that have something to compare; the others are named.

    Raises:
        BadInputError: none has.
    """
    # A single one says itself what it lacks.
    kept = [analysis for analysis in every if len(every) == 1 or analysis.has_pairs()]
    for analysis in every:
        if analysis not in kept:
            which = analysis.experiment.name
            print(f"left out: {which}, no condition has two finished networks", flush=True)
    require(kept != [], "experiment", name, f"one with finished networks below {every[0].runs}")
    return kept
