"""Coordinate check: under mup, training moves networks as far at every width.

See docs/specification.md, section 3.
"""

from __future__ import annotations

import matplotlib.image
import numpy as np
import pandas as pd
import pytest

from analysis.diagnostics.coordinate_check import QUANTITIES, coordinate_check, draw, exponents


@pytest.fixture(scope="module")
def moved() -> pd.DataFrame:
    return coordinate_check(widths=(64, 256, 512))


def powers(table: pd.DataFrame, parameterization: str) -> pd.DataFrame:
    result = exponents(table).set_index("step")
    return result[result["parameterization"] == parameterization][list(QUANTITIES)]


def test_a_row_for_each_parameterization_width_and_step(moved):
    assert len(moved) == 2 * 3 * 10
    assert not moved.duplicated(["parameterization", "width", "step"]).any()
    assert (moved[list(QUANTITIES)] > 0).all(axis=None)


def test_under_mup_the_change_does_not_depend_on_the_width(moved):
    result = powers(moved, "mup")
    assert result.index.tolist() == list(range(1, 11))
    assert result.abs().max(axis=None) < 0.05


def test_under_standard_the_change_grows_with_the_width(moved):
    result = powers(moved, "standard")
    # Until wide networks reach the ends of tanh.
    assert result.loc[1:5].min(axis=None) > 0.15
    assert result["output"].min() > 0.4


def test_networks_move_on_with_every_step_at_first(moved):
    under_mup = moved[moved["parameterization"] == "mup"]
    for _, steps in under_mup.groupby("width"):
        assert (steps[list(QUANTITIES)].diff().dropna() > 0).all(axis=None)


def test_exponents_are_those_of_a_power_law():
    rows = [("mup", width, 1, 3 * width**0.5, width**-1.0) for width in (64, 128, 256)]
    table = pd.DataFrame(rows, columns=["parameterization", "width", "step", *QUANTITIES])
    assert exponents(table)[list(QUANTITIES)].to_numpy() == pytest.approx(np.array([[0.5, -1.0]]))


def test_another_task_moves_alike():
    table = coordinate_check(["task=sine_wave", "task.n_steps=10"], widths=(64, 256))
    assert powers(table, "mup").abs().max(axis=None) < 0.1


def test_the_plot_is_a_pdf_and_a_png_that_show_something(moved, tmp_path):
    pdf, png = draw(moved, tmp_path)
    assert pdf.read_bytes().startswith(b"%PDF-")
    assert matplotlib.image.imread(png)[..., :3].std() > 0.02
