"""Statistics of degeneracy: intervals, trends, differences between groups, clusters, single networks.

All functions are pure: arrays in, numbers out.
"""

from degen.statistics.bootstrap import MIN_NETWORKS, Bootstrap, Estimate, networks_for_precision
from degen.statistics.clusters import Clusters, find_clusters
from degen.statistics.coverage import true_coverage
from degen.statistics.crossed import CrossedTests, fit_crossed
from degen.statistics.factor_curve import (
    FactorCurve,
    deviation_curve,
    distance_curve,
    mean_curve,
    ratio_curve,
)
from degen.statistics.group_difference import GroupDifference, Ratio, Separation
from degen.statistics.jackknife import pseudo_values
from degen.statistics.joint_test import JointTest, fit_contrast
from degen.statistics.leave_one_out import decisive_networks, leave_one_out_curves
from degen.statistics.levels import LevelDifference, compare_levels
from degen.statistics.permutation import PermutationTest
from degen.statistics.trend import Trend, fit_trend

__all__ = [
    "MIN_NETWORKS",
    "Bootstrap",
    "Clusters",
    "CrossedTests",
    "Estimate",
    "FactorCurve",
    "GroupDifference",
    "JointTest",
    "LevelDifference",
    "PermutationTest",
    "Ratio",
    "Separation",
    "Trend",
    "compare_levels",
    "decisive_networks",
    "deviation_curve",
    "distance_curve",
    "find_clusters",
    "fit_contrast",
    "fit_crossed",
    "fit_trend",
    "leave_one_out_curves",
    "mean_curve",
    "networks_for_precision",
    "pseudo_values",
    "ratio_curve",
    "true_coverage",
]
