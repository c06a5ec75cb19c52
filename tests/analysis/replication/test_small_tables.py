"""Tables of an analysis that the repository keeps."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.replication.small_tables import write_small_tables
from analysis.results import ResultsFolder
from degen.errors import BadInputError


def test_degeneracy_is_the_mean_of_the_distances_in_the_tables(analyzed, tmp_path):
    write_small_tables(ResultsFolder(analyzed / "results" / "tiny"), tmp_path)
    distances = pd.read_csv(tmp_path / "distances.csv")
    degeneracy = pd.read_csv(tmp_path / "degeneracy.csv")
    networks = pd.read_csv(tmp_path / "networks.csv")
    for signature, rows in distances.groupby("condition"):
        own = degeneracy[degeneracy["condition"] == signature].set_index("measure")
        for metric in ("dsa", "pif"):
            assert rows[metric].mean() == pytest.approx(own.loc[metric, "value"], rel=1e-4)
        is_compared = (networks["condition"] == signature) & (networks["status"] == "converged")
        assert len(rows) == is_compared.sum() * (is_compared.sum() - 1) / 2
    effects = pd.read_csv(tmp_path / "trends.csv")["effect"].to_numpy()
    stored = pd.read_parquet(analyzed / "results" / "tiny" / "trends.parquet")["effect"].to_numpy()
    np.testing.assert_allclose(effects, stored, rtol=1e-5)


def test_unfinished_results_are_rejected(tmp_path):
    with pytest.raises(BadInputError, match="must be a results folder whose analysis has finished"):
        write_small_tables(ResultsFolder(tmp_path), tmp_path / "tables")
