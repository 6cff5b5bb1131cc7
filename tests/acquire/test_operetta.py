from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from hts.acquire import Listing, open_source, read_plane
from hts.acquire.operetta import OperettaReader, parse_name
from hts.errors import SourceError
from hts.model import PixelSize, WellId
from hts.synth.microscopes import operetta
from hts.synth.scan import PlateScan, Shot

from .conformance import Key, ReaderConformance
from .folders import SHAPE, pixels, write_plane
from .index_conformance import SCAN, SMALL, IndexConformance, found

V5 = "http://www.perkinelmer.com/PEHH/HarmonyV5"


class TestNamesAlone(ReaderConformance):
    reader = "operetta"

    def path_of(self, well: WellId, field: int, channel: int) -> str:
        return f"Images/{name(well, field, channel)}"


class TestLaterNamesInFoldersOfWells(ReaderConformance):
    reader = "operetta"

    def path_of(self, well: WellId, field: int, channel: int) -> str:
        place = f"r{well.row + 1:02d}c{well.column + 1:02d}"
        return f"images/{place}/{place}f{field:02d}p01-ch{channel:02d}t01.tiff"


class TestWithIndex(TestNamesAlone):
    @pytest.fixture(autouse=True)
    def index(self, tmp_path: Path, files: dict[Key, Path]) -> None:
        write_index(tmp_path / "Images", [image(*key) for key in files])


class TestHarmony5(IndexConformance):
    reader = "operetta"
    index = "Images/Index.idx.xml"
    objective = ""

    def make_reader(self) -> OperettaReader:
        return OperettaReader()

    def without(self, raw: bytes, name: str) -> bytes:
        return re.sub(rb'<Image Version="1">(?:(?!</Image>).)*' + name.encode() + rb".*?</Image>", b"", raw)

    def doubled(self, raw: bytes, name: str) -> bytes:
        return re.sub(rb'(<Image Version="1">(?:(?!</Image>).)*' + name.encode() + rb".*?</Image>)", rb"\1\1", raw)


class TestHarmony7(TestHarmony5):
    index = "Images/Index.xml"

    def write(self, folder: Path, scan: PlateScan) -> dict[Shot, Path]:
        return operetta.write(folder, scan, pixels, harmony=7)


def name(well: WellId, field: int = 1, channel: int = 1, plane: int = 1, time: int = 1) -> str:
    return f"r{well.row + 1:02d}c{well.column + 1:02d}f{field:02d}p{plane:02d}-ch{channel}sk{time}fk1fl1.tiff"


def image(well: WellId, field: int = 1, channel: int = 1, url: str | None = None, more: str = "") -> str:
    url = name(well, field, channel) if url is None else url
    return (
        f'<Image Version="1"><URL>{url}</URL><Row>{well.row + 1}</Row><Col>{well.column + 1}</Col>'
        f"<FieldID>{field}</FieldID><PlaneID>1</PlaneID><TimepointID>0</TimepointID><ChannelID>{channel}</ChannelID>"
        f"<FlimID>1</FlimID>{more}</Image>"
    )


def write_index(folder: Path, images: list[str], head: str = "", file: str = "Index.idx.xml", space: str = V5) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    text = f'<EvaluationInputData xmlns="{space}">{head}<Images>{"".join(images)}</Images></EvaluationInputData>'
    (folder / file).write_text(text, encoding="utf-8")
    return folder / file


@given(
    row=st.integers(1, 32),
    column=st.integers(1, 48),
    field=st.integers(1, 1200),
    plane=st.integers(1, 300),
    channel=st.integers(1, 20),
    time=st.integers(1, 1000),
    later=st.booleans(),
)
def test_names_round_trip(row, column, field, plane, channel, time, later) -> None:
    place = f"r{row:02d}c{column:02d}f{field:02d}p{plane:02d}"
    text = f"{place}-ch{channel:02d}t{time:02d}.tiff" if later else f"{place}-ch{channel}sk{time}fk1fl1.tiff"
    assert parse_name(f"P/Images/{text}") == (WellId(row - 1, column - 1), field, plane, channel, 1, time - 1, 0)


@pytest.mark.parametrize(
    "text",
    [
        "r00c01f01p01-ch1sk1fk1fl1.tiff",
        "r33c01f01p01-ch1sk1fk1fl1.tiff",
        "r01c49f01p01-ch1sk1fk1fl1.tiff",
        "r01c01f01p01-ch1sk0fk1fl1.tiff",
        "r01c01f01p01-ch1sk1fk1fl1.tiff.tiff",
        "xr01c01f01p01-ch1sk1fk1fl1.tiff",
        "r01c01f01p01.tiff",
        "P_B02_s1_w1.TIF",
    ],
)
def test_names_of_other_layouts(text: str) -> None:
    assert parse_name(text) is None


def test_names_without_a_time() -> None:
    assert parse_name("r02c04f01p01-ch1.tiff") == (WellId(1, 3), 1, 1, 1, 1, 0, 0)


def test_bursts_are_time_points_within_a_time_point(tmp_path: Path) -> None:
    for time in (1, 2):
        for burst in (1, 2, 3):
            write_plane(tmp_path / f"r01c01f01p01-ch1sk{time}fk{burst}fl1.tiff", pixels((time, burst)))
    source = open_source(tmp_path)
    assert source.n_t == 6
    order = [f"sk{time}fk{burst}" for time in (1, 2) for burst in (1, 2, 3)]
    assert [plane.path.name[16:22] for plane in source.planes] == order


def test_lifetime_images_are_channels_of_their_own(tmp_path: Path) -> None:
    for flim in (1, 2):
        write_plane(tmp_path / f"r01c01f01p01-ch1sk1fk1fl{flim}.tiff", pixels(flim))
    assert [channel.name for channel in open_source(tmp_path).channels] == ["ch1", "ch1 fl2"]


def test_channels_of_one_name_are_told_apart(tmp_path: Path) -> None:
    well = WellId(0, 0)
    for channel in (1, 2):
        write_plane(tmp_path / name(well, 1, channel), pixels(channel))
    named = "<ChannelName>DAPI</ChannelName>"
    write_index(tmp_path, [image(well, 1, 2, more=named), image(well, 1, 1, more=named)])
    source = open_source(tmp_path)
    assert [(plane.channel, plane.path.name) for plane in source.planes] == [
        ("DAPI", name(well, 1, 1)),
        ("DAPI ch2", name(well, 1, 2)),
    ]


def test_absurd_numbers_cost_what_they_say(tmp_path: Path) -> None:
    wells = [WellId(0, column) for column in range(4)]
    for well in wells:
        write_plane(tmp_path / name(well), pixels(well))
    absurd = (
        '<ImageResolutionX Unit="m">0</ImageResolutionX><ImageResolutionY Unit="m">NaN</ImageResolutionY>'
        '<PositionX Unit="m">1e999</PositionX><PositionY Unit="parsec">3</PositionY><AbsTime>yesterday</AbsTime>'
        "<ExposureTime>-1</ExposureTime><MainEmissionWavelength>many</MainEmissionWavelength><ObjectiveNA/>"
    )
    images = [image(well, more=absurd) for well in wells]
    images[1] = images[1].replace("<Row>1</Row>", "<Row>99999999999999999999</Row>")
    images[2] = images[2].replace("<FieldID>1</FieldID>", "<FieldID>first</FieldID>")
    images[3] = images[3].replace("<Col>4</Col>", "")
    write_index(tmp_path, images)
    source = open_source(tmp_path)
    assert (source.wells, source.issues, source.pixel_size) == (tuple(wells), (), None)
    assert [(plane.x_um, plane.y_um, plane.acquired) for plane in source.planes] == [(None, None, "")] * 4
    assert (source.channels[0].wavelength_nm, source.channels[0].exposure_ms) == (None, None)
    assert any(note.startswith("3 images of the index tell no well") for note in source.notes)


def test_a_plane_that_the_microscope_did_not_record(tmp_path: Path) -> None:
    wells = [WellId(0, 0), WellId(0, 1), WellId(0, 2)]
    write_plane(tmp_path / name(wells[0]), pixels(0))
    write_plane(tmp_path / name(wells[2]), pixels(2))
    failed = "<State>Failed</State>"
    write_index(tmp_path, [image(wells[0]), image(wells[1], url="", more=failed), image(wells[2], more=failed)])
    source = open_source(tmp_path)
    (issue,) = source.issues
    assert (issue.well, issue.status, issue.reason) == (
        wells[1],
        "missing",
        "the microscope gives its state as 'Failed'",
    )
    assert any(note.startswith("1 images that have a file are listed with a failure") for note in source.notes)


def test_selected_wells_without_a_plane_are_missing(tmp_path: Path) -> None:
    write_plane(tmp_path / name(WellId(1, 1)), pixels(1))
    head = '<Plates><Plate><Well id="0202"/><Well id="0311"/><Well id="17"/><Well id="9999"/></Plate></Plates>'
    write_index(tmp_path, [image(WellId(1, 1))], head)
    source = open_source(tmp_path)
    assert [(one.well, one.status) for one in source.issues] == [(WellId(2, 10), "missing")]
    assert "1 of 2 selected wells have no plane in the index: C11" in source.notes


def test_the_index_is_believed_where_names_say_another_plane(tmp_path: Path) -> None:
    first, second = WellId(0, 0), WellId(0, 1)
    for well in (first, second):
        write_plane(tmp_path / name(well), pixels(well))
    write_index(tmp_path, [image(first, url=name(second)), image(second, url=name(first))])
    source = open_source(tmp_path)
    assert [plane.path.name for plane in source.planes] == [name(second), name(first)]
    assert any(note.startswith("2 files are placed by the index") for note in source.notes)


def test_time_points_that_the_index_counts_from_1(tmp_path: Path) -> None:
    well = WellId(0, 0)
    for time in (1, 2):
        write_plane(tmp_path / name(well, time=time), pixels(time))
    listed = image(well, url=name(well, time=1)).replace("<TimepointID>0<", "<TimepointID>1<")
    write_index(tmp_path, [listed])
    source = open_source(tmp_path)
    assert [(plane.t, plane.path.name) for plane in source.planes] == [(0, name(well)), (1, name(well, time=2))]


def test_columbus_counts_pages_of_files(tmp_path: Path) -> None:
    planes = [pixels(number) for number in range(3)]
    tifffile.imwrite(tmp_path / "001001-1.tif", np.stack(planes), photometric="minisblack", metadata=None)
    images = [
        image(WellId(0, 0), 1, channel + 1)
        .replace("<URL>", f'<URL BufferNo="{page}">')
        .replace(name(WellId(0, 0), 1, channel + 1), "001001-1.tif")
        for channel, page in enumerate((2, 0, 1))
    ]
    write_index(tmp_path, images, file="ImageIndex.ColumbusIDX.xml", space="http://www.perkinelmer.com/Columbus")
    source = open_source(tmp_path)
    assert (source.reader, source.issues) == ("operetta", ())
    assert [plane.index for plane in source.planes] == [2, 0, 1]
    for plane, page in zip(source.planes, (2, 0, 1), strict=True):
        np.testing.assert_array_equal(read_plane(plane, SHAPE, np.dtype("uint16")), planes[page])


def test_channels_with_pixels_of_another_size_are_noted(tmp_path: Path) -> None:
    well, images = WellId(0, 0), []
    for channel, size in ((1, "1E-06"), (2, "2E-06")):
        write_plane(tmp_path / name(well, 1, channel), pixels(channel))
        more = "".join(f'<ImageResolution{axis} Unit="m">{size}</ImageResolution{axis}>' for axis in "XY")
        images.append(image(well, 1, channel, more=more))
    write_index(tmp_path, images)
    source = open_source(tmp_path)
    assert source.pixel_size == PixelSize(1.0, 1.0)
    assert any("1 × 1 µm, 2 × 2 µm" in note for note in source.notes)


def test_equal_copies_of_the_index_are_one(tmp_path: Path) -> None:
    written = operetta.write(tmp_path, SMALL, pixels)
    (tmp_path / "Index.idx.xml").write_bytes((tmp_path / "Images" / "Index.idx.xml").read_bytes())
    source = open_source(tmp_path)
    assert source.issues == ()
    assert set(found(source).values()) == set(written.values())


def test_layouts_and_flat_field_profiles_are_kept(tmp_path: Path) -> None:
    operetta.write(tmp_path, SMALL, pixels)
    kept = [tmp_path / "Assaylayout" / "extra.csv", tmp_path / "FFC_Profile" / "FFC_Profile_Measurement 1.xml"]
    for path in (*kept, tmp_path / "notes.txt"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("text")
    names = {path.name for path in open_source(tmp_path).vendor_files}
    assert names == {"extra.csv", "FFC_Profile_Measurement 1.xml", "Index.idx.xml", "P & 1.xml"}


def test_an_index_of_that_name_from_another_program_is_no_claim(tmp_path: Path) -> None:
    write_plane(tmp_path / "P_B02_s1_w1.TIF", pixels(1))
    (tmp_path / "Index.xml").write_text("<Contents/>")
    assert OperettaReader().sniff(Listing.of(tmp_path)) == 0
    assert open_source(tmp_path).reader == "imagexpress"
    with pytest.raises(SourceError, match="the reader 'operetta'"):
        open_source(tmp_path, reader="operetta")


def test_flat_fields_of_the_real_kind_are_in_the_index(tmp_path: Path) -> None:
    operetta.write(tmp_path, SCAN, pixels)
    text = (tmp_path / "Images" / "Index.idx.xml").read_bytes()
    assert text.startswith(b"\xef\xbb\xbf<?xml")
    assert b"<FlatfieldProfile>{Background: {Character: Flat" in text


@pytest.mark.real
def test_a_real_plate(data_dir: Path) -> None:
    source = open_source(data_dir / "operetta_compose" / "operetta_plate")
    assert (source.reader, source.plate_name) == ("operetta", "Test_Sample_BALL")
    (channel,) = source.channels
    assert (channel.name, channel.color, channel.wavelength_nm) == ("Fluorescein (FITC)", "00FF00", 525)
    assert (channel.excitation_nm, channel.exposure_ms) == (475, 6)
    assert source.pixel_size is not None
    assert source.pixel_size.x_um == pytest.approx(1.19595216)
    # Field 1 is up left, field 2 up right: more than a field's width apart.
    assert [(plane.field, plane.y_um, plane.x_um, plane.z_um) for plane in source.planes] == [
        (1, -645.814, -645.814, 20.0),
        (2, -645.814, 645.814, 20.0),
    ]
    assert (source.acquisition.instrument, source.acquisition.magnification) == ("Sonata", 10)
    assert [path.name for path in source.vendor_files] == ["Unnamed.xml", "Index.idx.xml"]
    assert (source.issues, source.notes) == ((), ())
    for plane in source.planes:
        assert read_plane(plane, (1080, 1080), np.dtype("uint16")).any()
