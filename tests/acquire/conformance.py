"""What every reader must do. A reader's test class inherits this one and says how its files are named."""

from __future__ import annotations

import importlib.metadata
import uuid
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hts.acquire import Listing, Source, open_source, read_plane
from hts.acquire.readers import GROUP
from hts.errors import SourceError
from hts.locations import Location, location
from hts.model import WellId
from tests.synth.scans import CHANNELS

from .folders import SHAPE, pixels, write_plane
from .scans import check_positions, check_round_trip, written

Key = tuple[WellId, int, int]


def copy_to_memory(folder: Path) -> Location:
    """The same files at an address, which no other test has."""
    root = location(f"memory://{uuid.uuid4()}/plate")
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            copy = root.joinpath(*path.relative_to(folder).parts)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    return root


def read_at(root: Location, reader: str) -> Source:
    """What a reader makes of a place, without asking the others."""
    (entry,) = importlib.metadata.entry_points(group=GROUP, name=reader)
    return entry.load()().read(Listing.of(root))


class ReaderConformance:
    """Subclasses give ``reader``, ``fields`` and :meth:`path_of`; channels are numbered from 1.

    Formats other than TIFF give :meth:`write_image` too, and say whether a lost end shows when a file is opened.
    """

    reader = ""
    wells = (WellId(0, 0), WellId(1, 1), WellId(2, 11))
    fields: tuple[int, ...] = (1, 2)
    channels = (1, 2)
    a_lost_end_shows_early = False
    cut_bytes = 50

    def path_of(self, well: WellId, field: int, channel: int) -> str:
        """File of a plane relative to the folder, in the layout of the vendor."""
        raise NotImplementedError

    def path_in_stack(self, well: WellId, field: int, channel: int, z: int, t: int) -> str | None:
        """File of a plane of a stack (``z``) or time series (``t``), both from 0; None where it has no place."""
        return None

    def write_image(self, path: Path, image: NDArray[np.generic]) -> Path:
        """Write the only plane of a file."""
        return write_plane(path, image)

    @pytest.fixture
    def files(self, tmp_path: Path) -> dict[Key, Path]:
        keys = list(product(self.wells, self.fields, self.channels))
        # Written backwards: no reader may rely on the order of files.
        return {key: self.write_image(tmp_path / self.path_of(*key), pixels(key)) for key in reversed(keys)}

    @pytest.fixture
    def victim(self, files: dict[Key, Path]) -> Path:
        return files[self.wells[1], self.fields[-1], 2]

    def check_one_issue(self, source: Source, status: str) -> None:
        (issue,) = source.issues
        assert issue.status == status
        assert (issue.well, issue.field, issue.channel) == (self.wells[1], self.fields[-1], source.channels[1].name)
        assert (issue.z, issue.t) == (0, 0)
        assert len(source.planes) == len(self.wells) * len(self.fields) * len(self.channels) - 1

    def test_wins_and_places_every_file_by_its_name(self, tmp_path: Path, files: dict[Key, Path]) -> None:
        source = open_source(tmp_path)
        assert source.reader == self.reader
        assert source.wells == self.wells
        assert all(source.fields(well) == self.fields for well in source.wells)
        assert (source.n_z, source.n_t, source.issues) == (1, 1, ())
        assert (source.shape, source.dtype) == (SHAPE, np.dtype("uint16"))
        number = {channel.name: place for place, channel in enumerate(source.channels, 1)}
        found = {(plane.well, plane.field, number[plane.channel]): plane for plane in source.planes}
        assert found.keys() == files.keys()
        for key, plane in found.items():
            assert plane.path == files[key]
            np.testing.assert_array_equal(read_plane(plane, source.shape, source.dtype), pixels(key))

    @pytest.mark.parametrize(("n_z", "n_t"), [(3, 1), (1, 2), (2, 11)])
    def test_stacks_and_time_points_are_placed_by_their_numbers(self, tmp_path: Path, n_z: int, n_t: int) -> None:
        keys = list(product(self.wells[:2], self.fields, self.channels, range(n_z), range(n_t)))
        names = {key: self.path_in_stack(*key) for key in keys}
        if any(name is None for name in names.values()):
            pytest.skip("the layout has no place for it")
        for key in reversed(keys):
            write_plane(tmp_path / str(names[key]), pixels(key))
        source = open_source(tmp_path)
        assert (source.n_z, source.n_t, source.issues) == (n_z, n_t, ())
        number = {channel.name: place for place, channel in enumerate(source.channels, 1)}
        found = {(one.well, one.field, number[one.channel], one.z, one.t): one for one in source.planes}
        assert found.keys() == set(keys)
        for key, plane in found.items():
            assert plane.path == tmp_path / str(names[key])
            np.testing.assert_array_equal(read_plane(plane, source.shape, source.dtype), pixels(key))

    def test_can_be_forced(self, tmp_path: Path, files: dict[Key, Path]) -> None:
        forced, chosen = open_source(tmp_path, reader=self.reader), open_source(tmp_path)
        assert forced.reader == self.reader
        assert (forced.planes, forced.issues) == (chosen.planes, chosen.issues)

    def test_reads_from_an_address_as_from_a_folder(self, tmp_path: Path, files: dict[Key, Path]) -> None:
        source = read_at(copy_to_memory(tmp_path), self.reader)
        local = open_source(tmp_path)
        assert (source.channels, source.issues, source.notes) == (local.channels, local.issues, local.notes)
        assert [source.file_name(one) for one in source.planes] == [local.file_name(one) for one in local.planes]
        for one, same in zip(source.planes, local.planes, strict=True):
            expected = read_plane(same, local.shape, local.dtype)
            np.testing.assert_array_equal(read_plane(one, source.shape, source.dtype), expected)

    def test_planes_are_sorted_and_unique(self, tmp_path: Path, files: dict[Key, Path]) -> None:
        source = open_source(tmp_path)
        order = [channel.name for channel in source.channels]
        keys = [(one.well, one.field, one.t, order.index(one.channel), one.z) for one in source.planes]
        assert all(first < second for first, second in pairwise(keys))

    def test_missing_plane(self, tmp_path: Path, victim: Path) -> None:
        victim.unlink()
        source = open_source(tmp_path)
        self.check_one_issue(source, "missing")
        assert source.issues[0].file == ""
        assert source.issues[0].reason

    def test_two_files_for_one_plane_are_both_refused(self, tmp_path: Path, victim: Path) -> None:
        twin = self.write_image(tmp_path / "again" / victim.relative_to(tmp_path), pixels("another"))
        source = open_source(tmp_path)
        self.check_one_issue(source, "duplicate")
        for path in (victim, twin):
            assert path.relative_to(tmp_path).as_posix() in source.issues[0].reason
        assert {victim, twin}.isdisjoint(plane.path for plane in source.planes)

    def test_empty_file(self, tmp_path: Path, victim: Path) -> None:
        victim.write_bytes(b"")
        source = open_source(tmp_path)
        self.check_one_issue(source, "unreadable")
        assert source.issues[0].reason == "file is empty (0 bytes)"
        assert source.issues[0].file == victim.relative_to(tmp_path).as_posix()

    def test_folder_with_the_name_of_an_image(self, tmp_path: Path, victim: Path) -> None:
        victim.unlink()
        victim.mkdir()
        source = open_source(tmp_path)
        self.check_one_issue(source, "unreadable")
        assert "folder" in source.issues[0].reason

    def test_truncated_file_is_named_when_read(self, tmp_path: Path, victim: Path) -> None:
        victim.write_bytes(victim.read_bytes()[: -self.cut_bytes])
        source = open_source(tmp_path)
        if self.a_lost_end_shows_early:
            self.check_one_issue(source, "unreadable")
            assert "truncated" in source.issues[0].reason
            return
        plane = next(plane for plane in source.planes if plane.path == victim)
        with pytest.raises(SourceError, match=rf"{victim.name}: is truncated"):
            read_plane(plane, source.shape, source.dtype)

    def test_image_of_another_size_is_named_when_read(self, tmp_path: Path, victim: Path) -> None:
        self.write_image(victim, pixels("small", (8, 8)))
        source = open_source(tmp_path)
        assert source.shape == SHAPE
        plane = next(plane for plane in source.planes if plane.path == victim)
        with pytest.raises(SourceError, match=rf"{victim.name}: is 8 × 8, the plate's planes are 24 × 32"):
            read_plane(plane, source.shape, source.dtype)

    def test_foreign_image_is_left_out_with_a_note(self, tmp_path: Path, files: dict[Key, Path]) -> None:
        write_plane(tmp_path / "overview of the plate.tif", pixels("overview"))
        source = open_source(tmp_path)
        assert len(source.planes) == len(files)
        assert any("overview of the plate.tif" in note for note in source.notes)

    def test_thumbnails_and_hidden_files_are_no_images(self, tmp_path: Path, victim: Path) -> None:
        self.write_image(victim.with_name(f"{victim.stem}_thumb{victim.suffix}"), pixels("thumbnail", (4, 4)))
        self.write_image(victim.with_name(f"._{victim.name}"), pixels("macOS", (4, 4)))
        source = open_source(tmp_path)
        assert (source.issues, source.notes) == ((), ())

    def test_frame_has_a_row_for_every_expected_plane(self, tmp_path: Path, victim: Path) -> None:
        victim.unlink()
        source = open_source(tmp_path)
        frame = source.to_frame()
        assert len(frame) == len(self.wells) * len(self.fields) * len(self.channels)
        assert not frame.duplicated(["Well", "Field", "Channel", "Z", "T"]).any()
        lost = frame[frame["Status"] == "missing"]
        assert lost["Well"].tolist() == [self.wells[1].name]
        assert lost["Index"].isna().all()
        assert (frame.loc[frame["Status"] == "found", "File"].str.len() > 0).all()


class MicroscopeConformance:
    """A reader on plates that a simulated ``microscope`` wrote. Subclasses say what the layout has a place for."""

    reader = ""
    microscope = ""
    has_z = True
    has_t = True
    has_positions = True

    def changes(self, **changes: Any) -> dict[str, Any]:
        limits = {} if self.has_z else {"n_z": 1}
        return changes | limits | ({} if self.has_t else {"n_t": 1})

    @pytest.mark.parametrize(
        "shape",
        [{}, {"n_z": 1}, {"n_t": 1}, {"n_z": 3, "n_t": 1, "fields": 1, "channels": CHANNELS, "lost": frozenset()}],
    )
    def test_what_was_acquired_comes_back(self, tmp_path: Path, shape: dict[str, Any]) -> None:
        scan, _ = written(tmp_path, self.microscope, **self.changes(**shape))
        source = check_round_trip(tmp_path, scan, self.reader)
        if self.has_positions:
            check_positions(source, scan)

    def test_a_plate_at_an_address_is_the_same_plate(self, tmp_path: Path) -> None:
        written(tmp_path, self.microscope, **self.changes())
        local, source = open_source(tmp_path), read_at(copy_to_memory(tmp_path), self.reader)
        assert (source.channels, source.acquisition, source.pixel_size) == (
            local.channels,
            local.acquisition,
            local.pixel_size,
        )
        assert source.to_frame().equals(local.to_frame())
        plane = source.planes[len(source.planes) // 2]
        expected = (local.read or read_plane)(local.planes[len(local.planes) // 2], local.shape, local.dtype)
        np.testing.assert_array_equal((source.read or read_plane)(plane, source.shape, source.dtype), expected)

    def test_the_frame_lists_every_plane_once(self, tmp_path: Path) -> None:
        scan, _ = written(tmp_path, self.microscope, **self.changes())
        frame = open_source(tmp_path).to_frame()
        assert len(frame) == len(scan.wells) * scan.fields * len(scan.channels) * scan.n_z * scan.n_t
        assert not frame.duplicated(["Well", "Field", "Channel", "Z", "T"]).any()
