"""Analyze the networks of an experiment: tables, distance matrices, degeneracy and figures.

Examples:
    python -m analysis experiment=demo
    python -m analysis experiment=demo weights_at=settled results=results-settled
    python -m analysis experiment=demo metrics.dsa.score=frobenius bootstrap.level=0.9
    python -m analysis experiment=demo 'overrides=["width=128"]'
    python -m analysis --config-dir my_conf experiment=my_experiment

`overrides` repeats the overrides that the experiment was trained with. conf/analyze.yaml contains all fields.
Steps run in order and skip finished work: networks, activations, feature learning, hyperparameters (for all
experiments together if they share them), distances, degeneracy, figures.
"""

from __future__ import annotations

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from analysis.experiment_analysis import ExperimentAnalysis
from analysis.pipeline import drop_untrained, run_analyses
from analysis.settings import experiment_name, require_valid
from launch.cli import entrypoint
from launch.config import resolved
from launch.experiment import experiments


def run_analysis(config: DictConfig) -> None:
    """Analyze the experiments of a composed configuration."""
    settings = resolved(config)
    require_valid(settings, HydraConfig.get().overrides.task)
    name = experiment_name()
    analyses = [
        ExperimentAnalysis(experiment, settings) for experiment in experiments(name, settings["overrides"])
    ]
    run_analyses(drop_untrained(analyses, name))


def main() -> None:
    """Run the command line."""
    torch.set_flush_denormal(True)
    entrypoint("analyze", run_analysis, needs_arguments=True)()


if __name__ == "__main__":
    main()
