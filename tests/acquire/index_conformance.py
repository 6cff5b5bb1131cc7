"""What a reader must do whose vendor writes an index of all planes: read back a simulated plate, survive its damage."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from hts.acquire import Listing, Reader, Source, open_source, read_plane
from hts.locations import location
from hts.model import FieldKey, PlateLayout, WellId
from hts.synth.microscopes import microscope
from hts.synth.scan import PlateScan, ScanChannel, Shot

from .folders import SHAPE, pixels, write_plane

SCAN = PlateScan(
    plate_name="P & 1",
    layout=PlateLayout(8, 12),
    wells=(WellId(0, 0), WellId(1, 10), WellId(7, 11)),
    channels=(ScanChannel("DAPI", 450, 390, 50), ScanChannel("FITC", 525, 488, 120.5)),
    fields=3,
    n_z=3,
    n_t=2,
    shape=SHAPE,
    z_step_um=1.5,
)
LOST = replace(SCAN, lost=frozenset({FieldKey(WellId(1, 10), 2)}))
SMALL = replace(SCAN, wells=SCAN.wells[:2], fields=2, n_z=1, n_t=1)
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda raw: b"",
    "truncated": lambda raw: raw[: len(raw) * 2 // 3],
    "entities": lambda raw: b'<!DOCTYPE x [<!ENTITY a "b"><!ENTITY c "&a;&a;">]>' + raw,
    "no XML": lambda raw: bytes(range(256)) * 20,
}


def plane_of(source: Source, shot: Shot) -> tuple[WellId, int, str, int, int]:
    return (shot.well, shot.field, source.channels[shot.channel].name, shot.z, shot.t)


def found(source: Source) -> dict[tuple[WellId, int, str, int, int], Path]:
    return {(one.well, one.field, one.channel, one.z, one.t): cast(Path, one.path) for one in source.planes}


class IndexConformance:
    """Subclasses give the reader, ``index`` (the name of the index below the plate) and what is not as in the scan."""

    reader = ""
    index = ""
    position_tolerance_um = 1e-6
    barcode = SCAN.barcode
    objective = SCAN.objective
    numerical_aperture: float | None = SCAN.numerical_aperture

    def write(self, folder: Path, scan: PlateScan) -> dict[Shot, Path]:
        return microscope(self.reader).write(folder, scan, pixels)

    def make_reader(self) -> Reader:
        raise NotImplementedError

    def change(self, folder: Path, change: Callable[[bytes], bytes]) -> None:
        path = folder / self.index
        path.write_bytes(change(path.read_bytes()))

    def check_pixels(self, source: Source, written: dict[Shot, Path]) -> None:
        by_key = {plane_of(source, shot): shot for shot in written}
        assert found(source).keys() == by_key.keys()
        for plane in source.planes:
            shot = by_key[plane.well, plane.field, plane.channel, plane.z, plane.t]
            np.testing.assert_array_equal(read_plane(plane, source.shape, source.dtype), pixels(shot))

    def test_a_simulated_plate_is_read_back(self, tmp_path: Path) -> None:
        written = self.write(tmp_path / "plate", SCAN)
        source = open_source(tmp_path / "plate")
        assert (source.reader, source.plate_name) == (self.reader, SCAN.plate_name)
        assert (source.wells, source.n_z, source.n_t, source.issues) == (SCAN.wells, 3, 2, ())
        self.check_pixels(source, written)
        for plane in source.planes:
            assert plane.x_um is not None
            assert plane.y_um is not None
            x_um, y_um = SCAN.offset_um(plane.field)
            assert (plane.x_um, plane.y_um) == pytest.approx((x_um, y_um), abs=self.position_tolerance_um)
            assert plane.z_um == pytest.approx(1.5 * plane.z)
            number = [channel.name for channel in source.channels].index(plane.channel)
            shot = Shot(plane.well, plane.field, number, plane.z, plane.t)
            acquired = datetime.fromisoformat(plane.acquired).replace(tzinfo=None)
            assert abs(acquired - SCAN.acquired(shot)) < timedelta(milliseconds=2)

    def test_what_the_metadata_say_is_mapped(self, tmp_path: Path) -> None:
        self.write(tmp_path, SCAN)
        source = open_source(tmp_path)
        for channel, wanted in zip(source.channels, SCAN.channels, strict=True):
            assert (channel.name, channel.wavelength_nm) == (wanted.name, wanted.emission_nm)
            assert (channel.excitation_nm, channel.exposure_ms) == (wanted.excitation_nm, wanted.exposure_ms)
        assert [channel.color for channel in source.channels] == ["0000FF", "00FF00"]
        size = source.pixel_size
        assert size is not None
        assert (size.y_um, size.x_um, size.z_um) == pytest.approx((0.65, 0.65, 1.5))
        acquisition = source.acquisition
        assert (acquisition.barcode, acquisition.objective) == (self.barcode, self.objective)
        assert (acquisition.magnification, acquisition.numerical_aperture) == (20.0, self.numerical_aperture)
        assert acquisition.started.startswith("2024-01-15T09:00:00")
        assert acquisition.time_step_s == pytest.approx(1800)
        assert tmp_path / self.index in source.vendor_files

    def test_a_lost_field_is_missing_with_the_name_of_each_file(self, tmp_path: Path) -> None:
        written = self.write(tmp_path, LOST)
        source = open_source(tmp_path)
        self.check_pixels(source, written)
        assert len(source.issues) == 2 * 3 * 2
        assert {(one.well, one.field, one.status, one.file) for one in source.issues} == {
            (WellId(1, 10), 2, "missing", "")
        }
        assert all("no such file" in one.reason for one in source.issues)

    def test_a_field_that_the_index_does_not_list_is_not_expected(self, tmp_path: Path) -> None:
        written = self.write(tmp_path, SCAN)
        lost = [shot for shot in written if shot[:2] == (WellId(0, 0), 3)]
        for shot in lost:
            path = written.pop(shot)
            self.change(tmp_path, lambda raw, name=path.name: self.without(raw, name))  # type: ignore[misc]
            path.unlink()
        source = open_source(tmp_path)
        assert source.issues == ()
        self.check_pixels(source, written)

    def without(self, raw: bytes, name: str) -> bytes:
        """The index without the plane of this file."""
        raise NotImplementedError

    def test_an_unlisted_file_is_placed_by_its_name(self, tmp_path: Path) -> None:
        written = self.write(tmp_path, SCAN)
        name = written[Shot(WellId(0, 0), 3, 1, 2, 1)].name
        self.change(tmp_path, lambda raw: self.without(raw, name))
        source = open_source(tmp_path)
        self.check_pixels(source, written)
        assert any("the index does not list" in note and name in note for note in source.notes)

    @pytest.mark.parametrize("damage", DAMAGES)
    def test_a_damaged_index_costs_what_it_told(self, tmp_path: Path, damage: str) -> None:
        written = self.write(tmp_path, SCAN)
        self.change(tmp_path, DAMAGES[damage])
        source = open_source(tmp_path)
        self.check_pixels(source, written)
        assert (source.reader, source.issues) == (self.reader, ())
        assert any(Path(self.index).name in note and "file names place" in note for note in source.notes)

    def test_after_a_damage_the_grid_is_expected(self, tmp_path: Path) -> None:
        self.write(tmp_path, LOST)
        # What is left lists nothing of the well with the lost field.
        self.change(tmp_path, lambda raw: raw[: len(raw) // 4])
        source = open_source(tmp_path)
        assert len(source.issues) == 2 * 3 * 2
        assert {(one.well, one.field, one.status) for one in source.issues} == {(WellId(1, 10), 2, "missing")}

    def test_an_absent_index_costs_what_it_told(self, tmp_path: Path) -> None:
        written = self.write(tmp_path, LOST)
        (tmp_path / self.index).unlink()
        source = open_source(tmp_path)
        self.check_pixels(source, written)
        assert {(one.well, one.field, one.status) for one in source.issues} == {(WellId(1, 10), 2, "missing")}
        assert all(plane.x_um is None for plane in source.planes)

    def test_another_encoding(self, tmp_path: Path) -> None:
        written = self.write(tmp_path, SMALL)
        self.change(tmp_path, lambda raw: raw.decode("utf-8-sig").replace("DAPI", "Dápi µ").encode("utf-16"))
        source = open_source(tmp_path)
        self.check_pixels(source, written)
        assert source.issues == ()
        assert all(plane.x_um is not None for plane in source.planes)

    @pytest.mark.parametrize("escape", ["../{}", "sub/../../../{}", "{outside}/{}", "C:\\{}", "file:///{}"])
    def test_an_index_that_names_a_file_outside(self, tmp_path: Path, escape: str) -> None:
        root = tmp_path / "around" / "plate"
        written = self.write(root, SMALL)
        shot = next(iter(written))
        own = written.pop(shot)
        outside = write_plane(tmp_path / "around" / own.name, pixels("another plate"))
        text = escape.format(self.listed(own.name), outside=outside.parent)
        own.unlink()
        self.change(root, lambda raw: raw.replace(f">{self.listed(own.name)}<".encode(), f">{text}<".encode()))
        # Seen from the folder of the index, whatever that is.
        source = open_source(root / Path(self.index).parent)
        (issue,) = source.issues
        assert (issue.status, issue.well, issue.field) == ("missing", shot.well, shot.field)
        assert "outside" in issue.reason
        self.check_pixels(source, written)

    def listed(self, name: str) -> str:
        """The name of a file as text of the index."""
        return name.replace("&", "&amp;")

    def test_a_file_named_for_two_planes_is_neither(self, tmp_path: Path) -> None:
        written = self.write(tmp_path, SMALL)
        first, second = list(written)[:2]
        names = [self.listed(written[shot].name).encode() for shot in (first, second)]
        self.change(tmp_path, lambda raw: raw.replace(b">" + names[1] + b"<", b">" + names[0] + b"<"))
        source = open_source(tmp_path)
        issues = {(one.well, one.field, one.channel): one for one in source.issues}
        one = issues[first.well, first.field, source.channels[first.channel].name]
        assert (one.status, one.reason) == ("unreadable", "the index names this file for 2 planes")
        assert plane_of(source, first) not in found(source)
        # The file of the second is there, but the index tells of another.
        assert plane_of(source, second) not in found(source)
        assert any("names say another plane" in note for note in source.notes)

    def test_a_repeated_entry_counts_once(self, tmp_path: Path) -> None:
        written = self.write(tmp_path, SMALL)
        name = next(iter(written.values())).name
        self.change(tmp_path, lambda raw: self.doubled(raw, name))
        source = open_source(tmp_path)
        self.check_pixels(source, written)
        assert source.issues == ()
        assert "1 entries of the index are repeated" in source.notes

    def doubled(self, raw: bytes, name: str) -> bytes:
        """The index with the plane of this file twice."""
        raise NotImplementedError

    def test_images_in_another_folder_than_the_index_says(self, tmp_path: Path) -> None:
        written = self.write(tmp_path, SMALL)
        moved = {shot: tmp_path / "moved" / path.name for shot, path in written.items()}
        (tmp_path / "moved").mkdir()
        for shot, path in written.items():
            path.rename(moved[shot])
        source = open_source(tmp_path)
        assert source.issues == ()
        self.check_pixels(source, moved)
        assert all(plane.x_um is not None for plane in source.planes)

    def test_a_plate_at_an_address(self, tmp_path: Path) -> None:
        written = self.write(tmp_path, LOST)
        root = location(f"memory://{self.reader}-{tmp_path.name}/plate")
        for path in sorted(tmp_path.rglob("*")):
            if path.is_file():
                there = root / path.relative_to(tmp_path).as_posix()
                there.parent.mkdir(parents=True, exist_ok=True)
                there.write_bytes(path.read_bytes())
        reader = self.make_reader()
        listing = Listing.of(root)
        assert reader.sniff(listing) == 1.0
        source = reader.read(listing)
        self.check_pixels(source, written)
        assert len(source.issues) == 12

    def test_two_plates_in_one_folder_are_refused(self, tmp_path: Path) -> None:
        self.write(tmp_path / "one", SMALL)
        self.write(tmp_path / "two", replace(SMALL, wells=(WellId(3, 3),)))
        with pytest.raises(OSError, match=r"one plate in .*\n.*in 2 folders: one/"):
            open_source(tmp_path)

    def test_it_can_be_forced_and_asked_for_by_its_index(self, tmp_path: Path) -> None:
        written = self.write(tmp_path, SMALL)
        for source in (open_source(tmp_path, reader=self.reader), open_source(tmp_path / self.index)):
            assert source.reader == self.reader
            self.check_pixels(source, written)

    def test_nothing_can_be_placed(self, tmp_path: Path) -> None:
        self.write(tmp_path, SMALL)
        self.change(tmp_path, DAMAGES["empty"])
        for number, path in enumerate(sorted(tmp_path.rglob("*.tif*"))):
            path.rename(path.with_name(f"image {number}.tif"))
        with pytest.raises(OSError, match=r"names such as (.|\n)*found: .*image(.|\n)*what to do: "):
            self.make_reader().read(Listing.of(tmp_path))

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_an_index_that_may_not_be_read(self, tmp_path: Path) -> None:
        written = self.write(tmp_path, SMALL)
        (tmp_path / self.index).chmod(0)
        source = open_source(tmp_path)
        self.check_pixels(source, written)
        assert any("cannot be read" in note for note in source.notes)
