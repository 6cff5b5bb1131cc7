"""Real plates and their quirks; the data folder's README lists them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from hts.acquire import Source, open_source, read_plane
from hts.acquire.table import Acquisition
from hts.errors import SourceError
from hts.model import PixelSize, WellId

pytestmark = pytest.mark.real


def read_all(source: Source) -> int:
    return sum(int(read_plane(plane, source.shape, source.dtype).any()) for plane in source.planes)


def test_a_whole_96_well_plate(data_dir: Path) -> None:
    source = open_source(data_dir / "cp_sbs_96well")
    assert (source.reader, source.plate_name) == ("pattern", "cp_sbs_96well")
    assert [channel.name for channel in source.channels] == ["Channel1", "Channel2"]
    assert source.wells == tuple(WellId(row, column) for row in range(8) for column in range(12))
    assert (len(source.planes), source.issues, source.notes) == (192, (), ())
    assert (source.shape, source.dtype, source.pixel_size) == ((640, 640), np.dtype("uint8"), None)
    assert (source.n_z, source.n_t) == (1, 1)
    assert read_all(source) == 192


def test_a_broken_copy_of_the_96_well_plate(data_dir: Path, tmp_path: Path) -> None:
    for path in (data_dir / "cp_sbs_96well").glob("*-[AB]-*.tif"):
        shutil.copyfile(path, tmp_path / path.name)
    cut, empty, lost = (tmp_path / f"Channel1-0{n}-A-0{n}.tif" for n in (1, 2, 3))
    cut.write_bytes(cut.read_bytes()[:200_000])
    empty.write_bytes(b"")
    lost.unlink()
    source = open_source(tmp_path)
    assert [(issue.well.name, issue.status) for issue in source.issues] == [("A02", "unreadable"), ("A03", "missing")]
    with pytest.raises(SourceError, match=r"Channel1-01-A-01\.tif: is truncated: 200,000 bytes of at least 443,8"):
        read_plane(source.planes[0], source.shape, source.dtype)


def test_announced_wave_is_absent_and_copies_fill_the_steps(data_dir: Path) -> None:
    root = data_dir / "faim_imagexpress_exported" / "9987_Plate_3434"
    source = open_source(root)
    assert [channel.name for channel in source.channels] == ["DAPI", "FITC", "Texas Red"]
    assert source.wells == (WellId(1, 1), WellId(1, 2))
    assert source.fields(WellId(1, 1)) == (1, 2)
    assert (source.n_z, source.n_t, source.issues) == (2, 1, ())
    assert len(source.planes) == 2 * 2 * (2 + 1 + 1)
    assert {(plane.channel, plane.z) for plane in source.planes} == {
        ("DAPI", 0),
        ("DAPI", 1),
        ("FITC", 0),
        ("Texas Red", 0),
    }
    assert not any(plane.path.parent.name == "ZStep_0" for plane in source.planes)
    assert "HTD announces wave 4 (Cy5), no file has it" in source.notes
    assert "FITC is the same plane in 3 ZStep folders: kept once, at z index 0" in source.notes
    assert source.pixel_size == PixelSize(1.3672, 1.3672, 3.0)
    assert source.vendor_files == (root / "9987.HTD",)
    assert source.acquisition == Acquisition(
        "9987", "ImageXpress 5165008", "40X Plan Apo Lambda", 40, 0.95, "2024-07-09T13:13:03.006", binning="8x8"
    )
    assert source.planes[0].acquired == "2024-07-09T13:13:03.006"
    assert [channel.exposure_ms for channel in source.channels] == [100, 100, 100]
    assert (source.planes[0].y_um, source.planes[0].x_um, source.planes[0].z_um) == (19885.0, 22985.0, 9988.88)
    assert read_all(source) == 16


def test_fewer_time_points_and_waves_than_announced(data_dir: Path) -> None:
    source = open_source(data_dir / "faim_imagexpress_exported" / "9987_Plate_3435")
    assert (source.n_z, source.n_t, len(source.planes), source.issues) == (1, 2, 16, ())
    assert [channel.name for channel in source.channels] == ["DAPI", "FITC"]
    assert [note for note in source.notes if note.startswith("HTD")] == [
        "HTD announces wave 3 (Texas Red), no file has it",
        "HTD announces wave 4 (Cy5), no file has it",
        "HTD announces 6 time points, the files have 2",
    ]
    assert "FITC at the second time point is a copy of the first: it was acquired less often" in source.notes
    assert read_all(source) == 16


def test_neither_site_nor_wave_in_the_name(data_dir: Path) -> None:
    source = open_source(data_dir / "faim_imagexpress_exported" / "9987_Plate_3420")
    (plane,) = source.planes
    assert (plane.well, plane.field, plane.channel, plane.z, plane.t) == (WellId(1, 1), 1, "DAPI", 0, 0)
    assert (source.issues, source.notes) == ((), ())
    assert read_all(source) == 1


def test_three_plates_in_one_folder_are_refused(data_dir: Path) -> None:
    with pytest.raises(SourceError, match=r"HTD files of 3: 9987_Plate_3420/, 9987_Plate_3434/"):
        open_source(data_dir / "faim_imagexpress_exported")


def test_the_database_keeps_time_points_in_folders_and_glues_guids(data_dir: Path) -> None:
    source = open_source(data_dir / "faim_imagexpress_db" / "1well-3C-2S-Zmix-T")
    assert (source.reader, source.plate_name, source.wells) == (
        "imagexpress",
        "1well-3C-2S-Zmix-T",
        (WellId(2, 6),),
    )
    assert (source.n_z, source.n_t, len(source.planes), source.issues) == (1, 2, 12, ())
    assert [(one.name, one.wavelength_nm, one.exposure_ms) for one in source.channels] == [
        ("FITC", 536, 80),
        ("Cy3", 593, 100),
        ("Texas Red", 624, 5),
    ]
    assert source.notes == (
        "the planes of Cy3 are projections (maximum)",
        "the planes of Texas Red are projections (maximum)",
    )
    assert source.acquisition == Acquisition(
        "1well-3C-2S-Zmix-T", "ImageXpress 5160126", "4X Plan Apo", 4, 0.2, "2024-04-22T09:57:37.294", 5.54, "8x8"
    )
    assert read_all(source) == 12


def test_the_database_keeps_projections_beside_z_steps_and_thumbnails_beside_all(data_dir: Path) -> None:
    root = data_dir / "faim_imagexpress_db" / "SingleChannel"
    source = open_source(root)
    assert source.wells == (WellId(4, 6), WellId(4, 7))
    assert (source.n_z, source.n_t, len(source.planes), source.issues) == (2, 1, 8, ())
    assert {plane.path.parent.name for plane in source.planes} == {"ZStep_1", "ZStep_2"}
    assert source.pixel_size == PixelSize(1.3668, 1.3668, 4.94)
    assert (source.planes[0].y_um, source.planes[0].x_um, source.planes[0].z_um) == (41385.4, 79813.4, 9318.24)
    assert source.planes[0].acquired == "2023-02-21T10:41:56.561"
    assert source.notes == (
        "projections of FITC_05 (beside the ZStep folders) are left out: its single planes are there",
    )
    assert len(list(root.rglob("*_thumb*"))) == 12
    assert read_all(source) == 8


def test_two_plates_of_the_database_and_a_stray_thumbnail(data_dir: Path) -> None:
    with pytest.raises(SourceError, match=r"2 folders, each with a plate of its own: 1well-3C-2S-Zmix-T in 1well-3C"):
        open_source(data_dir / "faim_imagexpress_db")


def test_array_scan_names(data_dir: Path) -> None:
    source = open_source(data_dir / "cp_vendor_names" / "ExampleHuman")
    assert [(plane.well.name, plane.field, plane.channel) for plane in source.planes] == [
        ("D03", 0, "d0"),
        ("D03", 0, "d1"),
        ("D03", 0, "d2"),
    ]
    assert read_all(source) == 3
