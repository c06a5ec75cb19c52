"""Devices: the CPU of a machine with a CUDA device. Rejected devices are in test_refused_launches.py."""

from __future__ import annotations

import os

import torch

from launch.device import prepare_device, resolve_device


def test_training_on_a_cpu_hides_cuda_devices(monkeypatch):
    # Counting devices may initialize CUDA, and then processes cannot be forked.
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1 / 0)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    device = resolve_device("cpu")
    prepare_device(device, tf32=False)
    assert device == torch.device("cpu")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""


def test_cuda_devices_in_use_are_not_hidden(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    prepare_device(torch.device("cpu"), tf32=False)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0"
