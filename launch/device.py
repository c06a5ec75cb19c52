"""Where a process trains, and the settings of torch there."""

from __future__ import annotations

import os
import re

import torch

from degen.errors import require


def resolve_device(name: str) -> torch.device:
    """The device of that name; `auto` is CUDA where there is one, else the CPU."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    known = isinstance(name, str) and re.fullmatch(r"cpu|cuda(:\d+)?", name)
    require(bool(known), "device", name, "auto, cpu, cuda or cuda:<number>")
    device = torch.device(name)
    n_cuda = torch.cuda.device_count() if device.type == "cuda" else 0
    allowed = f"one of {n_cuda} CUDA devices" if n_cuda else "auto or cpu here: there is no CUDA device"
    require(device.type == "cpu" or (device.index or 0) < n_cuda, "device", name, allowed)
    return device


def prepare_torch() -> None:
    """Settings of the process that trains, on which its numbers depend."""
    # One thread an operation: members are spread over the cores instead (degen/training/processes.py).
    torch.set_num_threads(1)
    # Vanishing gradients fill with denormal numbers, which a CPU adds a hundred times slower.
    torch.set_flush_denormal(True)


def prepare_device(device: torch.device, tf32: bool) -> None:
    """Settings of CUDA; for a CPU its devices are hidden, beside which no processes are forked."""
    if device.type == "cpu" and not torch.cuda.is_initialized():
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    elif device.type == "cuda":
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        torch.cuda.set_device(device.index or 0)  # graphs are recorded on the current device
