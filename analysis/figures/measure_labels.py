"""Labels of levels and measures in figures."""

from __future__ import annotations

from analysis.experiment_results import ExperimentResults

LEVEL_LABELS = {
    "dsa": "dynamical degeneracy",
    "dsa_weighted": "dynamical degeneracy",
    "pif": "weight degeneracy",
    "pif_per_parameter": "weight degeneracy",
    "sigma_ood": "behavioral degeneracy",
    "svcca": "representational\ndegeneracy",
}
"""Level of each measure that the numbered figures show."""

MEASURE_LABELS = {
    "dsa": "DSA",
    "dsa_weighted": "DSA, weighted by variance",
    "dsa_flow": "DSA of the flow, weighted by variance",
    "dsa_lag_1": "DSA, lag 1",
    "dsa_rank_10": "DSA, rank 10",
    "dsa_variance_90": "DSA, 90 % of the variance",
    "dsa_least_k": "DSA, least components",
    "dsa_literal": "DSA, trials joined",
    "dsa_geometry": "geometry",
    "input_dsa_weighted": "DSA, weighted, with inputs",
    "input_dsa": "DSA, with inputs",
    "pif": "PIF",
    "pif_per_parameter": "PIF / width\u00b2",
    "pif_unaligned": "PIF, unaligned",
    "pif_initial": "PIF, initial weights",
    "pif_signed": "PIF, signed",
    "pif_signed_initial": "PIF, signed, initial weights",
    "pif_procrustes": "PIF, by Procrustes",
    "pif_balanced": "PIF, balanced weights",
    "svcca": "1 \u2212 SVCCA",
    "sigma_test": "SD of test loss",
    "sigma_ood": "SD of OOD loss",
    "sigma_log_ood": "SD of log OOD loss",
    "sigma_log_test": "SD of log test loss",
    "mean_ood": "mean OOD loss",
    "weight_change": "weight change\n(Frobenius norm)",
    "kernel_alignment": "kernel alignment",
    "representation_alignment": "representation\nalignment",
    "participation_ratio": "participation ratio\nof singular values",
    "near_zero_fraction": "fraction of weights\nbelow 1 % of the largest",
}

_DISTANCES = ("dsa", "input_dsa", "pif")
"""Beginnings of the names of measures whose axes have the word distance."""


def measure_label(measure: str) -> str:
    """Return the label of a measure. Further OOD conditions keep their names.

    Examples:
        >>> measure_label("sigma_ood_noise")
        'SD of OOD loss, noise'
    """
    for prefix in ("sigma_ood", "sigma_log_ood", "mean_ood", "sigma_test", "sigma_log_test"):
        if measure.startswith(f"{prefix}_"):
            return f"{MEASURE_LABELS[prefix]}, {measure.removeprefix(prefix + '_')}"
    return MEASURE_LABELS.get(measure, measure)


def axis_label(measure: str, *all_results: ExperimentResults) -> str:
    """Return the title of an axis: the measure, and the unit of distances that have one.

    Args:
        all_results: experiments of the figure, whose matrices state the unit.
    """
    name, _, variant = measure_label(measure).partition(", ")
    if measure.startswith(_DISTANCES):
        first, *rest = name.split(" ", 1)
        units = dict.fromkeys(results.unit(measure) for results in all_results)
        name = " ".join([first, "distance", *rest, *(f"({unit})" for unit in units if unit)])
    return f"{name},\n{variant}" if variant else name
