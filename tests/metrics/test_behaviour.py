"""Behavioural degeneracy."""

from __future__ import annotations

import numpy as np
import pytest

from degen.errors import BadInputError
from degen.metrics import behaviour


def test_sigma_is_the_population_standard_deviation():
    assert behaviour.sigma_ood(np.array([1.0, 3.0])) == 1.0


def test_sigma_scales_with_losses_and_ignores_a_shift():
    losses = np.random.default_rng(0).random(50)
    assert behaviour.sigma_ood(3 * losses + 7) == pytest.approx(3 * behaviour.sigma_ood(losses))


def test_summary_is_of_the_losses():
    s = behaviour.summary(np.array([4.0, 1.0, 1.0]))
    assert (s.minimum, s.median, s.mean, s.maximum) == (1.0, 1.0, 2.0, 4.0)


@pytest.mark.parametrize("losses", [[1.0], [1.0, np.nan], [1.0, np.inf]])
def test_bad_losses_are_refused(losses):
    with pytest.raises(BadInputError, match="losses"):
        behaviour.sigma_ood(np.array(losses))
