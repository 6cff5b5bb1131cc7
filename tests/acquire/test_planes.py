from __future__ import annotations

import io
import os
import re
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hts.acquire import Plane, read_header, read_plane
from hts.acquire.planes import read_pixels
from hts.errors import SourceError
from hts.model import PixelSize, WellId

from .folders import SHAPE, metaseries, pixels, write_plane

IMAGE = pixels("image")
DTYPE = np.dtype("uint16")
LAYOUTS = {
    "one strip": {},
    "strips": {"rowsperstrip": 4},
    "lzw": {"compression": "lzw", "rowsperstrip": 4},
    "deflate": {"compression": "zlib", "rowsperstrip": 4},
    "packbits": {"compression": "packbits", "rowsperstrip": 4},
    "tiles": {"compression": "zlib", "tile": (16, 16)},
    "big-endian": {"byteorder": ">", "bigtiff": True},
}


def plane_of(path: Path, index: int | None = None) -> Plane:
    return Plane(WellId(0, 0), 1, "DNA", path=path, index=index)


def tiff_bytes(**options: object) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, IMAGE, metadata=None, **options)
    return stream.getvalue()


def header_last(image: np.ndarray) -> bytes:
    """A TIFF as MetaXpress writes it: pixels, then the directory, then the table of strips at the very end."""
    rows = [row.astype("<u2").tobytes() for row in image]
    data = b"".join(rows)
    offsets = [8 + number * len(rows[0]) for number in range(len(rows))]
    directory = 8 + len(data)
    tags = [
        (256, 3, 1, image.shape[1]),
        (257, 3, 1, image.shape[0]),
        (258, 3, 1, 16),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, len(rows), directory + 2 + 12 * 8 + 4),
        (278, 3, 1, 1),
        (279, 4, len(rows), directory + 2 + 12 * 8 + 4 + 4 * len(rows)),
    ]
    parts = [b"II*\0", directory.to_bytes(4, "little"), data, len(tags).to_bytes(2, "little")]
    for code, kind, count, value in tags:
        parts += [number.to_bytes(size, "little") for number, size in ((code, 2), (kind, 2), (count, 4), (value, 4))]
    parts += [bytes(4), np.array(offsets, "<u4").tobytes(), np.full(len(rows), len(rows[0]), "<u4").tobytes()]
    return b"".join(parts)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_pixels_round_trip_in_native_byte_order(tmp_path: Path, layout: str) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(tiff_bytes(**LAYOUTS[layout]))
    image = read_plane(plane_of(path), SHAPE, DTYPE)
    np.testing.assert_array_equal(image, IMAGE)
    assert image.dtype == DTYPE
    assert image.dtype.isnative
    assert image.flags.c_contiguous
    assert image.flags.writeable


@pytest.mark.parametrize("layout", LAYOUTS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(part=st.floats(0, 1, exclude_max=True))
def test_a_cut_file_is_refused_wherever_it_is_cut(tmp_path: Path, layout: str, part: float) -> None:
    whole = tiff_bytes(**LAYOUTS[layout])
    path = tmp_path / "cut.tif"
    path.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(SourceError, match=r"cut\.tif: "):
        read_plane(plane_of(path), SHAPE, DTYPE)


def test_a_cut_file_with_its_header_at_the_end_is_refused_at_every_byte(tmp_path: Path) -> None:
    whole = header_last(IMAGE)
    path = tmp_path / "cut.tif"
    path.write_bytes(whole)
    np.testing.assert_array_equal(read_plane(plane_of(path), SHAPE, DTYPE), IMAGE)
    # tifffile alone returns wrong pixels when only the table of byte counts is lost.
    for n_bytes in range(8 + IMAGE.nbytes, len(whole)):
        path.write_bytes(whole[:n_bytes])
        with pytest.raises(SourceError, match=r"cut\.tif: "):
            read_plane(plane_of(path), SHAPE, DTYPE)


@pytest.mark.parametrize("compression", ["lzw", "zlib", "packbits"])
def test_a_strip_that_decodes_to_too_few_pixels_is_refused(tmp_path: Path, compression: str) -> None:
    path = tmp_path / "short.tif"
    path.write_bytes(tiff_bytes(compression=compression))
    with tifffile.TiffFile(path, mode="r+") as tiff:
        counts = tiff.pages[0].tags["StripByteCounts"]
        counts.overwrite([counts.value[0] // 2])
    with pytest.raises(SourceError, match=r"short\.tif: .*damaged"):
        read_plane(plane_of(path), SHAPE, DTYPE)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(place=st.integers(0, 300), value=st.integers(0, 255))
def test_a_damaged_header_gives_the_plane_or_one_error(tmp_path: Path, place: int, value: int) -> None:
    damaged = bytearray(tiff_bytes(compression="zlib", rowsperstrip=4))
    damaged[place] = value
    path = tmp_path / "damaged.tif"
    path.write_bytes(damaged)
    with suppress(SourceError):
        assert read_pixels(path).ndim == 2


@pytest.mark.parametrize(
    ("image", "options", "reason"),
    [
        (pixels(1, (8, 8)), {}, "is 8 × 8, the plate's planes are 24 × 32"),
        (pixels(1, dtype="uint8"), {}, "has pixels of type uint8, the plate's planes are uint16"),
        (np.zeros((*SHAPE, 3), "uint8"), {"photometric": "rgb"}, r"is a colour image \(3 samples a pixel\)"),
        (np.zeros((3, *SHAPE), "uint16"), {"photometric": "minisblack"}, "holds 3 planes, one is expected"),
        (np.zeros((3, *SHAPE), "uint16"), {"imagej": True}, "holds 3 planes, one is expected"),
    ],
)
def test_another_kind_of_image_is_refused(tmp_path: Path, image: np.ndarray, options: dict, reason: str) -> None:
    path = tmp_path / "other.tif"
    tifffile.imwrite(path, image, **options)
    with pytest.raises(SourceError, match=rf"other\.tif: {reason}"):
        read_plane(plane_of(path), SHAPE, DTYPE)


def test_a_chosen_page_of_many_is_read(tmp_path: Path) -> None:
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, np.stack([pixels(0), pixels(1), pixels(2)]), photometric="minisblack")
    np.testing.assert_array_equal(read_plane(plane_of(path, index=2), SHAPE, DTYPE), pixels(2))
    with pytest.raises(SourceError, match="has no page 3"):
        read_plane(plane_of(path, index=3), SHAPE, DTYPE)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", r"file is empty \(0 bytes\)"), (b"not an image at all", "is not a TIFF file"), (None, "not there any more")],
)
def test_what_is_no_tiff_is_refused(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "bad.tif"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceError, match=rf"bad\.tif: .*{reason}"):
        read_plane(plane_of(path), SHAPE, DTYPE)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is a folder"):
        read_plane(plane_of(tmp_path), SHAPE, DTYPE)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError(13, "Permission denied"), "permission denied"),
        (OSError(5, "Input/output error"), "Input/output"),
    ],
)
def test_a_refusing_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, reason: str) -> None:
    path = write_plane(tmp_path / "locked.tif", IMAGE)

    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(tifffile, "TiffFile", refuse)
    with pytest.raises(SourceError, match=rf"locked\.tif: .*{reason}"):
        read_plane(plane_of(path), SHAPE, DTYPE)


def test_the_reason_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=re.escape(str(tmp_path / "gone.tif"))) as caught:
        read_plane(plane_of(tmp_path / "gone.tif"), SHAPE, DTYPE)
    assert "\n" not in str(caught.value)


def test_metadata_of_a_metaseries_file(tmp_path: Path) -> None:
    path = write_plane(tmp_path / "a.tif", IMAGE, metaseries(x_um=1.5, y_um=-2.5, z_um=9, name="Texas Red"))
    facts = read_header(path)
    assert (facts.shape, facts.dtype) == (SHAPE, DTYPE)
    assert facts.image.pixel_size == PixelSize(0.5, 0.5)
    assert (facts.image.y_um, facts.image.x_um, facts.image.z_um) == (-2.5, 1.5, 9.0)
    assert (facts.image.channel, facts.image.wavelength_nm) == ("Texas Red", 452.0)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"imagej": True, "resolution": (4, 2), "metadata": {"unit": "um"}}, PixelSize(0.5, 0.25)),
        ({"imagej": True, "metadata": {"unit": "um"}}, None),
        ({"imagej": True, "resolution": (4, 2), "metadata": {"unit": "pixel"}}, None),
        ({"resolution": (72, 72), "resolutionunit": "INCH"}, None),
        ({"resolution": (20000, 20000), "resolutionunit": "CENTIMETER"}, None),
    ],
)
def test_pixel_size_only_where_micrometres_are_stated(tmp_path: Path, options: dict, expected: object) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, IMAGE, **options)
    assert read_header(path).image.pixel_size == expected


def test_pixel_size_of_an_ome_tiff(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, IMAGE, metadata={"axes": "YX", "PhysicalSizeX": 0.3, "PhysicalSizeY": 0.4})
    assert read_header(path).image.pixel_size == PixelSize(0.4, 0.3)


@pytest.mark.parametrize("compression", ["jpeg", "jpeg2000"])
@pytest.mark.parametrize("rowsperstrip", [16, 64])
def test_a_jpeg_stream_without_its_end_is_refused(tmp_path: Path, compression: str, rowsperstrip: int) -> None:
    image = pixels(1, (64, 64), "uint8")
    path = tmp_path / "lost.tif"
    tifffile.imwrite(path, image, compression=compression, rowsperstrip=rowsperstrip, metadata=None)
    whole = read_pixels(path)
    np.testing.assert_array_equal(whole, tifffile.imread(path))
    with tifffile.TiffFile(path) as tiff:
        offset, count = tiff.pages[0].dataoffsets[-1], tiff.pages[0].databytecounts[-1]
    raw = bytearray(path.read_bytes())
    raw[offset + count // 2 : offset + count] = bytes(count - count // 2)
    path.write_bytes(raw)
    # The decoder alone takes it for an image.
    assert not np.array_equal(tifffile.imread(path), whole)
    with pytest.raises(SourceError, match=r"lost\.tif: is truncated or damaged: a JPEG stream in it has no end"):
        read_pixels(path)


def test_a_header_of_another_size_is_refused_before_its_pixels_take_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "huge.tif"
    tifffile.imwrite(path, IMAGE, compression="zlib", metadata=None)
    with tifffile.TiffFile(path, mode="r+") as tiff:
        for name in ("ImageWidth", "ImageLength", "RowsPerStrip"):
            tiff.pages[0].tags[name].overwrite(60_000)

    def no_memory(*_: object, **__: object) -> None:
        raise MemoryError("Unable to allocate 6.71 GiB")

    monkeypatch.setattr(tifffile.TiffPage, "asarray", no_memory)
    with pytest.raises(SourceError, match=r"huge\.tif: is 60000 × 60000, the plate's planes are 24 × 32"):
        read_plane(plane_of(path), SHAPE, DTYPE)
    with pytest.raises(SourceError, match=r"huge\.tif: does not fit into memory \(Unable to allocate 6\.71 GiB\)"):
        read_pixels(path)


def test_pixels_of_one_bit_are_0_and_1(tmp_path: Path) -> None:
    path = tmp_path / "mask.tif"
    tifffile.imwrite(path, IMAGE > 100, metadata=None)
    assert read_header(path).dtype == np.uint8
    found = read_plane(plane_of(path), SHAPE, np.dtype("uint8"))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, (IMAGE > 100).astype("uint8"))


def test_complex_pixels_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "wave.tif"
    tifffile.imwrite(path, IMAGE.astype("complex64"), metadata=None)
    with pytest.raises(SourceError, match=r"wave\.tif: has pixels of type complex64, whole or real numbers are"):
        read_header(path)
    with pytest.raises(SourceError, match="complex64"):
        read_pixels(path)


def test_a_pipe_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tif")
    with pytest.raises(SourceError, match=r"pipe\.tif: is no regular file"):
        read_plane(plane_of(tmp_path / "pipe.tif"), SHAPE, DTYPE)
