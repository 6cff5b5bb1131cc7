"""`hts convert --verify`: what differs from its source is found, counted and named, and nothing else is."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import hts
from hts.engine import Conversion, ConvertOptions
from hts.engine.conversion import Verification
from hts.errors import StoreError
from hts.store import Plate
from tests.engine.folders import PATTERN, Key, images, keys, pixels, tiff_bytes, write_folder

VERSIONS = pytest.mark.parametrize("ngff", ["0.5", "0.4"])
ALL = keys("B02,B03", fields=2, n_z=2)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write_folder(tmp_path / "s", ALL)
    return tmp_path / "s"


def made(source: Path, ngff: str = "0.5") -> Plate:
    return hts.convert(source, source.parent / "p.ome.zarr", pattern=PATTERN, ngff=ngff)


def verify(plate: Plate, source: Path, calls: list[tuple[int, int]] | None = None) -> Verification:
    options = ConvertOptions(pattern=PATTERN, ngff=plate.version)
    progress = None if calls is None else lambda done, expected: calls.append((done, expected))
    return Conversion.prepare(source, plate.path, options).verify(progress)


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 16
    path.write_bytes(content)


@VERSIONS
def test_an_untouched_plate_equals_its_source_plane_by_plane(source: Path, ngff: str) -> None:
    calls: list[tuple[int, int]] = []
    found = verify(made(source, ngff), source, calls)
    assert (found.equal, found.different) == (len(ALL), ())
    assert calls == [(1, 2), (2, 2)]


@VERSIONS
@pytest.mark.parametrize("place", [0, 40, -60, -1])
def test_a_flipped_bit_is_found(source: Path, ngff: str, place: int) -> None:
    """In a shard the checksum sees it; in a chunk of 0.4 the pixels or the codec do."""
    plate = made(source, ngff)
    file = images(plate)[0]
    flip(file, place)
    found = verify(plate, source)
    if ngff == "0.4" and not found.different:
        # Not every byte of a Blosc header counts for the pixels; then they are what they should be.
        assert place == 0 or place == 40
        return
    assert (found.equal, len(found.different)) == (len(ALL) - 1, 1)
    assert found.different[0].startswith("B02 field 1 DNA t=0 z=0: ")
    if ngff == "0.5":
        assert str(file) in found.different[0]


@VERSIONS
@pytest.mark.parametrize("how", ["deleted", "emptied", "cut"])
def test_a_file_that_was_lost_is_found(source: Path, ngff: str, how: str) -> None:
    plate = made(source, ngff)
    file = images(plate)[-1]
    if how == "deleted":
        file.unlink()
    else:
        file.write_bytes(b"" if how == "emptied" else file.read_bytes()[:100])
    found = verify(plate, source)
    assert (found.equal, len(found.different)) == (len(ALL) - 1, 1)
    assert found.different[0].startswith("B03 field 2 GFP t=0 z=1: ")


def test_pixels_of_another_file_in_a_sound_shard_are_found(source: Path) -> None:
    plate = made(source)
    one, other = images(plate)[:2]
    one.write_bytes(other.read_bytes())
    found = verify(plate, source)
    assert (found.equal, len(found.different)) == (len(ALL) - 1, 1)
    assert found.different[0].endswith("pixels differ")


@pytest.mark.parametrize("damage", ["gone", "no JSON", "other channels"])
def test_an_image_whose_metadata_is_damaged_costs_its_planes(source: Path, damage: str) -> None:
    plate = made(source)
    document = plate.path / "B" / "02" / "2" / "zarr.json"
    if damage == "gone":
        document.unlink()
    else:
        document.write_text("{" if damage == "no JSON" else document.read_text().replace('"GFP"', '"Red"'))
    found = verify(plate, source)
    assert (found.equal, len(found.different)) == (len(ALL) - 4, 4)
    assert all(line.startswith("B02 field 2") for line in found.different)


def test_a_source_that_changed_afterwards_is_found(source: Path) -> None:
    plate = made(source)
    changed = Key("B02", 2, "GFP", 1)
    image = pixels(changed)
    image[3, 4] += 1
    (source / changed.file).write_bytes(tiff_bytes(image))
    found = verify(plate, source)
    assert found.different == ("B02 field 2 GFP t=0 z=1: 1 pixels differ",)
    assert found.equal == len(ALL) - 1
    with pytest.raises(StoreError, match=r"1 of 16 do not: B02 field 2 GFP"):
        found.raise_if_different(plate)


def test_a_plane_whose_source_is_unreadable_or_gone_now_is_found(source: Path) -> None:
    plate = made(source)
    cut, gone = Key("B02", 2, "GFP", 1), Key("B03", 1, "DNA", 0)
    (source / cut.file).write_bytes(tiff_bytes(pixels(cut))[:-90])
    (source / gone.file).unlink()
    found = verify(plate, source)
    assert found.equal == len(ALL) - 2
    assert found.different == (
        "B02 field 2 GFP t=0 z=1: is in the plate, its source cannot be read",
        "B03 field 1 DNA t=0 z=0: is in the plate, its source cannot be read",
    )


def test_a_source_of_another_size_or_type_is_found(source: Path) -> None:
    plate = made(source)
    for key in ALL:
        (source / key.file).write_bytes(tiff_bytes(pixels(key, dtype="int16")))
    found = verify(plate, source)
    assert found.equal == 0
    assert len(found.different) == len(ALL)
    assert all("uint16" in line and "int16" in line for line in found.different)


def test_planes_that_never_could_be_read_do_not_count(source: Path) -> None:
    (source / Key("B02", 2, "GFP", 1).file).write_bytes(b"")
    (source / Key("B03", 1, "DNA", 0).file).unlink()
    found = verify(made(source), source)
    assert (found.equal, found.different) == (len(ALL) - 2, ())


def test_converting_again_mends_what_verifying_found(source: Path) -> None:
    """A damaged plate is not seen by its markers: --overwrite is what the error recommends."""
    plate = made(source)
    images(plate)[0].unlink()
    assert verify(made(source), source).equal == len(ALL) - 1
    hts.convert(source, plate.path, pattern=PATTERN, overwrite=True)
    assert verify(plate, source).equal == len(ALL)


def test_a_file_that_was_replaced_by_one_of_the_same_size_and_time_is_found(source: Path) -> None:
    plate = made(source)
    key = Key("B03", 1, "GFP", 1)
    path, before = source / key.file, (source / key.file).stat()
    path.write_bytes(tiff_bytes(np.flipud(pixels(key))))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert [line[:12] for line in verify(made(source), source).different] == ["B03 field 1 "]
    assert plate.path.exists()
