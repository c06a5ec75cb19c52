"""Result of a comparison: tables, a figure and a report."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from degen.comparison.measure import Measure
from degen.comparison.text import format_degeneracies, format_differences
from degen.metrics.dsa import Hyperparameters

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True, repr=False)
class Comparison:
    """Comparison of groups of networks. `print` shows its tables.

    Attributes:
        measures: result of each metric by its name, with distances, baselines and `embedding`.
        skipped: why other metrics were not computed, by name.
        n_networks: number of networks of each group.
        hyperparameters: hyperparameters of DSA, or None if it was not computed.
        notes: reasons for caution, one sentence each.
    """

    measures: dict[str, Measure]
    skipped: dict[str, str]
    n_networks: dict[str, int]
    hyperparameters: Hyperparameters | None
    notes: list[str]

    def table(self) -> pd.DataFrame:
        """Return the degeneracy of each group.

        Returns:
            One row per metric and group: metric, level, group, networks, value, low, high (95 % interval)
            and baseline (mean split-half baseline). The interval is NaN for too few networks.
        """
        return pd.DataFrame(
            {
                "metric": name,
                "level": measure.level,
                "group": group,
                "networks": int(measure.is_in(group).sum()),
                **estimate._asdict(),
                "baseline": measure.mean_baseline(group),
            }
            for name, measure in self.measures.items()
            for group, estimate in measure.degeneracy.items()
        )

    def differences(self) -> pd.DataFrame:
        """Return the difference between each pair of groups.

        Returns:
            One row per metric and pair: metric, first, second, between (mean distance between networks of the
            two groups), p (test that the groups do not differ), ratio (degeneracy of the second group divided
            by that of the first), low, high (95 % interval of the ratio) and ratio_p (test that it is 1).
        """
        rows = [
            (name, difference.first, difference.second, *difference.separation, *difference.ratio)
            for name, measure in self.measures.items()
            for difference in measure.differences
        ]
        columns = ["metric", "first", "second", "between", "p", "ratio", "low", "high", "ratio_p"]
        return pd.DataFrame(rows, columns=columns)

    def plot(self) -> Figure:
        """Draw distances, embedding and degeneracy of each metric. `savefig` of the result writes a file."""
        from degen.comparison.figure import draw  # Matplotlib takes seconds to import

        return draw(list(self.measures.values()), self.n_networks)

    def report(self, path: str | Path) -> Path:
        """Write the tables and the figure to one HTML file.

        Args:
            path: the file, replaced if it exists.

        Raises:
            BadInputError: the folder of the file does not exist.
            UnwritableError: the file cannot be written.
        """
        # Matplotlib takes seconds to import
        from degen.comparison.report import require_writable, write_report

        require_writable(Path(path))
        return write_report(
            Path(path),
            self.plot(),
            n_networks=self.n_networks,
            degeneracies=format_degeneracies(self.table()),
            differences=format_differences(self.differences()),
            settings=self.settings,
            skipped=self.skipped,
            notes=self.notes,
        )

    def __str__(self) -> str:
        sections = [
            "Degeneracy within groups [95 % interval]",
            format_degeneracies(self.table()).to_string(index=False),
        ]
        differences = self.differences()
        if len(differences):
            text = format_differences(differences).to_string(index=False)
            sections += ["\nDifferences between groups [95 % interval]", text]
        if self.hyperparameters is not None:
            sections.append(f"\n{self.settings}")
        sections += [f"not computed: {name}: {reason}" for name, reason in self.skipped.items()]
        sections += [f"note: {note}" for note in self.notes]
        return "\n".join(sections)

    __repr__ = __str__

    @property
    def settings(self) -> str:
        """The hyperparameters of DSA in words."""
        if self.hyperparameters is None:
            return ""
        values = dataclasses.asdict(self.hyperparameters)
        return "DSA: " + ", ".join(f"{name} {value}" for name, value in values.items())
