from __future__ import annotations

import concurrent.futures
import json
import tempfile
from pathlib import Path

import numcodecs
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hts.errors import SourceError, UsageError
from hts.store import arrays
from hts.store.arrays import (
    CHUNK_PX,
    ArraySpec,
    Stored,
    array_document,
    chunk_shape,
    open_read,
    read_part,
    shard_shape,
)
from hts.store.folders import Folders
from tests.store.plates import pixels, shards

AXES = ("t", "c", "z", "y", "x")


def _make(place, shape, dtype="<u2", axes=AXES, **settings):
    spec = ArraySpec(shape, dtype, axes, **settings)
    arrays.create(place, spec, Folders(place.parent))
    return spec


def write_plane(place, spec, index, plane):
    """Each plane by a writer of its own."""
    arrays.write_plane(place, spec, index, plane, Folders(place))


def _read(place, index, version="0.5"):
    return read_part(Stored(place, open_read(place, version)), index)


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


@pytest.mark.parametrize("dtype", ["|u1", "<u2", ">u2", "<f4", "<u4"])
@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.parametrize("version", ["0.5", "0.4"])
def test_the_document_is_the_one_zarr_writes(tmp_path, dtype, labels, version):
    shape, axes = ((1, 1, 641, 500), ("t", "z", "y", "x")) if labels else ((1, 2, 1, 641, 500), AXES)
    ones = (1,) * (len(shape) - 2)
    name, level = ("lz4", 5) if labels else ("zstd", 1)
    settings = {"shape": shape, "dtype": dtype.replace(">", "<"), "chunks": (*ones, 512, 500), "fill_value": 0}
    if version == "0.5":
        codec = zarr.codecs.BloscCodec(cname=name, clevel=level, shuffle="shuffle")
        settings |= {"shards": (*ones, 1024, 500), "dimension_names": axes, "zarr_format": 3}
        settings["compressors"] = (codec, zarr.codecs.Crc32cCodec())
    else:
        codec = numcodecs.Blosc(cname=name, clevel=level, shuffle=numcodecs.Blosc.SHUFFLE)
        settings |= {"compressors": codec, "zarr_format": 2}
        settings["chunk_key_encoding"] = {"name": "v2", "separator": "/"}
    zarr.create_array(str(tmp_path / "theirs"), **settings)
    theirs = json.loads((tmp_path / "theirs" / ("zarr.json" if version == "0.5" else ".zarray")).read_bytes())
    assert json.loads(array_document(ArraySpec(shape, dtype, axes, version, labels))) == theirs


def test_making_an_array_twice_keeps_its_pixels(tmp_path):
    plane = pixels((70, 50), np.uint16)
    write_plane(tmp_path / "a", _make(tmp_path / "a", (1, 1, 1, 70, 50)), (0, 0, 0), plane)
    _make(tmp_path / "a", (1, 1, 1, 70, 50))
    np.testing.assert_array_equal(_read(tmp_path / "a", (0, 0, 0)), plane)


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((71, 50), "u2"), ((69, 50), "u2"), ((1, 1), "u2"), ((50, 70), "u2"), ((70, 50), "u4"), ((70, 50), "f4")],
)
def test_a_plane_that_does_not_fit_is_refused_and_writes_nothing(tmp_path, shape, dtype):
    spec = _make(tmp_path / "a", (1, 1, 1, 70, 50))
    with pytest.raises(
        UsageError, match=rf"\(70, 50\) uint16 for {tmp_path / 'a'}\n  found: \({shape[0]}, {shape[1]}\)"
    ):
        write_plane(tmp_path / "a", spec, (0, 0, 0), pixels(shape, dtype))
    assert shards(tmp_path) == []


@pytest.mark.parametrize("index", [(0, 0), (0, 2, 0), (0, -1, 0), (0, 0, 0, 0)])
def test_a_plane_outside_the_array_is_refused_and_writes_nothing(tmp_path, index):
    spec = _make(tmp_path / "a", (1, 2, 1, 70, 50))
    with pytest.raises(UsageError, match=r"the place of a plane in \('t', 'c', 'z'\) \(1, 2, 1\)"):
        write_plane(tmp_path / "a", spec, index, pixels((70, 50), "u2"))
    assert shards(tmp_path) == []


@pytest.mark.parametrize("document", [None, b"{", b"[]", b'{"zarr_format": 3, "node_type": "group"}'])
def test_open_read_names_the_path_of_what_is_no_array(tmp_path, document):
    folder = tmp_path / "a"
    folder.mkdir()
    for version, name in (("0.5", "zarr.json"), ("0.4", ".zarray")):
        if document is not None:
            (folder / name).write_bytes(document)
        with pytest.raises(SourceError, match=rf"{folder} is a Zarr array"):
            open_read(folder, version)


def _damage_of(content: bytes) -> dict[str, bytes]:
    return {
        "half": content[: len(content) // 2],
        "cut by one byte": content[:-1],
        "index overwritten": content[:-10] + b"\x55" + content[-9:],
        "first chunk header overwritten": bytes(16) + content[16:],
    }


@pytest.mark.parametrize("damage", _damage_of(bytes(64)))
def test_a_damaged_shard_is_named(tmp_path, damage):
    spec = _make(tmp_path / "a", (1, 2, 1, 600, 500))
    planes = pixels((2, 600, 500), np.uint16)
    for channel in (0, 1):
        write_plane(tmp_path / "a", spec, (0, channel, 0), planes[channel])
    shard = tmp_path / "a" / "c" / "0" / "1" / "0" / "0" / "0"
    shard.write_bytes(_damage_of(shard.read_bytes())[damage])
    with pytest.raises(SourceError, match=rf"{shard} can be read\n.*\n  likely cause: a file is damaged"):
        _read(tmp_path / "a", (0, 1, 0))
    np.testing.assert_array_equal(_read(tmp_path / "a", (0, 0, 0)), planes[0])


@pytest.mark.parametrize("content", [b"", b"\x02\x01", bytes(40)])
def test_a_damaged_chunk_of_version_2_is_an_error(tmp_path, content):
    spec = _make(tmp_path / "a", (1, 1, 1, 600, 500), version="0.4")
    write_plane(tmp_path / "a", spec, (0, 0, 0), pixels((600, 500), np.uint16))
    (tmp_path / "a" / "0" / "0" / "0" / "1" / "0").write_bytes(content)
    with pytest.raises(SourceError, match="can be read"):
        _read(tmp_path / "a", (0, 0, 0), "0.4")


def test_a_damaged_shard_in_a_part_of_several_names_the_array(tmp_path):
    spec = _make(tmp_path / "a", (1, 2, 1, 60, 50))
    write_plane(tmp_path / "a", spec, (0, 1, 0), pixels((60, 50), np.uint16))
    (shard,) = shards(tmp_path)
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(SourceError, match=rf"{tmp_path / 'a'} can be read"):
        _read(tmp_path / "a", (slice(None), slice(None), slice(None)))


@pytest.mark.parametrize("version", ["0.5", "0.4"])
def test_a_foreign_array_of_many_chunks_reads_planes_and_fill_values(tmp_path, version):
    values = pixels((2, 90, 70), np.uint16)
    values[1, 64:, 64:] = 7
    foreign = zarr.create_array(
        str(tmp_path / "a"),
        shape=values.shape,
        dtype="u2",
        chunks=(2, 32, 32),
        fill_value=7,
        zarr_format=3 if version == "0.5" else 2,
    )
    foreign[:] = values
    np.testing.assert_array_equal(_read(tmp_path / "a", (1,), version), values[1])
    np.testing.assert_array_equal(_read(tmp_path / "a", (slice(None),), version), values)


@pytest.mark.parametrize("fill", [0, 7])
def test_an_empty_file_is_an_error_whatever_the_fill_value(tmp_path, fill):
    """Zarr reads the fill value from an empty shard, which a power failure can leave."""
    settings = {"shape": (2, 64, 64), "dtype": "u2", "chunks": (1, 32, 32), "shards": (1, 64, 64), "fill_value": fill}
    array = zarr.create_array(str(tmp_path / "a"), **settings)
    array[:] = values = pixels((2, 64, 64), np.uint16)
    file = shards(tmp_path / "a")[1]
    file.write_bytes(b"")
    with pytest.raises(SourceError, match=rf"{file} can be read\n  found: the file is empty"):
        _read(tmp_path / "a", (1,))
    np.testing.assert_array_equal(_read(tmp_path / "a", (0,)), values[0])
    file.unlink()
    assert (_read(tmp_path / "a", (1,)) == fill).all()


@pytest.mark.parametrize("labels", [False, True])
def test_a_flipped_bit_is_an_error_and_never_a_wrong_pixel(tmp_path, labels):
    """Every seventh byte of the shard in turn, one bit of it turned over."""
    plane = np.arange(64 * 64, dtype=np.uint32).reshape(64, 64) % 1000
    spec = _make(tmp_path / "a", (1, 1, 64, 64), "<u4", ("t", "z", "y", "x"), labels=labels)
    write_plane(tmp_path / "a", spec, (0, 0), plane)
    (shard,) = (path for path in (tmp_path / "a" / "c").rglob("*") if path.is_file())
    whole = shard.read_bytes()
    for place in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[place] ^= 0x10
        shard.write_bytes(bytes(damaged))
        with pytest.raises(SourceError, match="can be read"):
            _read(tmp_path / "a", (0, 0))
    shard.write_bytes(whole)
    np.testing.assert_array_equal(_read(tmp_path / "a", (0, 0)), plane)


def _same_plane_written_by_zarr(place, spec, index, plane):
    document = array_document(spec)
    place.mkdir()
    (place / ("zarr.json" if spec.version == "0.5" else ".zarray")).write_bytes(document)
    zarr.open_array(str(place), mode="r+")[(*index, slice(None), slice(None))] = plane


@settings(max_examples=60, deadline=None)
@given(
    plane=st.sampled_from(["u1", "<u2", ">u2", "<i2", "<f4", ">f4", "<u4", "<f8"]).flatmap(
        lambda dtype: hnp.arrays(dtype, st.tuples(st.integers(1, 9), st.integers(1, 9)))
    ),
    repeats=st.tuples(st.sampled_from([1, 57, 130]), st.sampled_from([1, 57, 130])),
    version=st.sampled_from(["0.5", "0.4"]),
    labels=st.booleans(),
    strided=st.booleans(),
)
def test_zarr_reads_what_our_encoder_writes(plane, repeats, version, labels, strided):
    """Any shape, type, byte order and memory layout; and we read what zarr-python writes."""
    plane = np.tile(plane, repeats)
    if strided:
        plane = np.asfortranarray(plane)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "ours"
        spec = _make(place, (1, 2, *plane.shape), plane.dtype.str, ("t", "c", "y", "x"), version=version, labels=labels)
        write_plane(place, spec, (0, 1), plane)
        read = zarr.open_array(str(place), mode="r")
        np.testing.assert_array_equal(read[0, 1], plane)
        assert read.dtype == plane.dtype.newbyteorder("=")
        assert not read[0, 0].any()
        _same_plane_written_by_zarr(Path(folder) / "theirs", spec, (0, 1), plane)
        np.testing.assert_array_equal(_read(Path(folder) / "theirs", (0, 1), version), plane)


def test_threads_write_the_same_bytes_as_one(tmp_path):
    """The plate's hash must not depend on who wrote it."""
    planes = pixels((8, 1100, 1030), np.uint16)
    spec = _make(tmp_path / "a", (8, 1, 1, 1100, 1030))
    for i, plane in enumerate(planes):
        write_plane(tmp_path / "a", spec, (i, 0, 0), plane)
    _make(tmp_path / "b", (8, 1, 1, 1100, 1030))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: write_plane(tmp_path / "b", spec, (i, 0, 0), planes[i]), range(8)))
    assert [file.read_bytes() for file in shards(tmp_path / "a")] == [
        file.read_bytes() for file in shards(tmp_path / "b")
    ]
