"""The specification curve shows every setting of DSA with its interval."""

from __future__ import annotations

import matplotlib.colors
import pytest
from matplotlib.figure import Figure

from analysis.figures import specification
from analysis.trends.specification import specification_rows
from degen.reporting.style import BLUE, GRAY, Caption
from tests.analysis.planted import along, flat, plant, trends

N = 8


@pytest.fixture(scope="module")
def curve(tmp_path_factory) -> tuple[Figure, dict]:
    """Draw settings that fall, rise, have no trend and lie at their baseline, and a control."""
    matrices = {
        "dsa": along(N, 3, 2, 1),
        "dsa_lag_1": along(N, 1, 2, 3),
        "dsa_rank_10": along(N, 2, 2, 2, spread=0.3),
        "input_dsa": along(N, 5, 2, 1, baseline=5),
        "geometry": along(N, 3, 2, 1),
        "pif": along(N, 3, 2, 1),
    }
    folder = tmp_path_factory.mktemp("planted")
    settings = ["dsa_lag_1", "dsa_rank_10", "input_dsa"]
    rows = trends(plant(folder, flat(N), matrices, variants=settings))
    drawn = []
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(specification, "save_figure", lambda figure, *_: drawn.append(figure) or [])
        specification.draw(specification_rows(list(rows.values())), "delay", Caption(), folder)
    return drawn[0], rows


def test_settings_are_sorted_by_effect_and_controls_are_left_out(curve):
    figure, rows = curve
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["DSA, with inputs", "DSA", "DSA, rank 10", "DSA, lag 1"]
    effects = [rows[name].effect for name in ("input_dsa", "DSA", "dsa_rank_10", "dsa_lag_1")]
    assert effects == sorted(effects)
    points = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert sorted(float(point.get_xdata()[0]) for point in points) == pytest.approx(effects)


def test_colors_show_intervals_and_baselines(curve):
    figure, rows = curve
    points = {
        round(float(line.get_xdata()[0]), 9): line
        for line in figure.axes[0].lines
        if line.get_marker() == "o"
    }

    def colors(name: str) -> tuple:
        point = points[round(rows[name].effect, 9)]
        return tuple(
            map(matplotlib.colors.to_rgb, (point.get_markeredgecolor(), point.get_markerfacecolor()))
        )

    blue, gray = matplotlib.colors.to_rgb(BLUE), matplotlib.colors.to_rgb(GRAY)
    assert colors("DSA") == colors("dsa_lag_1") == (blue, blue)
    assert colors("dsa_rank_10") == (gray, gray)
    assert colors("input_dsa") == (blue, (1.0, 1.0, 1.0))


def test_one_setting_is_no_curve(tmp_path):
    rows = trends(plant(tmp_path, flat(N), {"dsa": along(N, 3, 2, 1), "geometry": along(N, 1, 2, 3)}))
    assert specification_rows(list(rows.values())) == {}
