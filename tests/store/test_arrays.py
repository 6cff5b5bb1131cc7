from __future__ import annotations

import json

import numpy as np
import pytest
import zarr
from hts.store.arrays_v3 import (
    CHUNK_PX,
    array_document,
    chunk_shape,
    create,
    open_read,
    read_part,
    shard_shape,
    write_plane,
)
from hypothesis import given
from hypothesis import strategies as st

from hts.errors import SourceError, UsageError
from tests.store.plates import pixels, shards

AXES = ("t", "c", "z", "y", "x")


@given(st.tuples(st.integers(1, 9000), st.integers(1, 9000)))
def test_a_shard_is_the_plane_in_whole_chunks(plane):
    chunk, shard = chunk_shape(plane), shard_shape(plane)
    for size, inner, outer in zip(plane, chunk, shard, strict=True):
        assert inner == min(size, CHUNK_PX if max(plane) >= 1024 else 512)
        assert outer % inner == 0
        assert size <= outer < size + inner


@pytest.mark.parametrize(
    ("plane", "chunk", "shard"),
    [
        ((640, 640), (512, 512), (1024, 1024)),
        ((1023, 1023), (512, 512), (1024, 1024)),
        ((1024, 1024), (1024, 1024), (1024, 1024)),
        ((2048, 2048), (1024, 1024), (2048, 2048)),
        ((2160, 2560), (1024, 1024), (3072, 3072)),
        ((300, 261), (300, 261), (300, 261)),
    ],
)
def test_known_chunks_and_shards(plane, chunk, shard):
    assert (chunk_shape(plane), shard_shape(plane)) == (chunk, shard)


@pytest.mark.parametrize("dtype", ["|u1", "<u2", "<f4", "<u4"])
@pytest.mark.parametrize("labels", [False, True])
def test_the_document_is_the_one_zarr_writes(tmp_path, dtype, labels):
    shape, axes = ((1, 1, 641, 500), ("t", "z", "y", "x")) if labels else ((1, 2, 1, 641, 500), AXES)
    ones = (1,) * (len(shape) - 2)
    codec = zarr.codecs.BloscCodec(cname="lz4" if labels else "zstd", clevel=5 if labels else 1, shuffle="shuffle")
    zarr.create_array(
        str(tmp_path / "theirs"),
        shape=shape,
        dtype=dtype,
        chunks=(*ones, 512, 500),
        shards=(*ones, 1024, 500),
        compressors=(codec, zarr.codecs.Crc32cCodec()),
        fill_value=0,
        dimension_names=axes,
        zarr_format=3,
    )
    theirs = json.loads((tmp_path / "theirs" / "zarr.json").read_bytes())
    assert json.loads(array_document(shape, dtype, axes, labels)) == theirs


def test_making_an_array_twice_keeps_its_pixels(tmp_path):
    plane = pixels((70, 50), np.uint16)
    write_plane(create(tmp_path / "a", (1, 1, 1, 70, 50), "<u2", AXES), (0, 0, 0), plane)
    again = create(tmp_path / "a", (1, 1, 1, 70, 50), "<u2", AXES)
    np.testing.assert_array_equal(again[0, 0, 0], plane)


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((71, 50), "u2"), ((69, 50), "u2"), ((1, 1), "u2"), ((50, 70), "u2"), ((70, 50), "u4"), ((70, 50), "f4")],
)
def test_a_plane_that_does_not_fit_is_refused_and_writes_nothing(tmp_path, shape, dtype):
    array = create(tmp_path / "a", (1, 1, 1, 70, 50), "<u2", AXES)
    with pytest.raises(
        UsageError, match=rf"\(70, 50\) uint16 for {tmp_path / 'a'}\n  found: \({shape[0]}, {shape[1]}\)"
    ):
        write_plane(array, (0, 0, 0), pixels(shape, dtype))
    assert shards(tmp_path) == []


@pytest.mark.parametrize("document", [None, b"{", b"[]", b'{"zarr_format": 3, "node_type": "group"}'])
def test_open_read_names_the_path_of_what_is_no_array(tmp_path, document):
    folder = tmp_path / "a"
    folder.mkdir()
    if document is not None:
        (folder / "zarr.json").write_bytes(document)
    with pytest.raises(SourceError, match=rf"{folder} is a Zarr array"):
        open_read(folder)


def _damage_of(content: bytes) -> dict[str, bytes]:
    return {
        "empty": b"",
        "half": content[: len(content) // 2],
        "cut by one byte": content[:-1],
        "index overwritten": content[:-10] + b"\x55" + content[-9:],
        "first chunk header overwritten": bytes(16) + content[16:],
    }


@pytest.mark.parametrize("damage", _damage_of(bytes(64)))
def test_a_damaged_shard_is_named(tmp_path, damage):
    array = create(tmp_path / "a", (1, 2, 1, 600, 500), "<u2", AXES)
    planes = pixels((2, 600, 500), np.uint16)
    for channel in (0, 1):
        write_plane(array, (0, channel, 0), planes[channel])
    shard = tmp_path / "a" / "c" / "0" / "1" / "0" / "0" / "0"
    shard.write_bytes(_damage_of(shard.read_bytes())[damage])
    opened = open_read(tmp_path / "a")
    with pytest.raises(SourceError, match=rf"{shard} can be read\n.*\n  likely cause: a shard is damaged"):
        read_part(opened, (0, 1, 0))
    np.testing.assert_array_equal(read_part(opened, (0, 0, 0, slice(None), slice(None))), planes[0])


def test_a_damaged_shard_in_a_part_of_several_names_the_array(tmp_path):
    array = create(tmp_path / "a", (1, 2, 1, 60, 50), "<u2", AXES)
    write_plane(array, (0, 1, 0), pixels((60, 50), np.uint16))
    (shard,) = shards(tmp_path)
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(SourceError, match=rf"{tmp_path / 'a'} can be read"):
        read_part(open_read(tmp_path / "a"), (Ellipsis,))


def test_a_foreign_array_of_many_chunks_reads_planes(tmp_path):
    values = pixels((2, 90, 70), np.uint16)
    foreign = zarr.create_array(str(tmp_path / "a"), shape=values.shape, dtype="u2", chunks=(1, 32, 32))
    foreign[:] = values
    np.testing.assert_array_equal(read_part(open_read(tmp_path / "a"), (1, slice(None), slice(None))), values[1])


@pytest.mark.parametrize("labels", [False, True])
def test_a_flipped_bit_is_an_error_and_never_a_wrong_pixel(tmp_path, labels):
    """Every byte of the compressed chunk in turn, one bit of it turned over."""
    plane = np.arange(64 * 64, dtype=np.uint32).reshape(64, 64) % 1000
    array = create(tmp_path / "a", (1, 1, 64, 64), "<u4", ("t", "z", "y", "x"), labels=labels)
    write_plane(array, (0, 0), plane)
    (shard,) = (path for path in (tmp_path / "a" / "c").rglob("*") if path.is_file())
    whole = shard.read_bytes()
    for place in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[place] ^= 0x10
        shard.write_bytes(bytes(damaged))
        with pytest.raises(SourceError, match="can be read"):
            read_part(open_read(tmp_path / "a"), (0, 0))
    shard.write_bytes(whole)
    np.testing.assert_array_equal(read_part(open_read(tmp_path / "a"), (0, 0)), plane)
