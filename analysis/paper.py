"""python -m analysis.paper: Table 1, the numbered figures and the report, from all experiments' results."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from analysis.experiment_results import ExperimentResults
from analysis.figures import paper as figures
from analysis.replication import html_report as report
from analysis.replication.manipulation_check import pilot
from analysis.replication.markdown import table_one
from analysis.replication.table_one import Permutations, verdict
from analysis.results import ResultsFolder
from degen.condition import build
from degen.errors import require
from degen.files import write_atomically
from degen.statistics.bootstrap import Bootstrap
from launch.cli import entrypoint
from launch.config import resolved
from launch.experiment import experiments
from launch.settings import require_folder


def job(config: DictConfig) -> None:
    """What Hydra calls."""
    settings = resolved(config)
    require_folder("runs", settings["runs"])
    require_folder("results", settings["results"])
    drawn = figures.chosen(settings["figures"])
    bootstrap = build(settings["bootstrap"], Bootstrap, "bootstrap")[1]
    permutations = build(settings["permutations"], Permutations, "permutations")[1]
    place = Path(settings["results"])
    chosen = [one for name in settings["experiments"] for one in experiments(name, settings["overrides"])]
    data = {one.name: ExperimentResults(one, ResultsFolder(place / one.name)) for one in chosen}
    there = [one for one in data.values() if one.exists]
    require(
        there != [],
        "results",
        settings["results"],
        "a folder with the results of an experiment (python -m analysis)",
    )
    for one in there:
        one.require_complete(settings["overrides"])

    paths, missing = figures.draw(drawn, data, place / "figures")
    for path in paths:
        print(f"figure: {path}", flush=True)
    for line in missing:
        print(line, flush=True)
    if not settings["report"]:
        return
    table = verdict(
        [one.experiment for one in there], lambda name: data[name].results, bootstrap, permutations
    )
    write_atomically(place / "verdict.csv", table.to_csv(index=False).encode())
    print(f"table: {place / 'verdict.csv'}", flush=True)
    scales = sorted({one.experiment.scale for one in there})
    write_atomically(place / "table-1.md", table_one(table, scales).encode())
    print(f"table: {place / 'table-1.md'}", flush=True)
    write_atomically(place / "pilot.csv", pilot(data).to_csv(index=False).encode())
    print(f"table: {place / 'pilot.csv'}", flush=True)
    # Figure 9, where `analysis.diagnostics.memory_demand` has drawn it.
    paths += sorted(place.glob("memory_demand_of_tasks/figures/*.png"))
    page = report.page(data, table, paths, missing, Path(settings["runs"]), settings)
    write_atomically(place / "report.html", page.encode())
    print(f"report: {place / 'report.html'}", flush=True)


def main() -> None:
    """The command line."""
    entrypoint("paper", job)()


if __name__ == "__main__":
    main()
