"""Plates of odd shape, and memory that does not grow with the plate."""

from __future__ import annotations

import threading
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hts
from hts.engine import Conversion, ConvertOptions
from hts.engine.conversion import reading
from hts.engine.inspection import inspect_source
from hts.errors import SourceError
from hts.store import Plate
from tests.engine.folders import (
    PATTERN,
    SHAPE,
    Key,
    assert_holds,
    broken,
    keys,
    pixels,
    planes_in,
    tiff_bytes,
    write_folder,
)

VERSIONS = pytest.mark.parametrize("ngff", ["0.5", "0.4"])


def convert(source: Path, **settings: Any) -> Plate:
    return hts.convert(source, source.parent / "p.ome.zarr", **{"pattern": PATTERN, **settings})


def n_verified(source: Path, **settings: Any) -> int:
    options = ConvertOptions(pattern=PATTERN, **settings)
    found = Conversion.prepare(source, source.parent / "p.ome.zarr", options).verify()
    assert found.different == ()
    return found.equal


PLATES = {
    "one plane": [Key("H12")],
    "the corners of 1536 wells": keys("A01,AF48"),
    "fields far apart": [Key("B02", 7), Key("B02", 4711), Key("B03", 7), Key("B03", 4711)],
    "one well of many planes": keys("C03", fields=4, n_z=3, n_t=3),
    "numbers from 5": [Key("B02", 1, "DNA", z, t) for z in (5, 7) for t in (10, 20)],
}


@VERSIONS
@pytest.mark.parametrize("name", PLATES)
def test_plates_of_any_shape(tmp_path: Path, name: str, ngff: str) -> None:
    made = write_folder(tmp_path / "s", PLATES[name])
    plate = convert(tmp_path / "s", ngff=ngff)
    z = {value: index for index, value in enumerate(sorted({key.z for key in made}))}
    t = {value: index for index, value in enumerate(sorted({key.t for key in made}))}
    assert_holds(plate, {key._replace(z=z[key.z], t=t[key.t]): image for key, image in made.items()})
    assert broken(plate) == {}
    assert n_verified(tmp_path / "s", ngff=ngff) == len(made)


def test_all_wells_of_a_plate_of_1536_are_where_their_names_say(tmp_path: Path) -> None:
    wells = [f"{row}{column:02d}" for row in ("A", "P", "Z", "AA", "AF") for column in (1, 9, 10, 48)]
    made = write_folder(tmp_path / "s", keys(",".join(wells), channels="DNA"))
    plate = convert(tmp_path / "s")
    assert_holds(plate, made)
    assert (plate.layout.rows, plate.layout.columns) == (32, 48)
    assert (plate.path / "AF" / "48" / "1").is_dir()


@VERSIONS
def test_a_field_that_only_one_well_has_is_missing_in_the_others(tmp_path: Path, ngff: str) -> None:
    made = write_folder(tmp_path / "s", [*keys("B02,B03"), *(Key("B03", 2, name) for name in ("DNA", "GFP"))])
    plate = convert(tmp_path / "s", ngff=ngff)
    assert_holds(plate, made)
    said = broken(plate)
    assert set(said) == {Key("B02", 2, "DNA"), Key("B02", 2, "GFP")}
    assert all("other wells have it" in reason for _, reason in said.values())
    field = plate["B02"].field(2)
    assert not field.to_xarray().values.any()


def test_a_field_without_a_readable_plane_is_an_image_without_planes(tmp_path: Path) -> None:
    made = write_folder(tmp_path / "s", keys("B02,B03", fields=2))
    for channel in ("DNA", "GFP"):
        key = Key("B02", 2, channel)
        (tmp_path / "s" / key.file).write_bytes(tiff_bytes(made.pop(key))[:-20])
    plate = convert(tmp_path / "s")
    assert_holds(plate, made)
    with pytest.raises(SourceError, match="could not be read"):
        plate["B02"].field(2).read_plane("DNA")
    assert n_verified(tmp_path / "s") == 6


def test_the_first_well_may_have_nothing_to_read(tmp_path: Path) -> None:
    """What the plate says of itself is taken from an image; the first one has no planes."""
    made = write_folder(tmp_path / "s", keys("A01,B03"))
    for key in keys("A01"):
        (tmp_path / "s" / key.file).write_bytes(b"")
        del made[key]
    plate = convert(tmp_path / "s")
    assert_holds(plate, made)
    assert (plate.channels, plate.dtype) == (("DNA", "GFP"), np.dtype("uint16"))


def test_sparse_z_and_t_are_notes_not_losses(tmp_path: Path) -> None:
    """A channel taken at one z of three, another at every second time point: nothing of that is missing."""
    sparse = [
        key
        for key in keys("B02,B03", channels="DNA,GFP,Phase", n_z=3, n_t=2)
        if (key.channel != "Phase" or key.z == 1) and (key.channel != "GFP" or key.t == 0)
    ]
    made = write_folder(tmp_path / "s", sparse)
    plate = convert(tmp_path / "s")
    assert_holds(plate, made)
    assert broken(plate) == {}
    notes = " ".join(plate.origin["notes"])
    assert "Phase was acquired at 2 of the plate's 6" in notes
    assert "GFP was acquired at 3 of the plate's 6" in notes
    flat = hts.convert(tmp_path / "s", tmp_path / "flat.ome.zarr", pattern=PATTERN, project="max")
    assert planes_in(flat) == {key._replace(z=0) for key in sparse}
    np.testing.assert_array_equal(flat["B02"].field(1).read_plane("Phase"), made[Key("B02", 1, "Phase", 1)])


def test_a_time_point_that_one_field_lacks_is_missing(tmp_path: Path) -> None:
    lost = keys("B02", fields=1, n_t=1)
    lost = [key._replace(t=2) for key in lost]
    made = write_folder(tmp_path / "s", keys("B02,B03", n_t=3, without=lost))
    plate = convert(tmp_path / "s")
    assert_holds(plate, made)
    assert {key: status for key, (status, _) in broken(plate).items()} == dict.fromkeys(lost, "missing")


def test_two_files_for_one_plane_are_a_duplicate_and_none_of_them_is_taken(tmp_path: Path) -> None:
    made = write_folder(tmp_path / "s", keys("B02,B03,C02,C03", fields=2))
    twice = Key("C02", 1, "GFP")
    (tmp_path / "s" / "copy").mkdir()
    (tmp_path / "s" / "copy" / twice.file).write_bytes(tiff_bytes(pixels("other")))
    plate = convert(tmp_path / "s")
    del made[twice]
    assert_holds(plate, made)
    status, reason = broken(plate)[twice]
    assert status == "duplicate"
    assert f"copy/{twice.file}" in reason


def test_well_names_in_any_spelling_are_one_well(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    images = {name: pixels(name) for name in ("b2", "B03", "B004")}
    for name, image in images.items():
        (tmp_path / "s" / f"{name}.tif").write_bytes(tiff_bytes(image))
    plate = convert(tmp_path / "s", pattern=r"(?P<well>[A-Za-z]\d+)")
    assert [well.name for well in plate.wells] == ["B02", "B03", "B04"]
    for well, image in zip(plate.wells, images.values(), strict=True):
        np.testing.assert_array_equal(plate[well].fields[0].read_plane("Channel1"), image)


# --- memory -------------------------------------------------------------------------------------------------------


class Living:
    """Counts the planes that are alive at the same time."""

    def __init__(self) -> None:
        self.now = self.most = self.read = 0
        self._lock = threading.RLock()
        self._original = reading.read_source_plane

    def read_source_plane(self, *arguments: Any) -> Any:
        image = self._original(*arguments)
        with self._lock:
            self.read += 1
            self.now += 1
            self.most = max(self.most, self.now)
        weakref.finalize(image, self._gone)
        return image

    def _gone(self) -> None:
        with self._lock:
            self.now -= 1


@pytest.mark.parametrize("project", ["none", "max", "mean"])
@pytest.mark.parametrize("ngff", ["0.5", "0.4"])
def test_no_more_planes_are_alive_than_threads_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project: str, ngff: str
) -> None:
    """From 16 planes to 160 the number of planes in memory stays what the threads hold: three each at most."""
    workers, most = 2, []
    for wells in ("B02,B03", ",".join(f"{row}{column:02d}" for row in "BCDE" for column in range(1, 6))):
        living = Living()
        monkeypatch.setattr(reading, "read_source_plane", living.read_source_plane)
        folder = tmp_path / str(len(wells))
        every = keys(wells, fields=2, channels="DNA", n_z=4)
        write_folder(folder / "s", every)
        convert(folder / "s", workers=workers, project=project, ngff=ngff)
        monkeypatch.undo()
        assert living.read == len(every)
        assert living.now == 0
        most.append(living.most)
    # The one that is read, the one before it, and what a stack has come to.
    assert max(most) <= 3 * workers


def test_wells_that_are_committed_are_forgotten(tmp_path: Path) -> None:
    """What is kept of a well until its commit goes with it: the 384th costs what the first did."""
    from hts.engine.conversion import wells

    kept: list[weakref.ref[Any]] = []
    most = 0
    write_folder(tmp_path / "s", keys(",".join(f"B{column:02d}" for column in range(1, 25)), channels="DNA"))
    original = wells._WellState.commit

    def commit(self: Any, markers: Any) -> None:
        nonlocal most
        kept.append(weakref.ref(self))
        original(self, markers)
        most = max(most, sum(one() is not None for one in kept))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wells._WellState, "commit", commit)
        convert(tmp_path / "s", workers=2)
    assert len(kept) == 24
    assert most <= 2


def test_a_plate_is_inspected_without_its_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few headers, and a few planes for the offset; the rest of the files is not opened."""
    from hts.acquire import tiff

    opened: set[str] = set()
    original = tiff._page

    def page(path: Path, index: int | None) -> Any:
        opened.add(path.name)
        return original(path, index)

    write_folder(tmp_path / "s", keys(",".join(f"B{column:02d}" for column in range(1, 25)), fields=4))
    monkeypatch.setattr(tiff, "_page", page)
    found = inspect_source(tmp_path / "s", pattern=PATTERN)
    assert found.counts == {"found": 192}
    assert len(opened) <= 16
    assert found.source.shape == SHAPE
