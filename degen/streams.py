"""Random numbers by address, the same on every device and in every batch (DESIGN, contract 6).

A stream is named by (seed, purpose, epoch, step). Its numbers are a pure function of that name and of
their position: no state, no global generator. One `Stream` may hold many such names at once (the members
of an ensemble, several training steps); every array it draws then has the shape of the names in front.

Source: SplitMix64's finalizer (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number
generators", OOPSLA) applied to a key and to a mixed counter; the key is a BLAKE2b hash of the name.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import torch
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB


def _signed(value: int) -> int:
    """The 64-bit two's complement reading of `value`, since torch has no unsigned arithmetic."""
    return value - (1 << 64) if value >= 1 << 63 else value


def _mix(z: Tensor) -> Tensor:
    """SplitMix64's finalizer, in place on an int64 tensor (products wrap modulo 2**64)."""
    # Fresh memory costs more than the arithmetic: one array for all that is in between.
    shifted = torch.empty_like(z)
    for shift, factor in ((30, _MIX_1), (27, _MIX_2), (31, 1)):
        torch.bitwise_right_shift(z, shift, out=shifted)
        z ^= shifted.bitwise_and_((1 << (64 - shift)) - 1)
        z *= _signed(factor)
    return z


def key(seed: int, purpose: str, epoch: int = 0, step: int = 0) -> int:
    """The 64-bit key of a stream's name."""
    name = f"{int(seed)}/{purpose}/{int(epoch)}/{int(step)}".encode()
    return _signed(int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big"))


class Stream:
    """Independent streams of random numbers, one for each key.

    Args:
        keys: int64, any shape; that shape leads every array drawn.
        dtype: floating type of `uniform` and `normal`. All types get the same numbers up to rounding.
    """

    def __init__(self, keys: Tensor, dtype: torch.dtype = torch.float32):
        self.keys = keys
        self.dtype = dtype
        self._draws = 0

    @classmethod
    def named(
        cls,
        seeds: Sequence[int],
        purpose: str,
        epoch: int = 0,
        step: int = 0,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> Stream:
        """The streams (seed, purpose, epoch, step) for each seed: keys of shape (seeds,)."""
        keys = [key(seed, purpose, epoch, step) for seed in seeds]
        return cls(torch.tensor(keys, dtype=torch.int64, device=device), dtype)

    @property
    def device(self) -> torch.device:
        return self.keys.device

    def _bits(self, shape: Sequence[int]) -> Tensor:
        """23 random bits for each entry, int64 (*keys, *shape): a float32 holds them and a half exactly."""
        size = math.prod(shape)
        # The draw's number in the high half keeps the counters of successive draws apart.
        counter = torch.arange(size, dtype=torch.int64, device=self.device) + (self._draws << 40)
        self._draws += 1
        # The counter is mixed first: adding it to the key raw would make two streams shifted copies.
        counter = _mix(counter.mul_(_signed(_GOLDEN)))
        bits = _mix(self.keys.unsqueeze(-1) + counter)
        bits = bits.bitwise_right_shift_(41).bitwise_and_((1 << 23) - 1)
        return bits.reshape(*self.keys.shape, *shape)

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Uniform on (low, high), open at both ends: (*keys, *shape)."""
        unit = self._bits(shape).to(self.dtype).add_(0.5).mul_(2.0**-23)
        return unit if (low, high) == (0.0, 1.0) else low + (high - low) * unit

    def normal(self, *shape: int) -> Tensor:
        """Standard normal, by the inverse distribution function: (*keys, *shape)."""
        # In float64, so that the tails do not depend on the dtype.
        unit = self._bits(shape).to(torch.float64).add_(0.5).mul_(2.0**-23)
        return torch.special.ndtri(unit, out=unit).to(self.dtype)

    def integers(self, low: int, high: int, *shape: int) -> Tensor:
        """Integers low..high, both included, int64 (*keys, *shape). Bias below (high - low) / 2**23."""
        return (self._bits(shape) * (high - low + 1)).bitwise_right_shift_(23).add_(low)
