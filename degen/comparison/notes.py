"""Reasons for caution about a comparison, one sentence each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from degen.comparison.measure import Measure
from degen.comparison.networks import Network

_SIGNIFICANCE = 0.05


def find_notes(networks: Sequence[Network], measures: Mapping[str, Measure]) -> list[str]:
    """Return reasons for caution about distances, intervals and tests, without repetitions."""
    notes = [*_estimation_errors(networks, list(measures.values()))]
    for measure in measures.values():
        notes += [*_missing_networks(networks, measure), *_small_groups(measure), *_disagreements(measure)]
    return list(dict.fromkeys(notes))


def _estimation_errors(networks: Sequence[Network], measures: Sequence[Measure]) -> Iterator[str]:
    """Yield notes about distances that are estimated from trials."""
    estimated = [measure for measure in measures if measure.baselines is not None]
    for measure in estimated:
        for group, estimate in measure.degeneracy.items():
            if estimate.value <= measure.mean_baseline(group):
                yield (
                    f"{measure.label} of {group} does not exceed its split-half baseline: it may be "
                    "estimation error, which falls with more trials."
                )
    samples = [network.hidden.shape[0] * network.hidden.shape[1] for network in networks]
    if estimated and max(samples) > 1.5 * min(samples):
        yield (
            f"networks have {min(samples)} to {max(samples)} samples (trials times steps): fewer samples "
            "have larger errors and distances. Compare groups with equal numbers."
        )


def _missing_networks(networks: Sequence[Network], measure: Measure) -> Iterator[str]:
    """Yield a note for each group that a measure covers in part."""
    for group in measure.degeneracy:
        total = sum(network.group == group for network in networks)
        n_measured = int(measure.is_in(group).sum())
        if n_measured < total:
            covered = f"{n_measured} of {total} networks of {group}"
            yield f"{measure.label} covers {covered}: the others lack the data."


def _small_groups(measure: Measure) -> Iterator[str]:
    """Yield a note for each pair of groups whose p cannot be significant."""
    for difference in measure.differences:
        sizes = [int(measure.is_in(group).sum()) for group in (difference.first, difference.second)]
        # Groups of one size may be exchanged without a change of the statistic.
        smallest = (2 if sizes[0] == sizes[1] else 1) / math.comb(sum(sizes), sizes[0])
        if smallest >= _SIGNIFICANCE:
            yield (
                f"p of {difference.first}, {difference.second} is never below {smallest:.2g} with {sizes[0]} "
                f"and {sizes[1]} networks: a large p is no evidence that they are equal."
            )


def _disagreements(measure: Measure) -> Iterator[str]:
    """Yield a note for each ratio whose interval and test disagree."""
    for difference in measure.differences:
        _, low, high, p = difference.ratio
        if math.isnan(p) or math.isnan(low):
            continue
        if (low <= 1 <= high) == (p < _SIGNIFICANCE):
            pair = f"{difference.first}, {difference.second}"
            yield (
                f"the interval and p of the ratio of {measure.label} of {pair} disagree about a ratio of 1: "
                "take it as undecided. More networks may decide it."
            )
