"""Counter-based random numbers, equal on every device and for every batch size.

A stream has a key, computed from seed, purpose, epoch and step. Its numbers are a pure function of the key
and of their position. There is no global generator. One `Stream` may hold many keys at once, such as
the seeds of an ensemble or several training steps. Every array it draws then has the keys' shape as its
leading dimensions.

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
    """Return `value` read as a signed 64-bit integer: torch has no unsigned arithmetic."""
    return value - (1 << 64) if value >= 1 << 63 else value


def _mix(z: Tensor) -> Tensor:
    """Apply SplitMix64's finalizer in place to an int64 tensor (products wrap modulo 2**64)."""
    # Fresh memory costs more than the arithmetic, so all intermediate results share one array.
    shifted = torch.empty_like(z)
    for shift, factor in ((30, _MIX_1), (27, _MIX_2), (31, 1)):
        torch.bitwise_right_shift(z, shift, out=shifted)
        z ^= shifted.bitwise_and_((1 << (64 - shift)) - 1)
        z *= _signed(factor)
    return z


def key(seed: int, purpose: str, epoch: int = 0, step: int = 0) -> int:
    """Return the 64-bit key of a stream.

    Examples:
        >>> key(0, "example") == key(0, "example", epoch=0, step=0)
        True
        >>> key(0, "example") == key(1, "example")
        False
    """
    name = f"{int(seed)}/{purpose}/{int(epoch)}/{int(step)}".encode()
    return _signed(int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big"))


class Stream:
    """Independent streams of random numbers, one for each key.

    Args:
        keys: int64, of any shape. Every array drawn has this shape as its leading dimensions.
        dtype: dtype of `uniform` and `normal`. The numbers agree between dtypes up to rounding.

    Examples:
        >>> stream = Stream.named([0, 1], "example")
        >>> stream.uniform(3).shape
        torch.Size([2, 3])
        >>> first = Stream.named([0], "example").normal(5)
        >>> torch.equal(first, Stream.named([0], "example").normal(5))
        True
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
        """Return a stream with one key per seed, (seeds,), computed from (seed, purpose, epoch, step)."""
        keys = [key(seed, purpose, epoch, step) for seed in seeds]
        return cls(torch.tensor(keys, dtype=torch.int64, device=device), dtype)

    @property
    def device(self) -> torch.device:
        """Device of the keys and of all numbers drawn."""
        return self.keys.device

    def _bits(self, shape: Sequence[int]) -> Tensor:
        """Draw 23 random bits per entry, int64 `(*keys, *shape)`: float32 holds them plus a half exactly."""
        size = math.prod(shape)
        # The number of the draw, in the high bits, separates the counters of successive draws.
        counter = torch.arange(size, dtype=torch.int64, device=self.device) + (self._draws << 40)
        self._draws += 1
        # Mix the counter first. Without mixing, one stream could be a shifted copy of another.
        counter = _mix(counter.mul_(_signed(_GOLDEN)))
        bits = _mix(self.keys.unsqueeze(-1) + counter)
        bits = bits.bitwise_right_shift_(41).bitwise_and_((1 << 23) - 1)
        return bits.reshape(*self.keys.shape, *shape)

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Draw uniform numbers from (low, high), open at both ends: `(*keys, *shape)`."""
        unit = self._bits(shape).to(self.dtype).add_(0.5).mul_(2.0**-23)
        return unit if (low, high) == (0.0, 1.0) else low + (high - low) * unit

    def normal(self, *shape: int) -> Tensor:
        """Draw standard normal numbers by the inverse distribution function: `(*keys, *shape)`."""
        # Compute in float64, so that the tails do not depend on the dtype.
        unit = self._bits(shape).to(torch.float64).add_(0.5).mul_(2.0**-23)
        return torch.special.ndtri(unit, out=unit).to(self.dtype)

    def integers(self, low: int, high: int, *shape: int) -> Tensor:
        """Draw integers low..high, both included: `(*keys, *shape)`, int64.

        The bias is below (high - low) / 2**23.
        """
        return (self._bits(shape) * (high - low + 1)).bitwise_right_shift_(23).add_(low)
