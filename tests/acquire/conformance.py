"""What every reader must do. A reader's test class inherits this one and says how its files are named."""

from __future__ import annotations

from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest

from hts.acquire import Source, open_source, read_plane
from hts.errors import SourceError
from hts.model import WellId

from .folders import SHAPE, pixels, write_plane

Key = tuple[WellId, int, int]


class ReaderConformance:
    """Subclasses give ``reader``, ``fields`` and :meth:`path_of`; channels are numbered from 1."""

    reader = ""
    wells = (WellId(0, 0), WellId(1, 1), WellId(2, 11))
    fields: tuple[int, ...] = (1, 2)
    channels = (1, 2)

    def path_of(self, well: WellId, field: int, channel: int) -> str:
        """File of a plane relative to the folder, in the layout of the vendor."""
        raise NotImplementedError

    @pytest.fixture
    def files(self, tmp_path: Path) -> dict[Key, Path]:
        keys = list(product(self.wells, self.fields, self.channels))
        # Written backwards: no reader may rely on the order of files.
        return {key: write_plane(tmp_path / self.path_of(*key), pixels(key)) for key in reversed(keys)}

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
        twin = write_plane(tmp_path / "again" / victim.relative_to(tmp_path), pixels("another"))
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
        victim.write_bytes(victim.read_bytes()[:-50])
        source = open_source(tmp_path)
        plane = next(plane for plane in source.planes if plane.path == victim)
        with pytest.raises(SourceError, match=rf"{victim.name}: is truncated"):
            read_plane(plane, source.shape, source.dtype)

    def test_image_of_another_size_is_named_when_read(self, tmp_path: Path, victim: Path) -> None:
        write_plane(victim, pixels("small", (8, 8)))
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
        write_plane(victim.with_name(f"{victim.stem}_thumb{victim.suffix}"), pixels("thumbnail", (4, 4)))
        write_plane(victim.with_name(f"._{victim.name}"), pixels("macOS", (4, 4)))
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
