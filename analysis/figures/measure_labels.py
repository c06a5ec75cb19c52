"""Labels of levels and measures in figures."""

from __future__ import annotations

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
    "dsa_flow": "flow, weighted by variance",
    "dsa_lag_1": "DSA, lag 1",
    "dsa_rank_10": "DSA, rank 10",
    "dsa_variance_90": "DSA, 90 % of the variance",
    "dsa_least_k": "DSA, least components",
    "dsa_literal": "DSA, trials joined",
    "dsa_geometry": "geometry alone",
    "input_dsa_weighted": "DSA weighted, with inputs",
    "input_dsa": "DSA with inputs",
    "pif": "PIF",
    "pif_per_parameter": "PIF / n\u00b2",
    "pif_unaligned": "PIF, unaligned",
    "pif_initial": "PIF at initialization",
    "pif_signed": "PIF with signs",
    "pif_signed_initial": "PIF with signs\nat initialization",
    "pif_procrustes": "PIF by procrustes",
    "pif_balanced": "PIF of balanced weights",
    "svcca": "1 \u2212 SVCCA",
    "sigma_test": "s.d. of test loss",
    "sigma_ood": "s.d. of OOD loss",
    "sigma_log_ood": "s.d. of log OOD loss",
    "sigma_log_test": "s.d. of log test loss",
    "mean_ood": "mean OOD loss",
    "weight_change": "weight change\n(Frobenius norm)",
    "kernel_alignment": "kernel alignment",
    "representation_alignment": "representation\nalignment",
    "participation_ratio": "participation ratio\nof singular values",
    "near_zero_fraction": "fraction of weights below\n1 % of the largest",
}


def measure_label(measure: str) -> str:
    """Return the label of a measure. Further OOD conditions keep their names.

    Examples:
        >>> measure_label("sigma_ood_noise")
        's.d. of OOD loss, noise'
    """
    for prefix in ("sigma_ood", "sigma_log_ood", "mean_ood", "sigma_test", "sigma_log_test"):
        if measure.startswith(f"{prefix}_"):
            return f"{MEASURE_LABELS[prefix]}, {measure.removeprefix(prefix + '_')}"
    return MEASURE_LABELS.get(measure, measure)
