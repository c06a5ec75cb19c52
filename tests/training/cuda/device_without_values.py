"""Checks that code can run on a GPU, made on torch's meta device, whose arrays have no values."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class _OnDeviceOnly(TorchDispatchMode):
    """Rejects arrays on the CPU, and decompositions, which wait for their error code."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for leaf in tree_leaves((args, kwargs, result)):
            on_cpu = isinstance(leaf, torch.Tensor) and leaf.device.type == "cpu"
            assert not on_cpu, f"{function} touches an array on the CPU"
        assert "linalg" not in str(function), function
        return result


class _NoNewArrays(TorchFunctionMode):
    """Rejects arrays made of Python numbers, which are copied from the CPU."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        assert function not in (torch.tensor, torch.as_tensor, torch.Tensor.new_tensor), function
        return function(*args, **(kwargs or {}))


@contextmanager
def capturable() -> Iterator[None]:
    """Reject what a CUDA graph cannot contain. The meta device itself raises if a value is read."""
    with _OnDeviceOnly(), _NoNewArrays():
        yield
