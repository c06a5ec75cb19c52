"""Devices: what is refused is in test_refused_launches.py; here what a CPU on a machine with a card needs."""

from __future__ import annotations

import os

import torch

from launch.device import prepare_device, resolve_device


def test_a_cpu_asks_nothing_of_cuda_and_hides_its_devices(monkeypatch):
    # To count devices may set CUDA up, and then processes cannot be forked.
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1 / 0)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    device = resolve_device("cpu")
    prepare_device(device, tf32=False)
    assert device == torch.device("cpu")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""


def test_once_cuda_is_in_use_its_devices_stay_to_be_seen(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    prepare_device(torch.device("cpu"), tf32=False)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0"
