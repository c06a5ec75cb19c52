"""The results folder of an experiment: the path of every file that an analysis writes.

results/hyperparameters/<metric>-<task>-<options>.parquet   hyperparameters that experiments share
results/<experiment>/
    hyperparameters/<metric>-<task>-<options>.parquet       hyperparameters of this experiment alone
    networks.parquet                     one row per network; networks/ holds its parts, one per condition
    history.parquet                      one row per network and epoch
    feature_learning.parquet             one row per converged network; feature_learning/ holds its parts
    activations/<signature>.safetensors  hidden states on the probe
    matrices/<metric>/<task>-hyperparameters.parquet   the hyperparameters that the metric uses
    matrices/<metric>/<signature>.safetensors          pairwise distances
    degeneracy.parquet, degeneracy.csv   one row per condition and measure
    trends.parquet, trends.csv           one row per task and measure
    example_trials.parquet               a trial of one network per task
    trajectories.parquet                 trials, fixed points and slow points of single networks
    line_attractors.parquet, line_attractors.csv       one row per network and period of a trial
    snapshots/<metric>/<signature>.safetensors         distances along training
    between/<metric>/<signature>-<signature>.safetensors   distances of the networks of two levels together
    between.parquet, between.csv         one row per pair of levels and measure
    snapshots.parquet, snapshots.csv     one row per condition, measure and moment of training
    solutions.parquet, solutions.csv     one row per condition and metric
    flow_graphs.parquet, flow_graphs.csv one row per network; flow_graphs/ holds its parts, one per condition
    figures/*.pdf, *.png, *.txt           figures and their complete captions
    report.html                          answer, figures, settings and costs in one file
    manifest.json                        settings and checksums, written last (`analysis.manifest`)

Every parquet and safetensors file carries a fingerprint of its inputs (`analysis.cache`).
"""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

from degen.errors import BadInputError


@dataclasses.dataclass(frozen=True)
class ResultsFolder:
    """The results folder of one experiment."""

    path: Path

    def create(self) -> None:
        """Create the folder if it does not exist.

        Raises:
            BadInputError: the folder is not writable.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self.path).close()
        except OSError as error:
            message = f"results must be a writable folder, got {self.path} ({error.strerror})."
            raise BadInputError(message) from error

    @property
    def networks(self) -> Path:
        return self.path / "networks.parquet"

    def condition_networks(self, signature: str) -> Path:
        """Return the path of the rows of `networks` that belong to one condition."""
        return self.path / "networks" / f"{signature}.parquet"

    @property
    def history(self) -> Path:
        return self.path / "history.parquet"

    @property
    def feature_learning(self) -> Path:
        return self.path / "feature_learning.parquet"

    def condition_feature_learning(self, signature: str) -> Path:
        """Return the path of the rows of `feature_learning` that belong to one condition."""
        return self.path / "feature_learning" / f"{signature}.parquet"

    @property
    def degeneracy(self) -> Path:
        return self.path / "degeneracy.parquet"

    @property
    def trends(self) -> Path:
        return self.path / "trends.parquet"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def example_trials(self) -> Path:
        return self.path / "example_trials.parquet"

    @property
    def trajectories(self) -> Path:
        return self.path / "trajectories.parquet"

    @property
    def line_attractors(self) -> Path:
        return self.path / "line_attractors.parquet"

    @property
    def between(self) -> Path:
        return self.path / "between.parquet"

    def remove_between(self) -> None:
        """Remove the table of an earlier analysis that compared levels."""
        for path in (self.between, self.between.with_suffix(".csv")):
            path.unlink(missing_ok=True)

    def between_distances(self, metric: str, first: str, second: str) -> Path:
        """Return the path of the distances of the networks of two conditions together."""
        return self.path / "between" / metric / f"{first}-{second}.safetensors"

    @property
    def snapshots(self) -> Path:
        return self.path / "snapshots.parquet"

    @property
    def solutions(self) -> Path:
        return self.path / "solutions.parquet"

    @property
    def flow_graphs(self) -> Path:
        return self.path / "flow_graphs.parquet"

    def condition_flow_graphs(self, signature: str) -> Path:
        """Return the path of the rows of `flow_graphs` that belong to one condition."""
        return self.path / "flow_graphs" / f"{signature}.parquet"

    def remove_flow_graphs(self) -> None:
        """Remove the table of an earlier analysis with flow graphs."""
        for path in (self.flow_graphs, self.flow_graphs.with_suffix(".csv")):
            path.unlink(missing_ok=True)

    def remove_snapshots(self) -> None:
        """Remove the table of an earlier analysis with snapshots."""
        for path in (self.snapshots, self.snapshots.with_suffix(".csv")):
            path.unlink(missing_ok=True)

    def snapshot_distances(self, metric: str, signature: str) -> Path:
        """Return the path of the distances of a condition along training."""
        return self.path / "snapshots" / metric / f"{signature}.safetensors"

    @property
    def tables(self) -> list[Path]:
        """Paths of all tables of the experiment."""
        common = [self.networks, self.history, self.feature_learning, self.degeneracy, self.trends]
        optional = [self.trajectories, self.line_attractors, self.snapshots, self.between, self.flow_graphs]
        return [*common, self.example_trials, self.solutions, *optional]

    @property
    def figures(self) -> Path:
        return self.path / "figures"

    def activations(self, signature: str) -> Path:
        return self.path / "activations" / f"{signature}.safetensors"

    def matrix(self, metric: str, signature: str) -> Path:
        return self.path / "matrices" / metric / f"{signature}.safetensors"

    def hyperparameters(self, metric: str, task: str) -> Path:
        """Return the path of the hyperparameters that a metric uses for a task in this experiment."""
        return self.path / "matrices" / metric / f"{task}-hyperparameters.parquet"

    def selection(self, metric_class: str, task: str, options: str, is_shared: bool) -> Path:
        """Return the path of a selection of hyperparameters.

        Args:
            metric_class: class of the metric, in lower case.
            options: fingerprint of the metric's selection options and of the probe.
            is_shared: whether other experiments use it too.
        """
        folder = (self.path.parent if is_shared else self.path) / "hyperparameters"
        return folder / f"{metric_class}-{task}-{options[:8]}.parquet"

    def in_other_experiments(self, file: Path) -> list[Path]:
        """Return the paths of a file of this folder in the results folders of other experiments."""
        name = file.relative_to(self.path)
        return sorted(path for path in self.path.parent.glob(f"*/{name}") if path != file)
