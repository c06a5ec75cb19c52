"""Table 1, the numbered figures and the report of the paper's experiments, after their analyses.

Examples:
    degen report
    degen report results=results-settled report=false
    degen report report=false 'figures=[7]'

conf/paper.yaml contains all fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import DictConfig

from analysis.experiment_results import ExperimentResults
from analysis.figures.paper import draw_figures, select_figures
from analysis.replication.manipulation_check import manipulation_check
from analysis.replication.markdown import table_one
from analysis.replication.paper_report import paper_report
from analysis.replication.table_one import TableOneRow, table_one_rows
from analysis.results import ResultsFolder
from analysis.trends.rows import trend_table
from degen.errors import require
from degen.files import write_atomically
from launch.cli import entrypoint
from launch.config import resolved
from launch.experiment import experiments
from launch.settings import require_folder


def replicate_paper(config: DictConfig) -> None:
    """Draw the figures, and write the tables and the report."""
    settings = resolved(config)
    require_folder("runs", settings["runs"])
    require_folder("results", settings["results"])
    figures = select_figures(settings["figures"])
    folder = Path(settings["results"])
    all_results = load_results(settings)

    paths, not_drawn = draw_figures(figures, all_results, folder / "figures")
    for line in [*(f"figure: {path}" for path in paths), *not_drawn]:
        print(line, flush=True)
    if settings["report"]:
        rows = write_tables(all_results, folder)
        # Figure 9, if `analysis.diagnostics.memory_demand` has drawn it.
        paths += sorted(folder.glob("memory_demand_of_tasks/figures/*.png"))
        page = paper_report(all_results, rows, paths, not_drawn, Path(settings["runs"]), settings)
        _write("report", folder / "report.html", page)


def load_results(settings: Mapping[str, Any]) -> dict[str, ExperimentResults]:
    """Return the results of each experiment by name, including experiments that are not analyzed yet.

    Raises:
        BadInputError: no experiment is analyzed, or results are incomplete or belong to other conditions.
    """
    folder = Path(settings["results"])
    all_results = {
        experiment.name: ExperimentResults(experiment, ResultsFolder(folder / experiment.name))
        for name in settings["experiments"]
        for experiment in experiments(name, settings["overrides"])
    }
    analyzed = [results for results in all_results.values() if results.exists]
    allowed = "a folder with the results of an experiment (degen analyze)"
    require(analyzed != [], "results", settings["results"], allowed)
    for results in analyzed:
        results.require_complete(settings["overrides"])
    return all_results


def write_tables(all_results: Mapping[str, ExperimentResults], folder: Path) -> list[TableOneRow]:
    """Write Table 1 and the manipulation check, and return the rows of Table 1."""
    rows = table_one_rows(all_results)
    scales = sorted({results.experiment.scale for results in all_results.values() if results.exists})
    _write("table", folder / "table-1.csv", _csv(trend_table(rows)))
    _write("table", folder / "table-1.md", table_one(rows, scales))
    _write("table", folder / "manipulation_check.csv", _csv(manipulation_check(all_results)))
    return rows


def _csv(table: pd.DataFrame) -> str:
    return table.to_csv(index=False)


def _write(kind: str, path: Path, text: str) -> None:
    write_atomically(path, text.encode())
    print(f"{kind}: {path}", flush=True)


def main() -> None:
    """Run the command."""
    entrypoint("paper", replicate_paper)()


if __name__ == "__main__":
    main()
