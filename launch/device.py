"""The device on which a process trains, and torch's settings for it."""

from __future__ import annotations

import os
import re

import torch

from degen.errors import require


def require_device_name(name: str) -> None:
    """Raise `BadInputError` unless `name` is the name of a device, whether or not this host has it."""
    is_name = isinstance(name, str) and re.fullmatch(r"auto|cpu|cuda(:\d+)?", name) is not None
    require(is_name, "device", name, "auto, cpu, cuda or cuda:<number>")


def resolve_device(name: str) -> torch.device:
    """Return the device with that name; `auto` is CUDA if there is a CUDA device, and the CPU otherwise.

    Raises:
        BadInputError: this host does not have the device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    require_device_name(name)
    device = torch.device(name)
    n_cuda = torch.cuda.device_count() if device.type == "cuda" else 0
    allowed = f"one of {n_cuda} CUDA devices" if n_cuda else "auto or cpu here: there is no CUDA device"
    require(device.type == "cpu" or (device.index or 0) < n_cuda, "device", name, allowed)
    return device


def prepare_torch() -> None:
    """Set the number of threads and the handling of denormal numbers, on which trained weights depend."""
    # One thread per operation: processes train networks in parallel instead (degen/training/cpu).
    torch.set_num_threads(1)
    # Vanishing gradients contain many denormal numbers, which a CPU adds a hundred times more slowly.
    torch.set_flush_denormal(True)


def prepare_device(device: torch.device, tf32: bool) -> None:
    """Set the precision of CUDA, or hide CUDA devices from a process that trains on the CPU.

    Processes can be forked safely only if no CUDA device is visible.
    """
    if device.type == "cpu" and not torch.cuda.is_initialized():
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    elif device.type == "cuda":
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        torch.cuda.set_device(device.index or 0)  # CUDA graphs are captured on the current device
