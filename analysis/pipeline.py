"""The analysis of several experiments, which may share hyperparameters."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from analysis.experiment_analysis import ExperimentAnalysis
from analysis.steps.activations import NothingToCompareError
from analysis.steps.hyperparameters import AnalyzedExperiment, select_hyperparameters
from degen.errors import BadInputError, require
from degen.locks import exclusive_lock
from launch.experiment import Experiment

logger = logging.getLogger(__name__)


class ComparableAnalysis(NamedTuple):
    """An analysis after its first steps, with the return values of `ExperimentAnalysis.prepare`."""

    analysis: ExperimentAnalysis
    paired: Experiment
    table: pd.DataFrame


def run_analyses(analyses: Sequence[ExperimentAnalysis]) -> None:
    """Analyze several experiments. With `share_hyperparameters`, they are selected on the networks of all.

    Raises:
        BadInputError: an experiment cannot be analyzed. The other experiments are.
    """
    comparable, errors = _prepare(analyses)
    if comparable:
        # Another analysis in the same results folder waits, then uses this selection.
        with exclusive_lock(analyses[0].results.path.parent, "results"):
            errors += select_for([(item.analysis, item.paired) for item in comparable], analyses)
    for analysis, paired, table in comparable:
        try:
            analysis.finish(paired, table)
        except BadInputError as error:
            errors.append(error)
            if len(analyses) > 1:
                logger.info("not measured: %s, %s", analysis.experiment.name, error)
    if errors:
        raise errors[0]


def _prepare(analyses: Sequence[ExperimentAnalysis]) -> tuple[list[ComparableAnalysis], list[BadInputError]]:
    """Run the first steps of every experiment.

    An experiment without pairs of networks is an error only if there is no other experiment to analyze.
    """
    comparable: list[ComparableAnalysis] = []
    errors: list[BadInputError] = []
    for analysis in analyses:
        try:
            comparable.append(ComparableAnalysis(analysis, *analysis.prepare()))
        except BadInputError as error:
            nothing_left = analysis is analyses[-1] and not comparable
            if nothing_left or not isinstance(error, NothingToCompareError):
                errors.append(error)
            if len(analyses) > 1:
                logger.info("left out: %s, %s", analysis.experiment.name, error)
    return comparable, errors


def select_for(
    comparable: Sequence[tuple[ExperimentAnalysis, Experiment]], targets: Sequence[ExperimentAnalysis]
) -> list[BadInputError]:
    """Select hyperparameters on experiments with stored activations. Copy them to the targets' results."""
    if not comparable:
        return []
    first = comparable[0][0]
    experiments = [AnalyzedExperiment(paired, analysis.results) for analysis, paired in comparable]
    folders = [analysis.results for analysis in targets]
    shares = first.shares_hyperparameters
    return select_hyperparameters(experiments, first.metrics, first.probe, folders, shares=shares)


def drop_untrained(analyses: Sequence[ExperimentAnalysis], name: str) -> list[ExperimentAnalysis]:
    """Return the analyses of experiments with networks to compare. The log names the others.

    Args:
        name: name of the experiment, or of the list of experiments.

    Raises:
        BadInputError: no experiment has networks to compare.
    """
    if len(analyses) == 1:  # its analysis explains what is missing
        return list(analyses)
    trained = [analysis for analysis in analyses if analysis.has_pairs()]
    for analysis in analyses:
        if analysis not in trained:
            logger.info("left out: %s, no condition has two finished networks", analysis.experiment.name)
    allowed = f"one with finished networks below {analyses[0].runs}"
    require(trained != [], "experiment", name, allowed)
    return trained
