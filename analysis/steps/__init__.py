"""Steps of the analysis of an experiment. Each step stores files that the next steps read."""
