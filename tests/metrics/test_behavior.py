"""Behavioral degeneracy."""

from __future__ import annotations

import numpy as np
import pytest

from degen.errors import BadInputError
from degen.metrics import behavior


def test_sigma_is_the_population_standard_deviation():
    assert behavior.sigma_ood(np.array([1.0, 3.0])) == 1.0


def test_sigma_scales_with_losses_and_ignores_an_offset():
    losses = np.random.default_rng(0).random(50)
    assert behavior.sigma_ood(3 * losses + 7) == pytest.approx(3 * behavior.sigma_ood(losses))


def test_sigma_of_logarithms_measures_ratios_of_losses():
    losses = np.random.default_rng(0).lognormal(sigma=0.5, size=20_000)
    assert behavior.sigma_log_ood(1e-3 * losses) == pytest.approx(behavior.sigma_log_ood(losses))
    assert behavior.sigma_log_ood(losses) == pytest.approx(0.5, rel=0.02)
    assert behavior.sigma_log_ood(np.array([1.0, np.e**2])) == pytest.approx(1.0)


def test_logarithm_of_a_loss_that_is_not_positive_is_rejected():
    with pytest.raises(BadInputError, match="losses must be above 0, got 0"):
        behavior.sigma_log_ood(np.array([0.0, 1.0]))


def test_summary_describes_the_losses():
    summary = behavior.summarize_ood(np.array([4.0, 1.0, 1.0]))
    assert (summary.minimum, summary.median, summary.mean, summary.maximum) == (1.0, 1.0, 2.0, 4.0)


@pytest.mark.parametrize("losses", [[1.0], [1.0, np.nan], [1.0, np.inf]])
def test_invalid_losses_are_rejected(losses):
    with pytest.raises(BadInputError, match="losses"):
        behavior.sigma_ood(np.array(losses))
