from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts.acquire import Listing, Source, open_source, read_plane
from hts.acquire.listing import ImageFile
from hts.acquire.metadata import parse_xml
from hts.acquire.scanr import ScanRReader, parse_shot
from hts.acquire.scanr_metadata import descriptor_facts, ome_facts
from hts.errors import SourceError
from hts.locations import location
from hts.model import PixelSize, WellId

from .conformance import ReaderConformance
from .folders import pixels, write_plane
from .simulated import check_positions, check_round_trip, small_scan, write_scan

CHANNELS = ("405 nm #1", "cherry")


def name_of(number: int, field: int = 1, channel: str = "cherry", prefix: str = "", z: int = 0, t: int = 0) -> str:
    return f"{prefix}--W{number:05d}--P{field:05d}--Z{z:05d}--T{t:05d}--{channel}.tif"


class TestWellsInNames(ReaderConformance):
    reader = "scanr"

    def path_of(self, well: WellId, field: int, channel: int) -> str:
        prefix = f"{well.row_name}{well.column + 1}"
        return "data/" + name_of(well.row * 12 + well.column + 1, field, CHANNELS[channel - 1], prefix)

    def path_in_stack(self, well: WellId, field: int, channel: int, z: int, t: int) -> str:
        return self.path_of(well, field, channel).replace("Z00000--T00000", f"Z{z:05d}--T{t:05d}")


class TestNumbersOnly(ReaderConformance):
    reader = "scanr"
    fields = (1, 4)

    def path_of(self, well: WellId, field: int, channel: int) -> str:
        return name_of(well.row * 12 + well.column + 1, field, CHANNELS[channel - 1], "plate 9")

    @pytest.fixture(autouse=True)
    def descriptor(self, tmp_path: Path) -> None:
        (tmp_path / "experiment_descriptor.xml").write_text(descriptor(8, 12))


def descriptor(rows: int, columns: int, more: str = "") -> str:
    inside = f"<I32><Name>Rows</Name><Val>{rows}</Val></I32><I32><Name>Columns</Name><Val>{columns}</Val></I32>"
    return f"<LVData><Cluster><Name>format typedef</Name>{inside}</Cluster>{more}</LVData>"


def ome(*files: str, y_um: tuple[float, ...] = (), name: str = "Well 14, Position 1 (B2)") -> str:
    """An OME-XML whose planes are these files at C 0, Z 0 and T 0, 1, …"""
    data = "".join(
        f'<TiffData FirstC="0" FirstT="{t}" FirstZ="0"><UUID FileName="{file}"/></TiffData>'
        for t, file in enumerate(files)
    )
    planes = "".join(
        f'<Plane DeltaT="{10 * t}" PositionX="5" PositionY="{y}" PositionZ="7" TheC="0" TheT="{t}" TheZ="0"/>'
        for t, y in enumerate(y_um)
    )
    pixels_of = 'ID="Pixels:1" PhysicalSizeX="0.325" PhysicalSizeY="0.325"'
    channel = '<Channel ID="Channel:0" Name="cherry"/>'
    space = 'xmlns="http://www.openmicroscopy.org/Schemas/OME/2013-06"'
    inside = f"<Pixels {pixels_of}>{channel}{data}{planes}</Pixels>"
    return f'<OME {space}><Image ID="Image:1" Name="{name}">{inside}</Image></OME>'


def wells_of(source: Source) -> dict[str, str]:
    return {plane.path.name: plane.well.name for plane in source.planes}


@given(
    prefix=st.sampled_from(["", "B2", "plate 7", "a--b"]),
    numbers=st.tuples(*[st.integers(0, 99_999)] * 4),
    channel=st.sampled_from(["cherry", "405 nm #1", "Transmission-CSU", "a--b"]),
)
def test_names_round_trip(prefix: str, numbers: tuple[int, int, int, int], channel: str) -> None:
    number, field, z, t = numbers
    name = name_of(number, field, channel, prefix, z, t)
    found = parse_shot(ImageFile(Path(name), f"data/{name}"))
    assert found is not None
    assert found[:6] == (prefix, number, field, channel, z, t)


@pytest.mark.parametrize("name", ["B2--W00014--P00001.tif", "W1--P1--Z0--T0--x.png", "P_B03_s1_w1.TIF"])
def test_names_of_other_layouts(name: str) -> None:
    assert parse_shot(ImageFile(Path(name), name)) is None


def test_round_trip_with_z_and_t(tmp_path: Path) -> None:
    scan = small_scan(n_z=3, n_t=2, lost=True)
    source = check_round_trip(tmp_path / "plate", "scanr", scan)
    check_positions(source, scan)
    assert source.pixel_size == PixelSize(0.65, 0.65, 2.0)
    assert [(one.name, one.wavelength_nm, one.excitation_nm, one.exposure_ms) for one in source.channels] == [
        ("Actin", 520.0, 488.0, 20.0),
        ("DNA", 450.0, 390.0, 50.0),
    ]
    acquisition = source.acquisition
    assert (acquisition.barcode, acquisition.instrument, source.plate_name) == (
        "HTS000001",
        "Olympus IX83",
        "HTS000001",
    )
    assert (acquisition.objective, acquisition.magnification) == ("20x simulated", 20.0)
    assert (acquisition.started, acquisition.time_step_s) == ("2024-01-15T09:00:00", 1800.0)
    assert source.issues[0].reason.endswith("B2--W00014--P00002--Z00000--T00000--Actin.tif, which is not there")
    assert [path.name for path in source.vendor_files] == ["metadata.ome.xml", "experiment_descriptor.xml"]
    assert source.notes == ()


def test_the_descriptor_alone_names_the_wells(tmp_path: Path) -> None:
    write_scan(tmp_path, "scanr", small_scan())
    (tmp_path / "data" / "metadata.ome.xml").unlink()
    for path in (tmp_path / "data").iterdir():
        path.rename(path.with_name("--" + path.name.partition("--")[2]))
    source = open_source(tmp_path)
    assert source.wells == (WellId(0, 0), WellId(1, 1), WellId(7, 11))
    assert source.pixel_size == PixelSize(0.65, 0.65, 2.0)
    assert [(one.name, one.exposure_ms) for one in source.channels] == [("Actin", 20.0), ("DNA", 50.0)]
    assert source.notes == ()


# --- wells -------------------------------------------------------------------------------------------------------


def test_without_metadata_the_smallest_plate_is_assumed_and_said(tmp_path: Path) -> None:
    for number in (1, 50):
        write_plane(tmp_path / name_of(number), pixels(number))
    source = open_source(tmp_path)
    assert wells_of(source) == {name_of(1): "A01", name_of(50): "E02"}
    (note,) = source.notes
    assert "8 × 12 is assumed, the smallest standard plate with 50 wells, so that W00050 is E02" in note


def test_rows_and_columns_of_the_descriptor(tmp_path: Path) -> None:
    (tmp_path / "experiment_descriptor.xml").write_text(descriptor(16, 24))
    for number in (1, 50, 385):
        write_plane(tmp_path / name_of(number), pixels(number))
    source = open_source(tmp_path)
    assert wells_of(source) == {name_of(1): "A01", name_of(50): "C02"}
    assert any(name_of(385) in note for note in source.notes)


def test_columns_follow_from_wells_that_have_names(tmp_path: Path) -> None:
    (tmp_path / "metadata.ome.xml").write_text(ome(name_of(14)))
    for number in (14, 27):
        write_plane(tmp_path / name_of(number), pixels(number))
    source = open_source(tmp_path)
    assert wells_of(source) == {name_of(14): "B02", name_of(27): "C03"}
    assert source.notes == ()


def test_names_win_over_metadata_and_the_doubt_is_noted(tmp_path: Path) -> None:
    name = name_of(14, prefix="C5")
    (tmp_path / "metadata.ome.xml").write_text(ome(name))
    write_plane(tmp_path / name, pixels(1))
    source = open_source(tmp_path)
    assert wells_of(source) == {name: "C05"}
    assert source.notes == ("files of well number 14 are named C05, the metadata say B02: the names are followed",)


def test_one_prefix_for_all_wells_is_the_plate(tmp_path: Path) -> None:
    for number in (1, 2):
        write_plane(tmp_path / name_of(number, prefix="A1"), pixels(number))
    source = open_source(tmp_path)
    assert (source.plate_name, source.wells) == ("A1", (WellId(0, 0), WellId(0, 1)))


def test_numbers_of_no_plate(tmp_path: Path) -> None:
    write_plane(tmp_path / name_of(0), pixels(0))
    with pytest.raises(SourceError, match="well numbers of a plate"):
        open_source(tmp_path)


# --- metadata ----------------------------------------------------------------------------------------------------


def test_a_stage_that_runs_against_the_plate_is_turned(tmp_path: Path) -> None:
    names = [name_of(1, prefix="A1"), name_of(14, prefix="B2")]
    text = ome(names[0], y_um=(900.0,), name="Well 1, Position 1 (A1)").replace('PositionX="5"', 'PositionX="80"')
    second = ome(names[1], y_um=(100.0,)).partition("<Image")[2].partition("</OME>")[0]
    (tmp_path / "metadata.ome.xml").write_text(text.replace("</OME>", f"<Image{second}</OME>"))
    for name in names:
        write_plane(tmp_path / name, pixels(name))
    source = open_source(tmp_path)
    assert [(plane.y_um, plane.x_um, plane.z_um) for plane in source.planes] == [(-900, -80, 7), (-100, -5, 7)]
    assert source.notes == ("the stage's x and y run against the plate's: their signs are changed",)


DAMAGED = {
    "other encoding": ome("x").replace("cherry", "µ-Kanal").encode("latin-1"),
    "entity bomb": b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><OME>&b;</OME>',
    "truncated": ome("x").encode()[:150],
    "empty": b"",
    "binary": bytes(range(256)),
    "absurd numbers": ome("x", y_um=(float("inf"),))
    .replace("0.325", "-1e999")
    .replace("Well 14", "Well 999999")
    .encode(),
}


@pytest.mark.parametrize("damage", DAMAGED)
@pytest.mark.parametrize("name", ["metadata.ome.xml", "experiment_descriptor.xml"])
def test_damaged_metadata_cost_what_they_say(tmp_path: Path, damage: str, name: str) -> None:
    (tmp_path / name).write_bytes(DAMAGED[damage])
    for number, prefix in ((1, "A1"), (14, "B2")):
        write_plane(tmp_path / name_of(number, prefix=prefix), pixels(number))
    source = open_source(tmp_path)
    assert wells_of(source) == {name_of(1, prefix="A1"): "A01", name_of(14, prefix="B2"): "B02"}
    assert source.issues == ()
    broken = damage in ("entity bomb", "truncated", "empty", "binary")
    assert any(note.endswith("what it would tell is not known") for note in source.notes) == broken


def test_metadata_that_cannot_be_read_from_the_disk(tmp_path: Path) -> None:
    write_plane(tmp_path / name_of(1, prefix="A1"), pixels(1))
    (tmp_path / "metadata.ome.xml").symlink_to(tmp_path / "gone.xml")
    assert len(open_source(tmp_path).planes) == 1


def test_a_file_outside_the_folder_is_never_opened(tmp_path: Path) -> None:
    root = tmp_path / "plate"
    inside, outside = name_of(14, prefix="B2"), name_of(14, prefix="B2", t=1)
    write_plane(root / inside, pixels(0))
    write_plane(tmp_path / outside, pixels(1))
    (root / "metadata.ome.xml").write_text(ome(inside, f"../{outside}"))
    source = open_source(root)
    assert [plane.path for plane in source.planes] == [root / inside]
    (issue,) = source.issues
    assert (issue.status, issue.t, issue.file) == ("missing", 1, "")
    assert "points outside the folder: it is not opened" in issue.reason


def test_a_plane_that_the_metadata_list_is_missing(tmp_path: Path) -> None:
    names = [name_of(14, prefix="B2", t=t) for t in range(3)]
    (tmp_path / "metadata.ome.xml").write_text(ome(*names, y_um=(1.0, 1.0, 1.0)))
    for name in names[::2]:
        write_plane(tmp_path / name, pixels(name))
    source = open_source(tmp_path)
    assert [(issue.t, issue.status) for issue in source.issues] == [(1, "missing")]
    assert (source.n_t, source.acquisition.time_step_s) == (3, 10.0)


def test_descriptor_facts_of_a_labview_tree() -> None:
    more = (
        "<String><Name>plate name</Name><Val>P7</Val></String>"
        "<DBL><Name>conversion factor um/pixel</Name><Val>0.645</Val></DBL>"
        "<I32><Name>timeloop delay [ms]</Name><Val>60000</Val></I32>"
        "<Cluster><Name>channel</Name><String><Name>name</Name><Val>dapi</Val></String>"
        "<DBL><Name>exposure time</Name><Val>25</Val></DBL></Cluster>"
        "<Array><Name>well selection table + cDNA</Name><String><Name></Name><Val>14</Val></String>"
        "<String><Name></Name><Val>B2</Val></String><String><Name></Name><Val>x</Val></String></Array>"
    )
    facts = descriptor_facts(parse_xml(descriptor(8, 12, more)))
    assert (facts.plate, facts.rows, facts.columns, facts.wells) == ("P7", 8, 12, {14: WellId(1, 1)})
    assert (facts.pixel_size, facts.acquisition.time_step_s) == (PixelSize(0.645, 0.645), 60.0)
    assert facts.channels["dapi"].exposure_ms == 25


def test_forced_on_another_layout(tmp_path: Path) -> None:
    write_plane(tmp_path / "P_B03_s1_w1.TIF", pixels(0))
    with pytest.raises(SourceError, match="scanr 0 of 1"):
        open_source(tmp_path, reader="scanr")
    with pytest.raises(SourceError, match=r"names such as --W00001--P00001"):
        ScanRReader().read(Listing.of(tmp_path))


def test_from_memory(tmp_path: Path) -> None:
    root = location("memory://scanr-plate")
    for path in write_scan(tmp_path, "scanr", small_scan()).values():
        (root / "data" / path.name).write_bytes(path.read_bytes())
    (root / "data" / "metadata.ome.xml").write_bytes((tmp_path / "data" / "metadata.ome.xml").read_bytes())
    source = ScanRReader().read(Listing.of(root))
    assert (len(source.planes), source.issues, source.pixel_size) == (18, (), PixelSize(0.65, 0.65))
    plane = source.planes[0]
    np.testing.assert_array_equal(
        read_plane(plane, source.shape, source.dtype),
        read_plane(open_source(tmp_path).planes[0], source.shape, source.dtype),
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_metadata_that_may_not_be_read(tmp_path: Path) -> None:
    write_plane(tmp_path / name_of(1, prefix="A1"), pixels(1))
    closed = tmp_path / "metadata.ome.xml"
    closed.write_text(ome("x"))
    closed.chmod(0)
    source = open_source(tmp_path)
    assert len(source.planes) == 1
    assert any("Permission denied" in note for note in source.notes)


# --- real --------------------------------------------------------------------------------------------------------


@pytest.mark.real
def test_a_real_plane_with_its_offset(data_dir: Path) -> None:
    source = open_source(data_dir / "cp_vendor_names" / "ExampleIlluminationCorrection")
    assert (source.reader, source.shape, source.offset) == ("scanr", (1024, 1344), 32_768)
    (plane,) = source.planes
    assert (plane.well.name, plane.field, plane.channel) == ("A01", 1, "cherry")
    assert read_plane(plane, source.shape, source.dtype).min() >= 32_768
    assert any("is assumed" in note for note in source.notes)


@pytest.mark.real
def test_real_metadata_without_their_image(data_dir: Path) -> None:
    folder = data_dir / "cp_vendor_names" / "scanr_uzh_metadata_only"
    with pytest.raises(SourceError, match=r"found: 1 other files \(\.xml\)"):
        open_source(folder)
    text = next(folder.rglob("metadata.ome.xml")).read_text("utf-8")
    facts = ome_facts(parse_xml(text))
    assert facts.wells == {14: WellId(1, 1)}
    assert facts.pixel_size == PixelSize(0.325, 0.325)
    assert facts.channels["405 nm #1"].exposure_ms == 100
    assert facts.files == ["B2--W00014--P00001--Z00000--T00000--405 nm #1.tif"]
    assert facts.stages[facts.files[0]][:3] == (61827.0, 100090.0, 6275.29)
    assert (facts.acquisition.instrument, facts.acquisition.objective) == ("Olympus IX83", "UPLXAPO 20x")
    assert (facts.acquisition.magnification, facts.acquisition.numerical_aperture) == (20.0, 0.8)


@pytest.mark.real
def test_real_metadata_with_one_of_two_images(data_dir: Path, tmp_path: Path) -> None:
    text = next((data_dir / "cp_vendor_names").rglob("metadata.ome.xml")).read_text("utf-8")
    (tmp_path / "metadata.ome.xml").write_text(text, "utf-8")
    write_plane(tmp_path / name_of(14, 2, "405 nm #1", "B2"), pixels(1))
    source = open_source(tmp_path)
    assert [(issue.well.name, issue.field, issue.status) for issue in source.issues] == [("B02", 1, "missing")]
