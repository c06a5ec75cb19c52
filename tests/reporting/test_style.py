"""Shared style of figures."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pytest

from degen.reporting.style import add_caption, save_figure


@pytest.fixture
def drawn(tmp_path):
    """A figure with a log axis, whose labels and ticks are the user's text."""
    figure, axes = plt.subplots(layout="constrained")
    axes.plot([1, 2], [1e-3, 1e2])
    axes.set_yscale("log")
    axes.set(xlabel="cost in $ (50 % of $)", title=r"a \\ b_$c")
    axes.set_xticks([1, 2], ["$1", "$2 x_y$"])
    save_figure(figure, tmp_path, "figure")
    return axes


def test_text_of_the_user_is_drawn_literally(drawn):
    texts = [drawn.xaxis.label, drawn.title, *drawn.get_xticklabels()]
    assert [text.get_parse_math() for text in texts] == [False] * 4


def test_powers_of_ten_are_drawn_as_mathematics(drawn):
    assert all(text.get_parse_math() for text in drawn.get_yticklabels())
    assert drawn.get_yticklabels()[0].get_text().startswith("$")


@pytest.mark.parametrize("words", [10, 300])
def test_a_caption_leaves_the_panels_their_height(words):
    heights = []
    for caption in ("", "word " * words):
        figure, axes = plt.subplots(figsize=(3.4, 1.6), layout="constrained")
        if caption:
            add_caption(figure, caption)
        figure.draw_without_rendering()
        heights.append(axes.get_window_extent().height)
        plt.close(figure)
    assert heights[1] == pytest.approx(heights[0], rel=0.1)
