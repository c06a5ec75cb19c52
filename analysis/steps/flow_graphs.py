"""Flow graphs: fixed points, cycles and slow regions of every converged network, without input."""

from __future__ import annotations

import dataclasses
import functools
import json
import logging
from pathlib import Path
from typing import Any

import networkx as nx
import pandas as pd
import torch

from analysis.cache import cached, cached_rows, fingerprint, write_csv
from analysis.progress import track
from analysis.results import ResultsFolder
from analysis.steps.activations import converged_seeds
from analysis.steps.line_attractors import step_without_input
from analysis.steps.networks import load_run
from analysis.trends.factors import factor_columns
from analysis.trials import TrialSet
from degen.condition import Condition
from degen.metrics.flow_graph import describe_attractors, describe_graph, flow_graph, graph_type
from degen.networks import TrainedNetwork
from launch.experiment import Experiment

_N_INITIAL_STATES = 200
"""Number of states on trials from which trajectories start [chosen]."""

_VERSION = 1
"""Version of the numbers. Rows of other versions are computed again."""

logger = logging.getLogger(__name__)


def compute_flow_graphs(
    experiment: Experiment,
    runs: Path,
    results: ResultsFolder,
    table: pd.DataFrame,
    probe: TrialSet,
    weights_at: str,
) -> pd.DataFrame:
    """Store the flow graph of every converged network, as parquet and as CSV.

    Args:
        table: the table of `analysis.steps.networks.collect_networks`.
        probe: trials from whose states trajectories start.

    Returns:
        One row per network. Columns: condition, label, factor_name, factor_value, seed, attractors (stable
        points, cycles and slow regions, in words), nodes (all nodes, in words), graph_type (see
        `degen.metrics.flow_graph`), graph (JSON in the node-link format of networkx, without states).
    """
    tables, n_computed, keys = [], 0, []
    settings = dataclasses.asdict(probe), _N_INITIAL_STATES, _VERSION
    for condition in track("flow graphs", experiment.conditions):
        digests = table[table["condition"] == condition.signature].set_index("seed")["network_fingerprint"]
        seeds = converged_seeds(table, condition)
        row_keys = {seed: fingerprint(digests[seed], *settings) for seed in seeds}
        compute = functools.partial(_rows, runs, condition, probe, weights_at)
        rows, n_new = cached_rows(results.condition_flow_graphs(condition.signature), row_keys, compute)
        identity = {"condition": condition.signature, "label": condition.label}
        identity |= factor_columns(experiment, condition)
        tables.append(pd.DataFrame([identity] * len(rows)).join(rows.drop(columns="fingerprint")))
        keys.append([identity, *row_keys.values()])
        n_computed += n_new
    graphs = pd.concat(tables, ignore_index=True)
    cached(results.flow_graphs, fingerprint(keys), lambda: graphs)
    write_csv(results.flow_graphs, graphs)
    logger.info("flow graphs: %d networks, %d of them new", len(graphs), n_computed)
    return graphs


def _rows(
    runs: Path, condition: Condition, probe: TrialSet, weights_at: str, seeds: list[int]
) -> list[dict[str, Any]]:
    networks = load_run(runs, condition, weights_at).networks
    return [_row(condition, network, probe) for network in networks if network.seed in seeds]


def _row(condition: Condition, network: TrainedNetwork, probe: TrialSet) -> dict[str, Any]:
    trials = probe.draw(condition.task, "probe", condition.dtype)
    with torch.no_grad():
        states = condition.model.unroll_states(network.weights, trials)[0].double().flatten(0, 1)
    initial = states[torch.linspace(0, len(states) - 1, _N_INITIAL_STATES).long()]
    graph = flow_graph(step_without_input(condition, network.weights), initial)
    for _, attributes in graph.nodes(data=True):
        del attributes["state"]
    return {
        "seed": network.seed,
        "attractors": describe_attractors(graph),
        "nodes": describe_graph(graph),
        "graph_type": graph_type(graph),
        "graph": json.dumps(nx.node_link_data(graph, edges="edges")),
    }
