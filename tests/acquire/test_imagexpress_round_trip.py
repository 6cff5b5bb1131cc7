"""ImageXpress plates that hts synth wrote, exported and in the database's layout."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile

from hts.acquire import open_source, read_plane
from hts.acquire.imagexpress import ImageXpressReader
from hts.acquire.listing import Listing
from hts.acquire.table import Acquisition
from hts.errors import SourceError
from hts.model import PixelSize
from hts.synth.scan import Shot
from tests.synth.scans import pixels_of

from .conformance import MicroscopeConformance
from .folders import metaseries, pixels, write_plane
from .scans import check_round_trip, written


class TestExport(MicroscopeConformance):
    reader = microscope = "imagexpress"


class TestDatabase(MicroscopeConformance):
    reader = "imagexpress"
    microscope = "imagexpress_db"


LAYOUTS = ("imagexpress", "imagexpress_db")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [{}, {"n_z": 1, "n_t": 1}])
def test_optics_and_times_are_told(layout: str, shape: dict, tmp_path: Path) -> None:
    scan, _ = written(tmp_path, layout, **shape)
    source = open_source(tmp_path)
    assert source.plate_name == "P1"
    assert source.pixel_size == PixelSize(0.65, 0.65, 2.0 if scan.n_z > 1 else None)
    assert [(one.name, one.wavelength_nm, one.exposure_ms) for one in source.channels] == [
        ("DAPI", 452, 30),
        ("FITC", 536, 80),
    ]
    assert source.acquisition == Acquisition(
        barcode="P1",
        objective="20x simulated",
        magnification=20,
        numerical_aperture=0.75,
        started="2024-01-15T09:00:00",
        time_step_s=1800 if scan.n_t > 1 else None,
        binning="1x1",
    )


def test_one_plane_of_each_field_and_time_tells_z_and_time(tmp_path: Path) -> None:
    scan, _ = written(tmp_path, "imagexpress")
    source = open_source(tmp_path)
    told = [one for one in source.planes if one.acquired]
    assert len(told) == len({(*shot.key, shot.t) for shot in scan.shots()})
    assert all(one.z == 0 and one.channel == "DAPI" and one.z_um == 9000 for one in told)
    assert all(one.z_um is None for one in source.planes if not one.acquired)


def test_the_database_has_thumbnails_projections_and_a_stray(tmp_path: Path) -> None:
    scan, files = written(tmp_path, "imagexpress_db", n_t=1)
    names = [path.name for path in tmp_path.rglob("*.tif")]
    n_stacks = len(files) // scan.n_z
    assert sum("_thumb" in name for name in names) == len(files) + n_stacks + 1
    assert len(names) == 2 * (len(files) + n_stacks) + 1
    assert [path.name.count("_thumb") for path in tmp_path.glob("*.tif")] == [1]
    source = open_source(tmp_path)
    assert not any(plane.path.parent.name == "1001" for plane in source.planes)
    assert source.notes == (
        "projections of DAPI (beside the ZStep folders) are left out: its single planes are there",
        "projections of FITC (beside the ZStep folders) are left out: its single planes are there",
    )


def test_projections_alone_are_known_by_their_header(tmp_path: Path) -> None:
    scan, _ = written(tmp_path, "imagexpress_db", n_t=1)
    for folder in list(tmp_path.rglob("ZStep_*")):
        shutil.rmtree(folder)
    source = open_source(tmp_path)
    assert (source.n_z, len(source.planes)) == (1, 5 * 2)
    assert "the planes of DAPI are projections (maximum)" in source.notes
    highest = [pixels_of(shot, scan.shape) for shot in (Shot(scan.wells[0], 1, 0, z) for z in (0, 1))]
    assert (read_plane(source.planes[0], source.shape, source.dtype) == np.maximum(*highest)).all()


def test_two_acquisitions_of_the_database_are_two_plates(tmp_path: Path) -> None:
    written(tmp_path / "a", "imagexpress_db", n_z=1, n_t=1)
    written(tmp_path / "b", "imagexpress_db", n_z=1, n_t=1, plate_name="P2")
    with pytest.raises(SourceError, match=r"2 folders, each with a plate of its own: P1 in a/2024-01-15/1001/; P2 in"):
        open_source(tmp_path)


def test_two_files_with_other_guids_are_a_duplicate(tmp_path: Path) -> None:
    _, files = written(tmp_path, "imagexpress_db", n_z=1, n_t=1, lost=frozenset())
    path = next(iter(files.values()))
    stem = path.stem[:-36]
    twin = shutil.copy(path, path.with_name(f"{stem}00000000-0000-4000-8000-000000000000.tif"))
    (issue,) = open_source(tmp_path).issues
    assert issue.status == "duplicate"
    assert Path(twin).name in issue.reason


def test_headers_that_lie_about_numbers_cost_those_only(tmp_path: Path) -> None:
    text = metaseries(1.0, 2.0, 3.0).replace('id="stage-position-y" type="string" value="2.0"', 'id="stage-position-y"')
    bad = text.replace("<PlaneInfo>", '<PlaneInfo><prop id="acquisition-time-local" type="time" value="2024-99-99"/>')
    write_plane(tmp_path / "P_B02_s1_w1.TIF", pixels(1), bad)
    write_plane(tmp_path / "P_B02_s2_w1.TIF", pixels(2), text[:-20])
    write_plane(tmp_path / "P_B02_s3_w1.TIF", pixels(3), metaseries(5.0, 6.0, 7.0))
    source = open_source(tmp_path)
    assert [(one.x_um, one.y_um, one.acquired) for one in source.planes] == [
        (None, None, ""),
        (None, None, ""),
        (5, 6, ""),
    ]


def test_an_htd_that_is_a_folder_or_not_permitted_costs_names_only(tmp_path: Path) -> None:
    written(tmp_path, "imagexpress", n_z=1, n_t=1)
    for path in list(tmp_path.rglob("P1.HTD")):
        path.unlink()
        path.mkdir()
    source = open_source(tmp_path)
    assert (len(source.planes), source.vendor_files) == (10, ())
    assert [channel.name for channel in source.channels] == ["DAPI", "FITC"]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"\x80\xff" * 99, '"TimePoints", 2'.encode("utf-16")])
def test_a_damaged_or_empty_htd_costs_names_only(content: bytes, tmp_path: Path) -> None:
    scan, _ = written(tmp_path, "imagexpress")
    for path in tmp_path.rglob("P1.HTD"):
        path.write_bytes(content)
    source = check_round_trip(tmp_path, scan, "imagexpress")
    assert [channel.name for channel in source.channels] == ["DAPI", "FITC"]
    assert source.notes == ()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_descriptions_that_cannot_be_read_leave_the_planes_in_place(layout: str, tmp_path: Path) -> None:
    scan, files = written(tmp_path, layout)
    bad = (
        b"\x80\xfe\xff",
        b"<MetaData><!DOCTYPE x><!ENTITY a 'b'>",
        b"<MetaData><PlaneInfo><prop id=",
        b"<MetaData></PlaneInfo></MetaData>",
    )
    for (shot, path), text in zip(files.items(), itertools.cycle(bad), strict=False):
        tifffile.imwrite(path, pixels_of(shot, scan.shape), description=text, metadata=None)
    source = check_round_trip(tmp_path, scan, "imagexpress")
    assert {(one.x_um, one.acquired) for one in source.planes} == {(None, "")}
    assert source.pixel_size is None


def test_what_ends_like_a_well_is_not_one_for_sure(tmp_path: Path) -> None:
    for name in ("img_s1_c01.tif", "img_s1_c02.tif", "img_s2_c01.tif"):
        write_plane(tmp_path / name, pixels(name))
    assert ImageXpressReader().sniff(Listing.of(tmp_path)) == 0.5
    (tmp_path / "P.HTD").write_text('"HTSInfoFile", Version 1.0\n')
    assert ImageXpressReader().sniff(Listing.of(tmp_path)) == 1.0
