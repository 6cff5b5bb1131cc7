"""Labels written in blocks: what is read is what whole planes would be, and each file has one writer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr

import hts
from hts.errors import SourceError, StoreError, UsageError
from hts.model import Channel, FieldKey, WellId
from hts.store import FieldImage, LabelBlocks, Plate, PlateSpec, create_plate, read_arrays, write_arrays, write_field
from hts.store.labels import write_labels

SHAPE = (700, 1100)


@pytest.fixture(params=["0.5", "0.4"])
def field(request, tmp_path):
    key = FieldKey(WellId.parse("B03"), 1)
    spec = PlateSpec("p", {key.well: (1,)}, (Channel("DNA"),), SHAPE, np.dtype("uint16"), ngff=request.param)
    create_plate(tmp_path / "p.ome.zarr", spec)
    plane = np.arange(SHAPE[0] * SHAPE[1], dtype=np.uint16).reshape(SHAPE)
    write_field(tmp_path / "p.ome.zarr", spec, FieldImage(key, [((0, 0, 0), plane)]))
    return Plate.open(tmp_path / "p.ome.zarr")[key.well].field(1)


def parts(labels, block):
    rows, columns = (range(0, size, block) for size in labels.shape)
    return {(y // block, x // block): labels[y : y + block, x : x + block] for y in rows for x in columns}


def write_all(field, labels, block, order=1):
    writer = LabelBlocks(field, ("nuclei-0123abcd",), labels.shape, block)
    writer.begin()
    for cell, part in list(parts(labels, block).items())[::order]:
        writer.write(cell, {"nuclei-0123abcd": part})
    assert not field.has_labels("nuclei-0123abcd")
    writer.end()
    return writer


@pytest.mark.parametrize("block", [256, 512, 300])
def test_blocks_in_any_order_are_the_whole_image(field, block):
    labels = np.random.default_rng(1).integers(0, 2**31 - 1, SHAPE).astype(np.int32)
    write_labels(field, {"whole-0123abcd": labels})
    write_all(field, labels, block, order=-1)
    for level in range(4):
        np.testing.assert_array_equal(
            field.read_labels("nuclei-0123abcd", level), field.read_labels("whole-0123abcd", level)
        )
    window = (slice(200, 610), slice(1000, 1100))
    np.testing.assert_array_equal(field.read_labels("nuclei-0123abcd", window=window), labels[window])


def test_every_block_is_a_file_of_its_own(field):
    if field.version == "0.4":
        pytest.skip("chunks are files there")
    write_all(field, np.ones(SHAPE, np.int32), 512)
    place = field.location / "labels" / "nuclei-0123abcd" / "0"
    files = sorted(str(file.relative_to(place)) for file in place.rglob("*") if file.is_file())
    assert files == [f"c/0/0/{row}/{column}" for row in (0, 1) for column in (0, 1, 2)] + ["zarr.json"]
    assert zarr.open_array(str(place), mode="r").shards[-2:] == (512, 512)


def test_a_block_that_is_missing_is_an_error_not_background(field):
    labels = np.zeros(SHAPE, np.int32)
    writer = LabelBlocks(field, ("nuclei-0123abcd",), SHAPE, 512)
    writer.begin()
    for cell, part in list(parts(labels, 512).items())[1:]:
        writer.write(cell, {"nuclei-0123abcd": part})
    with pytest.raises(SourceError, match="no such file"):
        writer.end()


@pytest.mark.parametrize("part", [(512, 511), (511, 512), (700, 512)])
def test_a_part_that_is_no_whole_block_is_refused(field, part):
    writer = LabelBlocks(field, ("nuclei-0123abcd",), SHAPE, 512)
    writer.begin()
    with pytest.raises(UsageError, match=r"block \(0, 0\) \(Y, X\) of \(512, 512\)"):
        writer.write((0, 0), {"nuclei-0123abcd": np.zeros(part, np.int32)})
    with pytest.raises(UsageError, match=r"block \(2, 0\)"):
        writer.write((2, 0), {"nuclei-0123abcd": np.zeros((512, 512), np.int32)})


def test_a_window_of_a_plane(field):
    window = (slice(650, 700), slice(3, 77))
    whole = field.read_plane("DNA")
    np.testing.assert_array_equal(field.read_plane("DNA", window=window), whole[window])
    assert hts.__version__


def test_arrays_come_back(tmp_path: Path):
    arrays = {"a": np.arange(12, dtype=np.int32).reshape(3, 4), "b": np.zeros((0, 4), np.int64), "c": np.array([True])}
    write_arrays(tmp_path / "new" / "x.arrays", arrays)
    found = read_arrays(tmp_path / "new" / "x.arrays")
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


def test_damaged_and_missing_arrays_are_told(tmp_path: Path):
    write_arrays(tmp_path / "x", {"a": np.arange(1000)})
    (tmp_path / "x").write_bytes((tmp_path / "x").read_bytes()[:60])
    with pytest.raises(StoreError, match="x holds arrays"):
        read_arrays(tmp_path / "x")
    with pytest.raises(StoreError, match="y can be read"):
        read_arrays(tmp_path / "y")
