"""Multidimensional scaling, also of distances that violate the triangle inequality."""

from __future__ import annotations

import numpy as np
import pytest

from degen.reporting.embedding import embed_distances


def pairwise(points: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points[:, None] - points[None], axis=-1)


def test_points_in_a_plane_are_found_again():
    points = np.random.default_rng(0).normal(size=(7, 2))
    result = embed_distances(pairwise(points))
    assert pairwise(result) == pytest.approx(pairwise(points), abs=1e-3)
    assert result.mean(axis=0) == pytest.approx([0, 0], abs=1e-6)


def test_distances_without_triangle_inequality_are_drawn():
    # Two networks are alike, and the solver's distances of both to the third differ slightly.
    matrix = np.array([[0, 1e-8, 0.4428], [1e-8, 0, 0.4415], [0.4428, 0.4415, 0]])
    result = embed_distances(matrix)
    assert np.isfinite(result).all()
    assert pairwise(result) == pytest.approx(matrix, abs=2e-3)


@pytest.mark.parametrize("networks", [2, 3])
def test_equal_networks_are_drawn_at_one_point(networks):
    assert embed_distances(np.zeros((networks, networks))) == pytest.approx(np.zeros((networks, 2)), abs=1e-6)
