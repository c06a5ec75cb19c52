"""The analysis of one experiment: its steps, in order. Each step reads the files of earlier steps."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import figures
from analysis.cache import read_fingerprint, read_table
from analysis.experiment_results import ExperimentResults
from analysis.manifest import Manifest, compute_checksums, read_manifest, remove_manifest, write_manifest
from analysis.metrics import build_metric
from analysis.metrics.contract import require_valid
from analysis.reporting.report import write_report
from analysis.reporting.summary import format_summary
from analysis.results import ResultsFolder
from analysis.steps.activations import (
    NothingToCompareError,
    activations_fingerprint,
    compute_activations,
    drop_unpaired_conditions,
)
from analysis.steps.between_levels import (
    LevelComparison,
    compute_between_levels,
    format_between_levels,
)
from analysis.steps.degeneracy import compute_degeneracy, format_degeneracy
from analysis.steps.distances import compute_distances
from analysis.steps.example_trials import compute_example_trials
from analysis.steps.feature_learning import KernelProbe, compute_feature_learning
from analysis.steps.line_attractors import measure_line_attractors
from analysis.steps.networks import collect_networks, finished_seeds
from analysis.steps.snapshots import compute_snapshots, parse_epochs, require_snapshots
from analysis.steps.solutions import SolutionSettings, compute_solutions
from analysis.steps.trajectories import compute_trajectories
from analysis.steps.trends import compute_trends
from analysis.trials import TrialSet, build_further_ood
from degen.condition import build
from degen.errors import require, require_choice, require_number
from degen.networks import WEIGHTS_AT
from degen.statistics import Bootstrap, PermutationTest
from degen.storage import RunFolder
from launch.experiment import Experiment

RECORDED_SETTINGS = (
    *("overrides", "weights_at", "share_hyperparameters", "probe", "ood", "further_ood"),
    *("feature_learning", "snapshots", "between_levels", "solutions", "metrics", "bootstrap"),
    *("permutation_test", "min_converged_fraction"),
)
"""Settings that the results depend on. The manifest contains them."""

logger = logging.getLogger(__name__)


class ExperimentAnalysis:
    """The analysis of one experiment.

    Args:
        experiment: the experiment.
        settings: the resolved configuration of `conf/analyze.yaml`.

    Raises:
        BadInputError: a setting is not allowed.
    """

    def __init__(self, experiment: Experiment, settings: dict[str, Any]):
        self.experiment = experiment
        self.settings = settings
        self.probe: TrialSet = build(settings["probe"], TrialSet, "probe")[1]
        self.ood: TrialSet = build(settings["ood"], TrialSet, "ood")[1]
        probe = settings["feature_learning"]
        self.kernel_probe: KernelProbe = build(probe, KernelProbe, "feature_learning")[1]
        require_choice("weights_at", settings["weights_at"], WEIGHTS_AT)
        self.weights_at: str = settings["weights_at"]
        shares = settings["share_hyperparameters"]
        require(isinstance(shares, bool), "share_hyperparameters", shares, "true or false")
        self.shares_hyperparameters: bool = shares
        self.further_ood = build_further_ood(settings["further_ood"])
        self.bootstrap: Bootstrap = build(settings["bootstrap"], Bootstrap, "bootstrap")[1]
        test = settings["permutation_test"]
        self.permutation_test: PermutationTest = build(test, PermutationTest, "permutation_test")[1]
        fraction = settings["min_converged_fraction"]
        require_number("min_converged_fraction", fraction, minimum=0.0, maximum=1.0)
        self.min_converged_fraction: float = fraction
        self.solutions: SolutionSettings = build(settings["solutions"], SolutionSettings, "solutions")[1]
        misplaced = ", ".join(settings.get("metric", {}))
        allowed = "begun with the line # @package metrics.<name>"
        require(not misplaced, "a file of metric", misplaced, allowed)
        self.metrics = {
            name: build_metric(name, node, experiment.conditions)
            for name, node in settings["metrics"].items()
        }
        between = settings["between_levels"]
        require(isinstance(between, bool), "between_levels", between, "true or false")
        self.epochs = parse_epochs(settings["snapshots"], self.metrics)
        self.runs = Path(settings["runs"])
        self.results = ResultsFolder(Path(settings["results"]) / experiment.name)
        self.previous_manifest: Manifest | None = None
        for condition in experiment.conditions:
            self.kernel_probe.require_fits(condition)
        for _, metric in self.metrics.values():
            if not type(metric).__module__.startswith("analysis."):  # a class of the user
                require_valid(metric, experiment.conditions[-1])

    def has_pairs(self) -> bool:
        """Return whether two networks of one of the experiment's own conditions are finished."""
        folders = [RunFolder.of(self.runs, condition) for condition in self.experiment.swept]
        return any(len(set(folder.finished_seeds()) & set(self.experiment.seeds)) >= 2 for folder in folders)

    def prepare(self) -> tuple[Experiment, pd.DataFrame]:
        """Store the table of networks, activations and feature learning.

        Returns:
            The experiment without the conditions that have fewer than two converged networks, and the table
            of networks with their alignments.
        """
        # Raises an error before any file changes.
        seeds = finished_seeds(self.experiment, self.runs, self.settings["overrides"])
        require_snapshots(self.experiment, seeds, self.runs, self.epochs, self.settings["overrides"])
        self.results.create()
        self.previous_manifest = read_manifest(self.results.path)
        remove_manifest(self.results.path)
        sets = self.ood, self.further_ood
        table = collect_networks(self.experiment, seeds, self.runs, self.results, *sets, self.weights_at)
        paired = drop_unpaired_conditions(self.experiment, table)
        sources = self.runs, self.results, table
        compute_activations(paired, *sources, self.probe, self.weights_at)
        table = compute_feature_learning(paired, *sources, self.kernel_probe, self.weights_at)
        return paired, table

    def load_paired(self) -> Experiment | None:
        """Return the experiment that `prepare` returned, or None if its files are not complete.

        It reads files only. Several jobs may compute distances at the same time.
        """
        table = read_table(self.results.networks)
        if table is None or "network_fingerprint" not in table:  # missing, or of an earlier version
            return None
        try:
            paired = drop_unpaired_conditions(self.experiment, table)
        except NothingToCompareError:
            return None
        is_complete = all(
            read_fingerprint(self.results.activations(condition.signature))
            == activations_fingerprint(table, condition, self.probe)
            for condition in paired.conditions
        )
        return paired if is_complete else None

    def compute_distances(self, signature: str) -> None:
        """Store the distance matrices of one condition, after `prepare` and the hyperparameter selection.

        A metric that cannot measure the condition is logged. `finish` raises its error.
        """
        paired = self.load_paired()
        assert paired is not None, "call prepare first"
        remove_manifest(self.results.path)
        compute_distances(paired, self.results, self.metrics, signature)

    def finish(self, paired: Experiment, table: pd.DataFrame) -> None:
        """Compute distances, trends and figures, after `prepare` and the hyperparameter selection.

        The manifest, which marks the results as complete, is written after everything except the report.

        Args:
            paired: experiment that `prepare` returned. Each condition has two or more converged networks.
            table: table of networks that `prepare` returned.

        Raises:
            BadInputError: a metric cannot measure a condition. It is raised after everything else is stored,
                and no manifest is written.
        """
        errors = compute_distances(paired, self.results, self.metrics)
        sources = self.runs, self.results, table
        compute_solutions(paired, *sources, self.metrics, self.solutions, self.probe, self.weights_at)
        self._compute_tables(paired, table)
        compute_example_trials(paired, *sources, self.probe, self.weights_at)
        if self.settings["snapshots"]:
            settings = self.metrics, self.probe, self.weights_at
            compute_snapshots(paired, *sources, *settings, self.epochs, self.bootstrap)
        else:
            self.results.remove_snapshots()
        if self.experiment.trajectories:
            attractors = measure_line_attractors(paired, *sources, self.weights_at)
            compute_trajectories(paired, *sources, self.probe, attractors, self.weights_at)
        figures_fingerprint, paths = self._draw_figures()
        for path in paths:
            print(f"figure: {path}", flush=True)
        if errors:
            raise errors[0]
        manifest = Manifest(
            networks={str(key): rows.tolist() for key, rows in table.groupby("condition")["seed"]},
            settings={name: self.settings[name] for name in RECORDED_SETTINGS},
            files=compute_checksums(self.results.path, self._result_files(paired)),
            figures_fingerprint=figures_fingerprint,
            figures=[path.name for path in paths],
        )
        write_manifest(self.results.path, manifest)
        write_report(ExperimentResults(self.experiment, self.results), self.runs)
        print(f"report: {self.results.report}", flush=True)

    def _compute_tables(self, paired: Experiment, table: pd.DataFrame) -> None:
        """Store and print degeneracy, distances between levels and trends."""
        metrics = list(self.metrics)
        degeneracy = compute_degeneracy(self.experiment, self.results, table, metrics, self.bootstrap)
        print(f"\n{format_degeneracy(degeneracy, self.bootstrap.level)}\n", flush=True)
        if self.settings["between_levels"]:
            comparison = LevelComparison(self.results, self.metrics, self.bootstrap, self.permutation_test)
            between = compute_between_levels(paired, table, comparison, self.min_converged_fraction)
            print(format_between_levels(between), end="", flush=True)
        else:
            self.results.remove_between()
        trends = compute_trends(
            self.experiment,
            self.results,
            self.bootstrap,
            self.permutation_test,
            self.min_converged_fraction,
        )
        print(f"\n{format_summary(self.experiment, trends)}\n", flush=True)

    def _draw_figures(self) -> tuple[str, list[Path]]:
        """Draw the figures, unless their inputs have not changed since the previous analysis."""
        key, previous = figures.inputs_fingerprint(self.experiment, self.results), self.previous_manifest
        if previous is not None and previous.figures and previous.figures_fingerprint == key:
            paths = [self.results.figures / name for name in previous.figures]
            if all(path.exists() for path in paths):
                logger.info("figures: %d files, unchanged", len(paths))
                return key, paths
        paths = figures.draw_all(self.experiment, self.results)
        logger.info("figures: %d files, new", len(paths))
        return key, paths

    def _result_files(self, paired: Experiment) -> list[Path]:
        """Return the paths of the files that figures and reports read."""
        tasks = dict.fromkeys(condition.task_name for condition in paired.conditions)
        optional = [self.results.snapshots, self.results.between]
        files = [*self.results.tables, *(path.with_suffix(".csv") for path in optional)]
        for metric in self.metrics:
            files += [self.results.hyperparameters(metric, task) for task in tasks]
            files += [self.results.matrix(metric, condition.signature) for condition in paired.conditions]
        return files
