"""Entry points that train a condition, a sweep or an experiment, on this machine or on a SLURM cluster."""

from launch.user_code import require_not_shadowed

require_not_shadowed()  # here, before any module imports degen
