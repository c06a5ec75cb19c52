"""Cached files, manifests and columns of swept fields."""

from __future__ import annotations

import dataclasses

import pandas as pd
import pytest
import torch

from analysis.cache import Arrays, cached, cached_rows, read_fingerprint, read_table
from analysis.manifest import Manifest, compute_checksums, read_manifest, remove_manifest, write_manifest
from analysis.trends.factors import factor_columns, swept_columns
from degen.files import read_tensors
from launch.experiment import Experiment
from tests.conftest import build


def test_a_table_is_computed_once_per_fingerprint(tmp_path):
    path, calls = tmp_path / "new" / "table.parquet", []

    def compute() -> pd.DataFrame:
        calls.append(1)
        return pd.DataFrame({"value": [len(calls)]})

    assert [cached(path, key, compute) for key in ("a", "a", "b", "b")] == [True, False, True, False]
    assert read_fingerprint(path) == "b"
    assert read_table(path)["value"].tolist() == [2]


def test_arrays_are_computed_again_if_their_file_is_cut_off(tmp_path):
    path = tmp_path / "arrays.safetensors"

    def compute() -> Arrays:
        return Arrays({"x": torch.arange(3)}, {"seeds": [0]})

    assert cached(path, "a", compute)
    assert not cached(path, "a", compute)
    path.write_bytes(path.read_bytes()[:20])
    assert cached(path, "a", compute)
    tensors, metadata = read_tensors(path)
    assert tensors["x"].tolist() == [0, 1, 2]
    assert metadata["seeds"] == [0]


def test_only_rows_with_another_fingerprint_are_computed(tmp_path):
    path, computed = tmp_path / "rows.parquet", []

    def compute(seeds: list[int]) -> list[dict]:
        computed.append(seeds)
        return [{"seed": seed, "value": 0.1 * seed} for seed in seeds]

    assert cached_rows(path, {0: "a", 1: "b"}, compute)[1] == 2
    table, n_computed = cached_rows(path, {0: "a", 1: "c", 2: "d"}, compute)
    assert (computed, n_computed) == ([[0, 1], [1, 2]], 2)
    assert table["seed"].tolist() == [0, 1, 2]
    assert table["fingerprint"].tolist() == ["a", "c", "d"]
    pd.testing.assert_frame_equal(read_table(path), table, check_exact=True)


def test_a_manifest_names_files_that_were_changed_or_removed(tmp_path):
    paths = [tmp_path / name for name in ("a", "b", "c")]
    for path in paths:
        path.write_text(path.name)
    checksums = compute_checksums(tmp_path, [*paths, tmp_path / "missing"])
    manifest = Manifest({"0123": [0, 1]}, {"overrides": []}, checksums, "key", ["loss.png"])
    write_manifest(tmp_path, manifest)
    assert read_manifest(tmp_path) == manifest
    assert manifest.changed_files(tmp_path) == []
    paths[0].write_text("other")
    paths[2].unlink()
    assert manifest.changed_files(tmp_path) == ["a", "c"]
    remove_manifest(tmp_path)
    assert read_manifest(tmp_path) is None


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"{", b"[]", b"{}"])
def test_a_damaged_manifest_certifies_nothing(tmp_path, content):
    (tmp_path / "manifest.json").write_bytes(content)
    assert read_manifest(tmp_path) is None


STRENGTHS = (0.0, 1e-5, 1e-4)


@pytest.fixture(scope="module")
def swept() -> Experiment:
    """An experiment over the strength of a regularizer."""
    penalties = [[], *(["regularizer=nuclear_norm", f"regularizer.strength={s}"] for s in STRENGTHS[1:])]
    conditions = [build("width=8", *overrides) for overrides in penalties]
    return Experiment("own", ["regularizer.strength"], "strength", [], conditions, [0, 1], "full", False)


def test_every_swept_field_is_a_column(swept):
    columns = swept_columns(swept)
    assert list(columns) == [condition.signature for condition in swept.conditions]
    assert list(columns.values()) == [
        {"regularizer": "NoPenalty", "regularizer.strength": None},
        {"regularizer": "NuclearNorm", "regularizer.strength": 1e-5},
        {"regularizer": "NuclearNorm", "regularizer.strength": 1e-4},
    ]
    factors = [factor_columns(swept, condition) for condition in swept.conditions]
    assert factors == [{"factor_name": "regularizer.strength", "factor_value": s} for s in STRENGTHS]


def test_values_of_several_types_are_columns_of_text(swept):
    first, second, _ = swept.conditions
    mixed = dataclasses.replace(
        swept,
        swept=[
            dataclasses.replace(first, config=first.config | {"extra": 1}),
            dataclasses.replace(second, config=second.config | {"extra": "two"}),
        ],
    )
    assert [row["extra"] for row in swept_columns(mixed).values()] == ["1", '"two"']
