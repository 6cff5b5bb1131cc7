"""Every real plate converts without loss, and what is odd about it is said."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from hts.engine import Conversion, ConvertOptions, plate_notes
from hts.store import Plate
from hts.store.validate import validate

pytestmark = pytest.mark.real


class Real(NamedTuple):
    """A folder with a plate: the reader that takes it, its planes, and what must be said of them."""

    folder: str
    reader: str
    expected: int
    found: int
    says: tuple[str, ...] = ()
    forced: bool = False


EXPORTED, DATABASE, CZI = "faim_imagexpress_exported/9987_Plate_", "faim_imagexpress_db/", "czi_czitools/"
SBS = "cp_sbs_96well"
PLATES = [
    Real(SBS, "pattern", 192, 192),
    Real(EXPORTED + "3420", "imagexpress", 1, 1),
    Real(
        EXPORTED + "3434",
        "imagexpress",
        16,
        16,
        (
            r"HTD announces wave 4 \(Cy5\), no file has it",
            "FITC is the same plane in 3 ZStep folders",
            "Texas Red is the same plane in 3 ZStep folders",
            r"projections of DAPI \(ZStep_0\) are left out",
        ),
    ),
    Real(
        EXPORTED + "3435",
        "imagexpress",
        16,
        16,
        ("HTD announces 6 time points, the files have 2", "HTD announces wave 3", "HTD announces wave 4"),
    ),
    Real(DATABASE + "1well-3C-2S-Zmix-T/2024-04-22/1697", "imagexpress", 12, 12, ("projections",)),
    Real(DATABASE + "SingleChannel/2023-02-21/1334", "imagexpress", 8, 8, ("beside the ZStep folders",)),
    Real("operetta_compose/operetta_plate", "operetta", 2, 2),
    Real("faim_cv8000", "cellvoyager", 96, 96, ("no plane has C03 561, C04 640", "dark and shading images")),
    Real("cp_vendor_names/ExampleHuman", "arrayscan", 3, 3),
    Real("cp_vendor_names/ExampleIlluminationCorrection", "scanr", 1, 1, ("32,768 or more",)),
    Real("bian_misc/BBBC022", "ome-tiff", 3, 3),
    Real(CZI + "WellD6_S1.czi", "zeiss", 1, 1),
    Real(CZI + "nuc_small.czi", "zeiss", 1, 1),
    Real(CZI + "DAPI_GFP.czi", "zeiss", 2, 2, forced=True),
    Real(CZI + "CellDivision_T3_Z5_CH2_X240_Y170.czi", "zeiss", 30, 30, forced=True),
    Real(CZI + "CellDivision_T3_Z5_CH2_X240_Y170_comp1.czi", "zeiss", 30, 30, forced=True),
]


@pytest.mark.parametrize("real", PLATES, ids=lambda real: real.folder)
def test_every_plane_is_found_converted_and_equal(real: Real, data_dir: Path, tmp_path: Path) -> None:
    options = ConvertOptions(reader=real.reader if real.forced else None)
    conversion = Conversion.prepare(data_dir / real.folder, tmp_path / "p.ome.zarr", options)
    assert conversion.source.reader == real.reader
    plate = conversion.run()
    table = plate.completeness()
    assert (len(table), int((table["Status"] == "found").sum())) == (real.expected, real.found)
    verified = conversion.verify()
    assert (verified.equal, verified.different) == (real.found, ())
    notes = plate_notes(plate)
    for text in real.says:
        assert any(re.search(text, note) for note in notes), (text, notes)
    assert validate(plate.path).ok


def test_the_index_and_the_names_of_yokogawa_agree_on_what_is_blank(data_dir: Path, tmp_path: Path) -> None:
    """The pixels of this set were blanked to zero: they are planes, not absences, and read back as such."""
    plate = Conversion.prepare(data_dir / "faim_cv8000", tmp_path / "p.ome.zarr", ConvertOptions()).run()
    field = Plate.open(plate.path)["D08"].fields[0]
    assert len(field.z_planes(plate.channels[0])) == 4
    assert not field.read_plane(plate.channels[0], z=3).any()


def test_the_offset_of_scanr_is_removed_on_request_only(data_dir: Path, tmp_path: Path) -> None:
    folder = data_dir / "cp_vendor_names" / "ExampleIlluminationCorrection"
    lowest = {}
    for remove in (False, True):
        options = ConvertOptions(remove_offset=remove)
        conversion = Conversion.prepare(folder, tmp_path / f"{remove}.ome.zarr", options)
        plate = conversion.run()
        lowest[remove] = int(plate[plate.wells[0]].fields[0].read_plane(plate.channels[0]).min())
        assert conversion.verify().different == ()
        assert (plate.origin["offset"], plate.origin["removed_offset"]) == (32_768, 32_768 * remove)
    assert lowest[False] - 32_768 == lowest[True] >= 0


@pytest.mark.parametrize("folder", ["cp_sbs_96well", "operetta_compose/operetta_plate"])
def test_version_0_4_is_as_lossless(folder: str, data_dir: Path, tmp_path: Path) -> None:
    conversion = Conversion.prepare(data_dir / folder, tmp_path / "p.ome.zarr", ConvertOptions(ngff="0.4"))
    plate = conversion.run()
    assert plate.version == "0.4"
    verified = conversion.verify()
    assert (verified.equal, verified.different) == (len(conversion.source.planes), ())
    assert validate(plate.path).ok
