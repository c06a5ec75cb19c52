"""Analyses of several experiments, of which some cannot be measured."""

from __future__ import annotations

import itertools
import re

import pandas as pd

from degen.storage import RunFolder
from tests.analysis.conftest import SMALL, analyze_dsa, lines, store
from tests.analysis.drawing import draw_nothing
from tests.conftest import Launched


def test_without_hyperparameters_the_other_metrics_are_measured(two):
    # Few windows of so long a lag fit into a trial.
    lags = ("metrics.dsa.lowest_lag=15", "metrics.dsa.highest_lag=15", "metrics.dsa.ranks=[60]")
    given = ("--config-dir", "settings", "experiment=both", *SMALL, *lags)
    launched = Launched(
        (*given, "metric=[dsa,pif,svcca]"), two, before=draw_nothing, module="analysis.__main__"
    )
    assert launched.wait() == 2
    for name in ("pif", "svcca"):
        assert re.search(rf"distances: {name} of \d conditions, \d of them new", launched.stdout)
    assert "not measured: dsa of " in launched.stdout
    table = pd.read_parquet(two / "results" / "tiny" / "degeneracy.parquet")
    assert {"pif", "svcca", "sigma_ood"} < set(table["measure"])
    assert "dsa" not in set(table["measure"])
    assert not (two / "results" / "tiny" / "manifest.json").exists()
    sentence = "ranks must be at most the rank of the delay windows for some lag, got (60,)."
    assert f"not selected: dsa of flip_flop, {sentence}" in launched.stdout
    assert launched.stderr.startswith(f"error: {sentence}")


def test_a_failed_experiment_does_not_stop_the_others(two):
    # A file that another program cut off in the midst.
    broken = next((two / "results" / "tiny" / "activations").iterdir())
    stale = two / "results" / "tiny" / "matrices" / "dsa" / broken.name
    stale.unlink()
    whole = broken.read_bytes()
    broken.write_bytes(whole[:-8] + b"damaged!")
    given = ("--config-dir", "settings", "experiment=both", *SMALL, "metric=[dsa]")
    launched = Launched(given, two, before=draw_nothing, module="analysis.__main__")
    assert launched.wait() == 2
    assert "not measured: tiny, " in launched.stdout
    assert "contents that do not match their checksum" in launched.stderr
    assert (two / "results" / "wide" / "degeneracy.csv").exists()


def test_an_experiment_without_a_pair_does_not_stop_the_others(two):
    for network in itertools.chain(*(path.glob("networks/*") for path in two.glob("runs/*/*-n10-*"))):
        network.unlink()
    (two / "settings" / "experiment" / "wide.yaml").write_text(
        (two / "settings" / "experiment" / "wide.yaml").read_text().replace('"width=8,10"', "width=10")
    )
    for path in two.glob("runs/*/*-n10-*"):
        folder = RunFolder.open(path)
        store(folder, 0, [20.0] * 6)
        store(folder, 1, [20.0] * 6)
    printed = analyze_dsa(two, "both")
    assert lines(printed, "left out: wide, converged networks must be at least two")
    assert lines(printed, "distances: ") == ["distances: dsa of 2 conditions, 0 of them new"]
