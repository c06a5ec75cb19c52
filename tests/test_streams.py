"""Counter-based random numbers."""

from __future__ import annotations

import hashlib
import math

import pytest
import torch
from scipy import stats

from degen.streams import _GOLDEN, Stream, _mix, _signed, key


def test_the_mixer_equals_splitmix64():
    # The first outputs of the reference implementation (Vigna, splitmix64.c) from the state 0.
    published = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F, 0xF88BB8A8724C81EC]
    states = torch.tensor([_signed(i * _GOLDEN % 2**64) for i in range(1, 5)])
    assert _mix(states).tolist() == [_signed(value) for value in published]


def test_the_numbers_of_a_key_never_change():
    # Whoever changes them changes every network that was ever trained. Derived here in plain integers.
    def mix(z: int) -> int:
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        return z ^ (z >> 31)

    name = int.from_bytes(hashlib.blake2b(b"7/training trials/3/5", digest_size=8).digest(), "big")
    draws = [
        [mix((name + mix((i + (draw << 40)) * _GOLDEN % 2**64)) % 2**64) >> 41 for i in range(6)]
        for draw in (0, 1)
    ]
    stream = Stream.named([7], "training trials", 3, 5, dtype=torch.float64)
    assert stream.uniform(6).tolist() == [[(bits + 0.5) / 2**23 for bits in draws[0]]]
    assert stream.integers(0, 99, 2, 3).flatten().tolist() == [bits * 100 >> 23 for bits in draws[1]]


@pytest.mark.parametrize(
    ("draw", "distribution"),
    [
        (lambda stream, n: stream.uniform(n), stats.uniform()),
        (lambda stream, n: stream.uniform(n, low=-2.0, high=5.0), stats.uniform(-2, 7)),
        (lambda stream, n: stream.normal(n), stats.norm()),
    ],
)
def test_draws_follow_their_distribution(draw, distribution):
    values = draw(Stream.named([0], "test", dtype=torch.float64), 200_000)[0].numpy()
    assert stats.kstest(values, distribution.cdf).pvalue > 0.01
    assert values.mean() == pytest.approx(distribution.mean(), abs=4 * distribution.std() / 200_000**0.5)
    assert values.std() == pytest.approx(distribution.std(), rel=0.01)


def test_normal_tails_have_their_probabilities():
    values = Stream.named([0], "test").normal(1_000_000)[0]
    beyond = int((values.abs() > 4).sum())
    assert stats.poisson(2 * stats.norm.sf(4) * 1e6).sf(beyond) > 0.001
    assert stats.poisson(2 * stats.norm.sf(4) * 1e6).cdf(beyond) > 0.001


def test_integers_are_uniform_and_both_ends_occur():
    values = Stream.named([0], "test").integers(-3, 7, 110_000)[0]
    assert (values.min(), values.max()) == (-3, 7)
    assert stats.chisquare(torch.bincount(values + 3).numpy()).pvalue > 0.01


def test_uniform_is_open_at_both_ends_in_float32(monkeypatch):
    for bits, allowed in ((0, 2.0**-24), (2**23 - 1, 1 - 2.0**-24)):
        monkeypatch.setattr(Stream, "_bits", lambda self, shape, bits=bits: torch.full((1, *shape), bits))
        stream = Stream.named([0], "test")
        assert stream.uniform(1).item() == allowed
        assert math.isfinite(stream.normal(1).item())
        assert stream.integers(0, 9, 1).item() == (0 if bits == 0 else 9)


def test_different_keys_have_uncorrelated_numbers():
    names = [(0, "a", 0, 0), (1, "a", 0, 0), (0, "b", 0, 0), (0, "a", 1, 0), (0, "a", 0, 1)]
    keys = torch.tensor([key(*name) for name in names])
    draws = Stream(keys, torch.float64).normal(40_000)
    correlation = torch.corrcoef(draws) - torch.eye(5, dtype=torch.float64)
    assert correlation.abs().max() < 4.5 / 40_000**0.5


def test_no_stream_is_a_shifted_copy_of_another():
    first, second = Stream.named([0, 1], "test").uniform(2000).tolist()
    # By chance, 2000 * 2000 / 2**23 = 0.5 values are in both.
    assert len(set(first) & set(second)) < 5


def test_successive_draws_differ_and_are_uncorrelated():
    stream = Stream.named([0], "test", dtype=torch.float64)
    draws = torch.cat([stream.normal(40_000) for _ in range(4)])
    correlation = torch.corrcoef(draws) - torch.eye(4, dtype=torch.float64)
    assert correlation.abs().max() < 4.5 / 40_000**0.5


def test_successive_numbers_of_a_draw_are_uncorrelated():
    draw = Stream.named([0], "test", dtype=torch.float64).normal(100_001)[0]
    for lag in (1, 2, 64, 1024):
        assert abs(torch.corrcoef(torch.stack((draw[:-lag], draw[lag:])))[0, 1]) < 4 / 100_000**0.5


@pytest.mark.parametrize(
    "draw",
    [
        lambda stream: stream.uniform(5, 3),
        lambda stream: stream.normal(5, 3),
        lambda stream: stream.integers(0, 1000, 5, 3),
    ],
)
def test_numbers_of_a_key_do_not_depend_on_other_keys(draw):
    together = draw(Stream.named([3, 1, 4], "test"))
    for row, seed in zip(together, [3, 1, 4], strict=True):
        assert torch.equal(row, draw(Stream.named([seed], "test"))[0])


def test_draws_have_the_keys_shape_as_leading_axes():
    keys = torch.tensor([[key(seed, "test", 0, step) for seed in (0, 1, 2)] for step in (0, 1)])
    numbers = Stream(keys).uniform(5)
    assert numbers.shape == (2, 3, 5)
    assert torch.equal(numbers[1, 2], Stream.named([2], "test", 0, 1).uniform(5)[0])


def test_float32_and_float64_get_the_same_numbers_up_to_rounding():
    for draw in (lambda stream: stream.uniform(10_000), lambda stream: stream.normal(10_000)):
        narrow, wide = (draw(Stream.named([0], "test", dtype=d)) for d in (torch.float32, torch.float64))
        assert torch.equal(narrow, wide.float())


def test_the_global_generator_is_neither_read_nor_advanced():
    torch.manual_seed(0)
    first, after = Stream.named([0], "test").normal(10), torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(first, Stream.named([0], "test").normal(10))
    torch.manual_seed(0)
    assert torch.equal(after, torch.rand(1))
