from __future__ import annotations

import json

import numpy as np
import pytest

from hts.errors import SourceError
from hts.store import Plate, list_labels, write_labels
from hts.store.pyramid import level_shapes
from tests.store.plates import WELL, shards, spec_for, stack, write_one

SHAPE = (602, 521)


@pytest.fixture
def field(tmp_path):
    spec = spec_for(SHAPE)
    return write_one(tmp_path / "p", spec, stack(spec))


def _labels(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 100_000, SHAPE).astype(np.int32)


def test_labels_come_back_and_levels_never_mix_them(field):
    labels = _labels(0)
    write_labels(field, {"nuclei-00000001": labels})
    for level, shape in enumerate(level_shapes(SHAPE)):
        read = field.read_labels("nuclei-00000001", level)
        assert read.dtype == np.int32
        assert read.shape == shape
        np.testing.assert_array_equal(read, labels[:: 2**level, :: 2**level])
    assert len(shards(field.location / "labels")) == len(level_shapes(SHAPE))


def test_labels_are_seen_only_when_they_are_listed(field):
    assert field.label_names() == ()
    write_labels(field, {"nuclei-00000001": _labels(1)})
    assert field.label_names() == ()
    list_labels(field, ["nuclei-00000001"])
    assert field.label_names() == ("nuclei-00000001",)


def test_the_list_flips_and_old_labels_stay_on_disk(field):
    old, new = _labels(1), _labels(2)
    write_labels(field, {"nuclei-00000001": old, "cells-00000001": old})
    list_labels(field, ["nuclei-00000001", "cells-00000001"])
    write_labels(field, {"nuclei-00000002": new})
    assert field.label_names() == ("nuclei-00000001", "cells-00000001")
    list_labels(field, ["nuclei-00000002"])
    assert field.label_names() == ("nuclei-00000002",)
    np.testing.assert_array_equal(field.read_labels("nuclei-00000001"), old)
    np.testing.assert_array_equal(field.read_labels("nuclei-00000002"), new)


def test_listing_the_same_again_writes_nothing(field):
    write_labels(field, {"nuclei-00000001": _labels(1)})
    list_labels(field, ["nuclei-00000001"])
    file = field.location / "labels" / "zarr.json"
    before = file.stat()
    list_labels(field, ["nuclei-00000001"])
    assert file.stat().st_ino == before.st_ino
    list_labels(field, [])
    assert file.stat().st_ino != before.st_ino
    assert field.label_names() == ()


def test_empty_labels_read_as_zero_and_lost_ones_do_not(field):
    write_labels(field, {"nuclei-00000001": np.zeros(SHAPE, np.int32)})
    assert not field.read_labels("nuclei-00000001").any()
    for file in shards(field.location / "labels"):
        file.unlink()
    with pytest.raises(SourceError, match=r"nuclei-00000001/0/c/0/0/0/0 can be read\n  found: no such file"):
        field.read_labels("nuclei-00000001")


def test_label_metadata_says_where_the_image_is(field):
    write_labels(field, {"nuclei-00000001": _labels(1)})
    ome = json.loads((field.location / "labels" / "nuclei-00000001" / "zarr.json").read_bytes())["attributes"]["ome"]
    assert ome["image-label"]["source"] == {"image": "../../"}
    assert [axis["name"] for axis in ome["multiscales"][0]["axes"]] == ["t", "z", "y", "x"]


def test_labels_do_not_change_the_image(field):
    before = field.to_xarray().values
    write_labels(field, {"nuclei-00000001": _labels(1)})
    list_labels(field, ["nuclei-00000001"])
    again = Plate.open(field.location.parents[2])[WELL].fields[0]
    np.testing.assert_array_equal(again.to_xarray().values, before)


def test_labels_of_somebody_else_stay_listed(field):
    write_labels(field, {"hand_drawn": _labels(1), "nuclei-00000001": _labels(1)})
    list_labels(field, ["hand_drawn", "nuclei-00000001"])
    list_labels(field, ["nuclei-00000002"])
    assert field.label_names() == ("nuclei-00000002", "hand_drawn")
