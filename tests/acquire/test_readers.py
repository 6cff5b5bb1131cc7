from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

from hts.acquire import Listing, open_source
from hts.errors import NotFoundError, SourceError, UsageError

from .folders import pixels, write_plane


def entry(name: str, value: str) -> importlib.metadata.EntryPoint:
    return importlib.metadata.EntryPoint(name, value, "hts.readers")


@pytest.fixture
def cellprofiler_folder(tmp_path: Path) -> Path:
    for column in (1, 2):
        write_plane(tmp_path / f"Channel1-{column:02d}-A-{column:02d}.tif", pixels(column))
    return tmp_path


def test_nobody_recognises_shows_examples_and_what_was_tried(tmp_path: Path) -> None:
    for number in range(5):
        write_plane(tmp_path / f"image {number}.tif", pixels(number))
    with pytest.raises(SourceError, match="a known microscope layout") as caught:
        open_source(tmp_path)
    message = str(caught.value)
    for part in ("image 0.tif, image 2.tif, image 4.tif", "imagexpress 0 of 5", "pattern:cellprofiler-sbs 0 of 5"):
        assert part in message
    assert "--pattern '(?P<well>" in message


def test_a_minority_of_known_names_is_not_enough(tmp_path: Path) -> None:
    write_plane(tmp_path / "Channel1-01-A-01.tif", pixels(0))
    for number in range(3):
        write_plane(tmp_path / f"image {number}.tif", pixels(number))
    with pytest.raises(SourceError, match="pattern:cellprofiler-sbs 1 of 4"):
        open_source(tmp_path)
    assert len(open_source(tmp_path, reader="pattern").planes) == 1


@pytest.mark.parametrize(("name", "found"), [(None, "an empty folder"), ("a.png", r"1 other files \(\.png\)")])
def test_a_folder_without_images(tmp_path: Path, name: str | None, found: str) -> None:
    if name:
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(SourceError, match=rf"images \(.tif, .tiff, .nd2, .czi\) in .*\n.*{found}"):
        open_source(tmp_path)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="nothing there"):
        open_source(tmp_path / "gone")


def test_a_forced_reader_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"imagexpress, .*pattern.*\n.*'imagexpres'\n.*did you mean imagexpress"):
        open_source(tmp_path, reader="imagexpres")


def test_a_forced_reader_that_recognises_nothing(cellprofiler_folder: Path) -> None:
    with pytest.raises(SourceError, match=r"reader 'imagexpress' to recognise(.|\n)*imagexpress 0 of 2"):
        open_source(cellprofiler_folder, reader="imagexpress")


def test_a_pattern_that_matches_nothing(cellprofiler_folder: Path) -> None:
    with pytest.raises(SourceError, match=r"Channel1-01-A-01\.tif, Channel1-02-A-02\.tif"):
        open_source(cellprofiler_folder, pattern=r"(?P<well>\w\d\d)_x")


def test_a_pattern_for_another_reader(cellprofiler_folder: Path) -> None:
    with pytest.raises(UsageError, match="belongs to the reader 'pattern'"):
        open_source(cellprofiler_folder, reader="imagexpress", pattern="arrayscan")


def test_vendor_wins_over_pattern_where_both_know_all_names(
    cellprofiler_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = (entry("pattern", "hts.acquire.pattern:PatternReader"), entry("zvendor", f"{__name__}:Vendor"))
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: entries)
    assert open_source(cellprofiler_folder).reader == "pattern read by zvendor"


def test_a_broken_plug_in_is_named(cellprofiler_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: (entry("bad", "not_there:Reader"),))
    with pytest.raises(SourceError, match=r"plug-in 'bad' \(not_there:Reader\)"):
        open_source(cellprofiler_folder)


class Vendor:
    """A plug-in as somebody else would write it."""

    name = "zvendor"

    def sniff(self, listing: Listing) -> float:
        return 1.0

    def read(self, listing: Listing) -> object:
        from dataclasses import replace

        from hts.acquire.pattern import PatternReader

        return replace(PatternReader().read(listing), reader="pattern read by zvendor")
