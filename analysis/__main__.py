"""Analyze the networks of an experiment: tables, distance matrices, degeneracy and figures.

Examples:
    degen analyze experiment=demo
    degen analyze experiment=demo weights_at=settled results=results-settled
    degen analyze experiment=demo 'snapshots=[0,1,2,5,10,end]'
    degen analyze experiment=demo metrics.dsa.score=frobenius bootstrap.level=0.9
    degen analyze experiment=demo 'overrides=["width=128"]'
    degen analyze --config-dir my_conf experiment=my_experiment
    degen analyze -m gamma=1,2 task.channels=1,2 parameterization=mup seeds=8 bootstrap.level=0.9

The last example measures a sweep, given by the overrides of `degen train -m`. For an experiment, `overrides`
repeats the overrides that it was trained with. conf/analyze.yaml contains all fields.
Steps run in order and skip finished work: networks, activations, feature learning, hyperparameters (for all
experiments together if they share them), distances, degeneracy, snapshots (if given), figures.
"""

from __future__ import annotations

import sys

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from analysis.experiment_analysis import ExperimentAnalysis
from analysis.pipeline import drop_untrained, run_analyses
from analysis.settings import experiment_name, load_experiments, require_valid, sweep_arguments
from launch.cli import entrypoint, exit_on_user_error
from launch.config import resolved


def run_analysis(config: DictConfig) -> None:
    """Analyze the experiments of a composed configuration."""
    settings = resolved(config)
    require_valid(settings, HydraConfig.get().overrides.task)
    name = experiment_name()
    loaded = load_experiments(name, settings["overrides"])
    analyses = [ExperimentAnalysis(experiment, settings) for experiment in loaded]
    run_analyses(drop_untrained(analyses, name or loaded[0].name))


def main() -> None:
    """Run the command line."""
    torch.set_flush_denormal(True)
    with exit_on_user_error():
        sys.argv[1:] = sweep_arguments(sys.argv[1:])
    entrypoint("analyze", run_analysis, needs_arguments=True)()


if __name__ == "__main__":
    main()
