"""Entry points that train: one condition, a sweep or an experiment."""
