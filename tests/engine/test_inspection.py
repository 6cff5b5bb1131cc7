"""What `hts inspect` says: to people as a plate map, to programs as JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import hts
from hts.acquire import PlaneIssue, Source
from hts.acquire.select import Part
from hts.acquire.table import Acquisition
from hts.engine.inspection import Inspection, inspect_source
from hts.errors import NotFoundError, SourceError
from hts.model import Channel, PixelSize, WellId, parse_wells
from tests.engine.folders import PATTERN, SHAPE, Key, content, keys, tiff_bytes, write_folder

LOST, EMPTY, TWICE = Key("B03", 1, "GFP"), Key("C03", 2, "DNA"), Key("B02", 2, "GFP")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six wells × two fields × two channels: one plane missing, one empty, one twice, and D05 without anything."""
    every = keys("B02,B03,C02,C03,D05,D06", fields=2)
    write_folder(tmp_path / "s", [key for key in every if key != LOST])
    for key in keys("D05", fields=2):
        (tmp_path / "s" / key.file).write_bytes(b"")
    (tmp_path / "s" / EMPTY.file).write_bytes(b"")
    (tmp_path / "s" / "again").mkdir()
    (tmp_path / "s" / "again" / TWICE.file).write_bytes(tiff_bytes(np.ones(SHAPE, np.uint16)))
    return tmp_path / "s"


def test_the_counts_and_the_issues_are_those_of_the_folder(folder: Path) -> None:
    told = json.loads(json.dumps(inspect_source(folder, pattern=PATTERN).to_json()))
    assert told["planes"] == {"found": 17, "missing": 1, "unreadable": 5, "duplicate": 1}
    issues = {(row["well"], row["field"], row["channel"], row["status"]) for row in told["issues"]}
    assert {
        ("B03", 1, "GFP", "missing"),
        ("C03", 2, "DNA", "unreadable"),
        ("B02", 2, "GFP", "duplicate"),
        ("D05", 1, "DNA", "unreadable"),
    } <= issues
    assert all(row["reason"] for row in told["issues"])
    assert told["wells"] == ["B02", "B03", "C02", "C03", "D05", "D06"]
    assert (told["fields"], told["channels"], told["z"], told["t"]) == (2, ["DNA", "GFP"], 1, 1)
    assert (told["shape"], told["dtype"], told["pixel_size_um"], told["offset"]) == ([24, 40], "uint16", None, 0)
    assert (told["reader"], told["source"]) == ("pattern", str(folder))


def test_the_map_has_a_mark_for_every_well(folder: Path) -> None:
    lines = inspect_source(folder, pattern=PATTERN).lines()
    rows = {line.split()[0]: line.split()[1:] for line in lines if line.split()[0] in "ABCDEFGH" and "." not in line}
    assert list(rows) == list("ABCDEFGH")[: len(rows)]
    marks = {(name, column + 1): mark for name, line in rows.items() for column, mark in enumerate(line)}
    expected = {("B", 2): "◐", ("B", 3): "◐", ("C", 2): "●", ("C", 3): "◐", ("D", 5): "○", ("D", 6): "●"}
    assert {place: mark for place, mark in marks.items() if mark != "·"} == expected
    header = next(line for line in lines if line.split()[:2] == ["1", "2"])
    column = header.index(" 5") + 1
    assert next(line for line in lines if line.startswith("  D"))[column] == "○"


def test_rows_of_two_letters_stay_in_their_columns(tmp_path: Path) -> None:
    write_folder(tmp_path / "s", keys("A01,AF48", channels="DNA"))
    lines = inspect_source(tmp_path / "s", pattern=PATTERN).lines()
    first = next(line for line in lines if line.startswith("  A "))
    last = next(line for line in lines if line.startswith(" AF "))
    assert (first.index("●"), last.index("●")) == (5, 5 + 47 * 3)
    assert len(first) == len(last)


def test_every_issue_is_a_line_until_there_are_too_many(folder: Path) -> None:
    inspection = inspect_source(folder, pattern=PATTERN)
    lines = inspection.lines()
    assert sum(": missing, " in line or ": unreadable, " in line or ": duplicate, " in line for line in lines) == 7
    many = [PlaneIssue(WellId(0, 0), n, "DNA", 0, 0, "missing", "no file") for n in range(1000)]
    crowded = Inspection(replace(inspection.source, issues=tuple(many))).lines()
    assert sum("missing, no file" in line for line in crowded) == 30
    assert "  … and 970 more; --json lists them all" in crowded


def test_z_and_t_are_named_where_there_are_several(tmp_path: Path) -> None:
    write_folder(tmp_path / "s", keys("B02,B03", n_z=2, without=[Key("B03", 1, "DNA", 1)]))
    lines = inspect_source(tmp_path / "s", pattern=PATTERN).lines()
    assert any(line.startswith("  B03 field 1 DNA z=1 t=0: missing, ") for line in lines)


def source_of(folder: Path, **changes: object) -> Source:
    return replace(inspect_source(folder, pattern=PATTERN).source, **changes)


def test_what_the_metadata_say_is_shown(folder: Path) -> None:
    known = Acquisition("HTS1", "Opera", "20x water", 20.0, 1.0, "2024-01-15T09:00:00", 60.0)
    channels = (Channel("DNA", "0000FF", 450.0, 390.0, 50.0), Channel("GFP", "00FF00"))
    size = PixelSize(0.65, 0.65, 2.0)
    inspection = Inspection(source_of(folder, acquisition=known, channels=channels, pixel_size=size))
    lines = inspection.lines()
    said = "acquired: barcode HTS1, Opera, 20x water, NA 1, begun 2024-01-15T09:00:00, every 60 s"
    assert said in lines
    assert "channels: DNA 390 → 450 nm 50 ms" in lines
    assert "planes of 24 × 40 uint16, 0.65 µm a pixel, 2 µm between z planes" in lines
    told = inspection.to_json()
    assert told["pixel_size_um"] == {"y_um": 0.65, "x_um": 0.65, "z_um": 2.0}
    assert told["acquisition"]["barcode"] == "HTS1"
    assert told["channel_facts"][0]["excitation_nm"] == 390.0


def test_what_nobody_knows_is_not_shown(folder: Path) -> None:
    lines = inspect_source(folder, pattern=PATTERN).lines()
    assert not any(line.startswith(("acquired:", "channels:")) for line in lines)
    assert "planes of 24 × 40 uint16, pixel size unknown" in lines


def test_a_part_is_inspected_as_it_would_be_converted(folder: Path) -> None:
    part = Part(wells=parse_wells("B02-B03"), channels=("GFP",))
    told = inspect_source(folder, pattern=PATTERN, part=part).to_json()
    assert (told["wells"], told["channels"]) == (["B02", "B03"], ["GFP"])
    assert told["planes"] == {"found": 2, "missing": 1, "duplicate": 1}
    with pytest.raises(NotFoundError, match="H01"):
        inspect_source(folder, pattern=PATTERN, part=Part(wells=parse_wells("H01")))


@pytest.mark.parametrize("ngff", ["0.5", "0.4"])
def test_a_plate_is_inspected_as_its_folder_was(folder: Path, tmp_path: Path, ngff: str) -> None:
    """Rows and reasons of the conversion, without the files."""
    before = inspect_source(folder, pattern=PATTERN).to_json()
    place = tmp_path / "p.ome.zarr"
    hts.convert(folder, place, pattern=PATTERN, ngff=ngff, pixel_size_um=0.5)
    held = content(place)
    inspection = inspect_source(place)
    told = inspection.to_json()
    for same in ("wells", "fields", "channels", "z", "t", "shape", "dtype", "planes", "issues"):
        assert told[same] == before[same], same
    assert told["reader"] == "ome-zarr"
    assert told["pixel_size_um"] == {"y_um": 0.5, "x_um": 0.5, "z_um": None}
    assert any("◐" in line for line in inspection.lines())
    assert content(place) == held


def test_nothing_is_written_and_nothing_there_is_told(folder: Path, tmp_path: Path) -> None:
    before = content(folder)
    inspect_source(folder, pattern=PATTERN)
    assert content(folder) == before
    with pytest.raises(NotFoundError, match="nowhere"):
        inspect_source(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="an empty folder"):
        inspect_source(tmp_path / "empty")
