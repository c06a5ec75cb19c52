"""Errors of the operating system as sentences for the user."""

from __future__ import annotations

_OUT_OF_MEMORY = ("can't allocate memory", "out of memory")
"""Parts of the messages of torch on a CPU and on CUDA."""


def describe_system_error(error: Exception) -> str | None:
    """Return a sentence for a lack of memory or permission, or for a folder where a file should be.

    Return None for other errors, which are errors of the program.

    Examples:
        >>> describe_system_error(PermissionError(13, "Permission denied", "runs/flip_flop"))
        'runs/flip_flop must be a file or folder that can be read and written, got Permission denied.'
    """
    if isinstance(error, MemoryError) or any(text in str(error) for text in _OUT_OF_MEMORY):
        remedy = "reduce width, task.n_steps, training.batch_size, the numbers of trials or the seeds"
        return f"there is not enough memory: {remedy}."
    if isinstance(error, PermissionError | IsADirectoryError | NotADirectoryError) and error.filename:
        allowed = "a file or folder that can be read and written"
        return f"{error.filename} must be {allowed}, got {error.strerror}."
    return None
