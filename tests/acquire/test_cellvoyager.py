from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts.acquire import Listing, Source, open_source, read_plane
from hts.acquire.cellvoyager import CellVoyagerReader, parse_name
from hts.acquire.pattern import PatternReader
from hts.model import PixelSize, WellId
from hts.synth.microscopes import cellvoyager

from .conformance import Key, ReaderConformance
from .folders import pixels, write_plane
from .index_conformance import SCAN, SMALL, IndexConformance

NAMESPACE = 'xmlns:bts="http://www.yokogawa.co.jp/BTS/BTSSchema/1.0"'
A01, A02 = WellId(0, 0), WellId(0, 1)


class TestNamesAlone(ReaderConformance):
    reader = "cellvoyager"

    def path_of(self, well: WellId, field: int, channel: int) -> str:
        return f"P_1/{name(well, field, channel, action=channel)}"


class TestWithIndex(TestNamesAlone):
    @pytest.fixture(autouse=True)
    def index(self, tmp_path: Path, files: dict[Key, Path]) -> None:
        write_mlf(tmp_path / "P_1", [record(*key, action=key[2]) for key in files])


class TestSimulated(IndexConformance):
    reader = "cellvoyager"
    index = "MeasurementData.mlf"
    position_tolerance_um = 0.051
    barcode = ""
    numerical_aperture = None

    def make_reader(self) -> CellVoyagerReader:
        return CellVoyagerReader()

    def without(self, raw: bytes, name: str) -> bytes:
        return re.sub(rb"<bts:MeasurementRecord [^>]*>" + self.listed(name).encode() + rb"<[^>]*>", b"", raw)

    def doubled(self, raw: bytes, name: str) -> bytes:
        return re.sub(rb"(<bts:MeasurementRecord [^>]*>" + self.listed(name).encode() + rb"<[^>]*>)", rb"\1\1", raw)

    def test_another_encoding(self, tmp_path: Path) -> None:
        super().test_another_encoding(tmp_path)
        path = tmp_path / "P & 1.mes"
        path.write_bytes(path.read_text("utf-8-sig").replace("DAPI", "Dápi µ").encode("latin-1"))
        assert open_source(tmp_path).channels[0].name == "Dápi µ"


def name(
    well: WellId, field: int = 1, channel: int = 1, z: int = 1, time: int = 1, line: int = 1, action: int = 1
) -> str:
    return f"P_{well.name}_T{time:04d}F{field:03d}L{line:02d}A{action:02d}Z{z:02d}C{channel:02d}.tif"


def record(
    well: WellId,
    field: int = 1,
    channel: int = 1,
    z: int = 1,
    time: int = 1,
    line: int = 1,
    action: int = 1,
    more: str = "",
) -> str:
    return (
        f'<bts:MeasurementRecord bts:Type="IMG" bts:Row="{well.row + 1}" bts:Column="{well.column + 1}" '
        f'bts:FieldIndex="{field}" bts:ZIndex="{z}" bts:TimePoint="{time}" bts:TimelineIndex="{line}" '
        f'bts:ActionIndex="{action}" bts:Ch="{channel}" bts:X="{100 * field}" bts:Y="{-50 * field}" {more}>'
        f"{name(well, field, channel, z, time, line, action)}</bts:MeasurementRecord>"
    )


def failure(well: WellId, text: str = "AF Error at A02 No. 0", **attributes: object) -> str:
    known = " ".join(f'bts:{key}="{value}"' for key, value in attributes.items())
    place = f'bts:Row="{well.row + 1}" bts:Column="{well.column + 1}"'
    return f'<bts:MeasurementRecord bts:Type="ERR" {place} {known}>{text}</bts:MeasurementRecord>'


def write_mlf(folder: Path, records: Iterable[str]) -> None:
    text = f"<bts:MeasurementData {NAMESPACE}>{''.join(records)}</bts:MeasurementData>"
    (folder / "MeasurementData.mlf").write_text(text, encoding="utf-8")


def write_images(folder: Path, keys: Iterable[dict[str, int]], wells: Iterable[WellId] = (A01,)) -> list[str]:
    """Images of these planes in each of the wells, and their records."""
    records = []
    for well in wells:
        for key in keys:
            write_plane(folder / name(well, **key), pixels((well, key)))
            records.append(record(well, **key))
    return records


def placed(source: Source) -> list[tuple[str, int, int, str]]:
    return [(one.channel, one.z, one.t, one.path.name) for one in source.planes]


@given(
    plate=st.sampled_from(["P", "a_B02_T0001", "20230918 x", "P_D08_T0001F002L01A01Z04C01"]),
    well=st.builds(WellId, st.integers(0, 31), st.integers(0, 47)),
    numbers=st.tuples(*(st.integers(1, limit) for limit in (9999, 999, 99, 99, 99, 99))),
)
def test_names_round_trip(plate, well, numbers) -> None:
    time, field, line, action, z, channel = numbers
    text = f"{plate}_{well.name}_T{time:04d}F{field:03d}L{line:02d}A{action:02d}Z{z:02d}C{channel:02d}.tif"
    assert parse_name(f"folder/{text}") == (well, field, z, time, line, action, channel)


@pytest.mark.parametrize(
    "text",
    [
        "P_A00_T0001F001L01A01Z01C01.tif",
        "P_A49_T0001F001L01A01Z01C01.tif",
        "P_ZZ01_T0001F001L01A01Z01C01.tif",
        "P_A01_T0001F001L01A01Z01.tif",
        "DC_DCAM#1_CAM3.tif",
        "SC_BP445-45_20x v2_M01_CH01.tif",
        "P_A01_s1_w1.TIF",
    ],
)
def test_names_of_other_layouts(text: str) -> None:
    assert parse_name(text) is None


def test_no_other_reader_claims_the_names(tmp_path: Path) -> None:
    write_images(tmp_path, [{"channel": 1}, {"channel": 2}])
    listing = Listing.of(tmp_path)
    assert (CellVoyagerReader().sniff(listing), PatternReader().sniff(listing)) == (1.0, 0.0)


def test_the_action_is_no_z_plane(tmp_path: Path) -> None:
    keys = [{"channel": channel, "action": 4 - channel, "z": z} for channel in (1, 2, 3) for z in (1, 2)]
    for records in ([], write_images(tmp_path, keys)):
        if records:
            write_mlf(tmp_path, records)
        else:
            write_images(tmp_path, keys)
        source = open_source(tmp_path)
        assert (source.n_z, source.n_t, source.issues) == (2, 1, ())
        assert placed(source) == [
            (f"C{channel:02d}", z - 1, 0, name(A01, channel=channel, action=4 - channel, z=z))
            for channel in (1, 2, 3)
            for z in (1, 2)
        ]


def test_a_channel_that_two_actions_take_is_two(tmp_path: Path) -> None:
    keys = [{"channel": 1, "action": 1, "z": z} for z in (1, 2)] + [
        {"channel": 1, "action": 2},
        {"channel": 2, "action": 2},
    ]
    write_mlf(tmp_path, write_images(tmp_path, keys))
    source = open_source(tmp_path)
    assert source.issues == ()
    assert placed(source) == [
        ("C01", 0, 0, name(A01, action=1, z=1)),
        ("C01", 1, 0, name(A01, action=1, z=2)),
        ("C01 L01A02", 0, 0, name(A01, action=2)),
        ("C02", 0, 0, name(A01, channel=2, action=2)),
    ]


def test_a_channel_of_other_actions_in_other_wells_is_one(tmp_path: Path) -> None:
    records = write_images(tmp_path, [{"action": 1}], [A01]) + write_images(tmp_path, [{"action": 2}], [A02])
    write_mlf(tmp_path, records)
    assert [channel.name for channel in open_source(tmp_path).channels] == ["C01"]


def test_time_points_are_counted_through_timelines(tmp_path: Path) -> None:
    records = write_images(tmp_path, [{"line": 1, "time": time} for time in (1, 2)], [A01])
    records += write_images(tmp_path, [{"line": 2, "time": time} for time in (3, 4)], [A02])
    for listed in (True, False):
        if listed:
            write_mlf(tmp_path, records)
        else:
            (tmp_path / "MeasurementData.mlf").unlink()
        source = open_source(tmp_path)
        assert (source.n_t, source.issues) == (2, ())
        assert [(plane.well, plane.t) for plane in source.planes] == [(A01, 0), (A01, 1), (A02, 0), (A02, 1)]


def test_a_well_with_two_timelines_keeps_its_time_points(tmp_path: Path) -> None:
    keys = [{"line": 1, "time": 1}, {"line": 2, "time": 2}]
    write_mlf(tmp_path, write_images(tmp_path, keys))
    source = open_source(tmp_path)
    assert (source.n_t, source.issues, len(source.channels)) == (2, (), 1)


def test_channels_with_other_z_planes_lack_none(tmp_path: Path) -> None:
    keys = [{"channel": 1}, *({"channel": 2, "action": 2, "z": z} for z in (1, 2, 3))]
    write_mlf(tmp_path, write_images(tmp_path, keys, [A01, A02]))
    source = open_source(tmp_path)
    assert (source.n_z, len(source.planes), source.issues) == (3, 8, ())


FIELDS = [{"field": field, "channel": channel} for field in (1, 2) for channel in (1, 2)]


@pytest.mark.parametrize(
    "attributes", [{"X": 200.4, "Y": -100.0}, {"FieldIndex": 2}, {"FieldIndex": 2, "X": 100, "Y": -50}]
)
def test_a_failed_field_is_missing_with_the_reason(tmp_path: Path, attributes: dict[str, object]) -> None:
    records = write_images(tmp_path, FIELDS) + write_images(tmp_path, FIELDS[:2], [A02])
    write_mlf(tmp_path, [*records, failure(A02, TimePoint=1, TimelineIndex=1, **attributes)])
    source = open_source(tmp_path)
    assert [(one.well, one.field, one.channel, one.status) for one in source.issues] == [
        (A02, 2, "C01", "missing"),
        (A02, 2, "C02", "missing"),
    ]
    assert source.issues[0].reason == "the microscope reports: AF Error at A02 No. 0"
    assert "the microscope reports 1 errors that cost 2 planes: AF Error at A02 No. 0" in source.notes


def test_a_failure_of_one_plane(tmp_path: Path) -> None:
    records = write_images(tmp_path, FIELDS) + write_images(tmp_path, FIELDS[:1], [A02])
    write_mlf(tmp_path, [*records, failure(A02, FieldIndex=1, ZIndex=1, TimePoint=1, Ch=2)])
    source = open_source(tmp_path)
    assert [(one.well, one.field, one.channel) for one in source.issues] == [(A02, 1, "C02")]


def test_a_failure_without_a_place_stands_for_the_whole_well(tmp_path: Path) -> None:
    records = write_images(tmp_path, FIELDS)
    write_mlf(tmp_path, [*records, failure(A02, "")])
    source = open_source(tmp_path)
    assert [(one.well, one.field, one.channel) for one in source.issues] == [
        (A02, field, f"C{channel:02d}") for field in (1, 2) for channel in (1, 2)
    ]
    assert {one.reason for one in source.issues} == {"the microscope reports: an error"}


def test_a_failed_time_point_is_a_time_point(tmp_path: Path) -> None:
    records = write_images(tmp_path, [{"time": 1}, {"time": 3}])
    write_mlf(tmp_path, [*records, failure(A01, TimePoint=2, X=100, Y=-50)])
    source = open_source(tmp_path)
    assert (source.n_t, [(one.t, one.status) for one in source.issues]) == (3, [(1, "missing")])


def test_a_failure_after_which_the_images_came_costs_nothing(tmp_path: Path) -> None:
    write_mlf(tmp_path, [*write_images(tmp_path, FIELDS), failure(A01, TimePoint=1, X=100, Y=-50)])
    source = open_source(tmp_path)
    assert source.issues == ()
    assert any("1 errors that cost 0 planes" in note for note in source.notes)


def test_absurd_records_are_placed_by_name(tmp_path: Path) -> None:
    records = write_images(tmp_path, [{"field": field} for field in (1, 2, 3, 4)])
    records[0] = records[0].replace('bts:Row="1"', 'bts:Row="4000"')
    records[1] = records[1].replace('bts:FieldIndex="2"', 'bts:FieldIndex="-2"').replace('bts:X="200"', 'bts:X="left"')
    records[2] = records[2].replace('bts:X="300"', 'bts:X="inf"')
    records[3] = records[3].replace('bts:Type="IMG"', 'bts:Type="NEW"')
    write_mlf(tmp_path, records)
    source = open_source(tmp_path)
    assert (source.wells, source.issues) == ((A01,), ())
    assert [(plane.field, plane.x_um) for plane in source.planes] == [(1, None), (2, None), (3, None), (4, None)]
    assert any(note.startswith("3 records tell no well, field or channel") for note in source.notes)


def test_selected_wells_without_a_plane_are_missing(tmp_path: Path) -> None:
    cellvoyager.write(tmp_path, SMALL, pixels)
    path = tmp_path / "P & 1.mes"
    more = '<bts:TargetWell bts:Column="3" bts:Row="3">true</bts:TargetWell>'
    more += '<bts:TargetWell bts:Column="4" bts:Row="3">false</bts:TargetWell></bts:WellSequence>'
    path.write_text(path.read_text("utf-8-sig").replace("</bts:WellSequence>", more), encoding="utf-8")
    source = open_source(tmp_path)
    assert {(one.well.name, one.status) for one in source.issues} == {("C03", "missing")}
    assert len(source.issues) == 2 * 2


def test_announced_and_absent_things_are_noted(tmp_path: Path) -> None:
    cellvoyager.write(tmp_path, SMALL, pixels)
    for path in (tmp_path / "MeasurementDetail.mrf", tmp_path / "P & 1.mes"):
        text = path.read_text("utf-8-sig")
        text = text.replace('FieldCount="2"', 'FieldCount="9"').replace('ZCount="1"', 'ZCount="5"')
        text = re.sub(r'(<bts:(?:Measurement)?Channel [^>]*bts:Ch="2"|<bts:Channel bts:Ch="2")', r"\1", text)
        text = text.replace("</bts:ChannelList>", '<bts:Channel bts:Ch="7" bts:Target="640"/></bts:ChannelList>')
        path.write_text(text, encoding="utf-8")
    notes = open_source(tmp_path).notes
    assert "the microscope was set up for 3 channels, no plane has C07 640" in notes
    assert "MeasurementDetail.mrf announces 9 fields a well, the planes have 2" in notes
    assert "MeasurementDetail.mrf announces 5 z planes, the planes have 1" in notes


@pytest.mark.parametrize("damaged", ["MeasurementDetail.mrf", "P & 1.mes"])
@pytest.mark.parametrize("content", [b"", b"<a><b></a>", b'<!DOCTYPE x [<!ENTITY a "b">]><a/>', bytes(range(256))])
def test_damaged_settings_cost_what_they_say(tmp_path: Path, damaged: str, content: bytes) -> None:
    written = cellvoyager.write(tmp_path, SMALL, pixels)
    (tmp_path / damaged).write_bytes(content)
    source = open_source(tmp_path)
    assert (len(source.planes), source.issues) == (len(written), ())
    assert any(damaged in note for note in source.notes)
    assert (source.pixel_size is None) == (damaged == "MeasurementDetail.mrf")
    assert (source.channels[0].name == "DAPI") == (damaged != "P & 1.mes")


def test_projections_are_noted(tmp_path: Path) -> None:
    records = write_images(tmp_path, [{"channel": 1}, {"channel": 2}])
    records[1] = records[1].replace("bts:Ch=", 'bts:ZImageProcessing="Maximum" bts:Ch=')
    write_mlf(tmp_path, records)
    assert (
        "planes of these channels are projections made by the microscope: C02 (Maximum)" in open_source(tmp_path).notes
    )


def test_dark_and_shading_images_are_left_out(tmp_path: Path) -> None:
    cellvoyager.write(tmp_path, SMALL, pixels)
    write_plane(tmp_path / "overview.tif", pixels("overview"))
    notes = open_source(tmp_path).notes
    assert any(note.startswith("3 image files left out, dark and shading images of the cameras: DC_") for note in notes)
    assert any(note.startswith("1 image file left out, their names are not") for note in notes)


def test_equal_names_and_lamps(tmp_path: Path) -> None:
    cellvoyager.write(tmp_path, SMALL, pixels)
    path = tmp_path / "P & 1.mes"
    text = (
        path.read_text("utf-8-sig")
        .replace('Target="FITC"', 'Target="DAPI"')
        .replace('WaveLength="488"', 'WaveLength="0"')
    )
    path.write_text(text, encoding="utf-8")
    first, second = open_source(tmp_path).channels
    assert (first.name, second.name) == ("DAPI", "DAPI C02")
    assert (first.excitation_nm, second.excitation_nm) == (390, None)


def test_the_setting_that_the_detail_names_is_read(tmp_path: Path) -> None:
    cellvoyager.write(tmp_path, SMALL, pixels)
    other = (tmp_path / "P & 1.mes").read_text("utf-8-sig").replace("DAPI", "another")
    (tmp_path / "A.mes").write_text(other, encoding="utf-8")
    assert open_source(tmp_path).channels[0].name == "DAPI"
    (tmp_path / "MeasurementDetail.mrf").unlink()
    assert open_source(tmp_path).channels[0].name == "C01"


CV8000 = "CV8000-Minimal-DataSet-2C-3W-4S-FP2-stack"


@pytest.mark.real
def test_a_real_plate(data_dir: Path) -> None:
    source = open_source(data_dir / "faim_cv8000")
    assert (source.reader, source.plate_name, source.acquisition.instrument) == ("cellvoyager", CV8000, "CV8000")
    assert source.wells == (WellId(3, 7), WellId(4, 2), WellId(5, 7))
    assert all(source.fields(well) == (1, 2, 3, 4) for well in source.wells)
    assert (source.n_z, source.n_t, len(source.planes), source.issues) == (4, 1, 96, ())
    assert [(one.name, one.wavelength_nm, one.excitation_nm, one.exposure_ms) for one in source.channels] == [
        ("405", 445, 405, 100),
        ("488", 525, 488, 100),
    ]
    assert source.pixel_size == PixelSize(0.325, 0.325, 3.0)
    assert (source.acquisition.objective, source.acquisition.magnification) == ("20x v2", 20)
    first = source.planes[0]
    assert (first.y_um, first.x_um, first.z_um) == (-402.9, -567.1, 0.0)
    assert first.acquired == "2023-09-18T13:58:44.438+02:00"
    assert "the microscope was set up for 4 channels, no plane has C03 561, C04 640" in source.notes
    assert any(note.startswith("6 image files left out, dark and shading images") for note in source.notes)
    assert {path.suffix for path in source.vendor_files} == {".mlf", ".mrf", ".mes", ".wpi", ".wpp", ".xml"}
    assert not read_plane(first, (2000, 2000), np.dtype("uint16")).any()


@pytest.mark.real
def test_names_and_index_of_a_real_plate_say_the_same(data_dir: Path, tmp_path: Path) -> None:
    (folder,) = (data_dir / "faim_cv8000").glob(f"*/{CV8000}")
    for path in folder.glob("*_T*.tif"):
        shutil.copyfile(path, tmp_path / path.name)
    with_index, without = open_source(folder), open_source(tmp_path)
    assert [(one[0], one[1], one[3], one[4], one[5]) for one in keys(with_index)] == [
        (one[0], one[1], one[3], one[4], one[5]) for one in keys(without)
    ]


def keys(source: Source) -> list[tuple[WellId, int, str, int, int, str]]:
    return [(one.well, one.field, one.channel, one.z, one.t, one.path.name) for one in source.planes]


@pytest.mark.real
def test_the_setting_of_a_real_time_series(data_dir: Path, tmp_path: Path) -> None:
    for path in (data_dir / "faim_misc" / "eicm").glob("*.m*"):
        shutil.copyfile(path, tmp_path / path.name)
    write_images(tmp_path, [{"channel": 1}], [WellId(5, 9)])
    source = open_source(tmp_path)
    assert (source.plate_name, source.acquisition.instrument) == ("Dyes_60xW_Cellvis", "CV7000 FM03")
    assert source.pixel_size is not None
    assert source.pixel_size.x_um == pytest.approx(0.10833333)
    assert any("MeasurementDetail.mrf announces 36 z planes, the planes have 1" in note for note in source.notes)


def test_the_simulator_writes_what_the_scan_says(tmp_path: Path) -> None:
    written = cellvoyager.write(tmp_path, SCAN, pixels)
    assert len(written) == 3 * 3 * 2 * 3 * 2
    text = (tmp_path / "MeasurementData.mlf").read_text("utf-8-sig")
    assert text.count('bts:Type="IMG"') == len(written)
