"""Shared style of figures."""

from __future__ import annotations

import matplotlib.image
import matplotlib.pyplot as plt
import pytest

from degen.reporting.style import STYLE, Caption, add_caption, save_figure, use_style


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


def test_the_users_matplotlibrc_has_no_effect():
    with matplotlib.rc_context({"text.usetex": True, "lines.linewidth": 9.0, "savefig.transparent": True}):
        use_style()
        settings = {name: matplotlib.rcParams[name] for name in ("text.usetex", "savefig.transparent")}
        assert settings == {"text.usetex": False, "savefig.transparent": False}
        assert matplotlib.rcParams["lines.linewidth"] == STYLE["lines.linewidth"]


@pytest.mark.parametrize("words", [1, 12])
def test_a_caption_leaves_the_panels_their_height(words):
    heights = []
    for caption in ("", "a few words, " * words):
        figure, axes = plt.subplots(figsize=(3.4, 1.6), layout="constrained")
        if caption:
            add_caption(figure, Caption().show(caption))
        figure.draw_without_rendering()
        heights.append(axes.get_window_extent().height)
        plt.close(figure)
    assert heights[1] == pytest.approx(heights[0], rel=0.1)


def test_a_wide_caption_is_not_cut_off(tmp_path):
    # Text is wider at the resolution of the file than at that of the screen.
    figure, axes = plt.subplots(figsize=(6.96, 1.6), layout="constrained")
    axes.set_visible(False)  # the caption is wider than the panels
    counts = "4 to 8 converged networks per condition, 108 in total; left out: 20 missing"
    more = "not drawn (fewer than two converged networks): delayed discrimination Softplus,"
    add_caption(figure, Caption().show(counts, more))
    png = save_figure(figure, tmp_path, "figure")[1]
    pixels = matplotlib.image.imread(png)[..., :3]
    assert (pixels[:, :12] == 1).all()
    assert (pixels[:, -12:] == 1).all()
    assert (pixels < 1).any()


def test_a_figure_shows_three_lines_and_its_text_file_the_complete_caption(tmp_path):
    figure, axes = plt.subplots(figsize=(1.7, 1.6), layout="constrained")
    axes.plot([1, 2])
    text = Caption().show("16 networks per condition", "bands: 95% intervals", "reduced scale " * 9)
    add_caption(figure, text.explain("lag 4, rank 100", ""))
    assert figure.get_supxlabel() == "16 networks per condition; bands: 95%\nintervals"
    paths = save_figure(figure, tmp_path, "figure")
    assert [path.name for path in paths] == ["figure.pdf", "figure.png", "figure.txt"]
    lines = ["16 networks per condition", "bands: 95% intervals", "reduced scale " * 9, "lag 4, rank 100"]
    assert paths[2].read_text() == "\n".join(lines) + "\n"


def test_the_text_of_an_earlier_caption_is_removed(tmp_path):
    figure, axes = plt.subplots(layout="constrained")
    axes.plot([1, 2])
    (tmp_path / "figure.txt").write_text("earlier")
    assert len(save_figure(figure, tmp_path, "figure")) == 2
    assert not (tmp_path / "figure.txt").exists()
