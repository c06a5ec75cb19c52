"""Statistics of degeneracy: bootstrap intervals, curves along a factor, and trends."""
