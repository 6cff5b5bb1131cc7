from __future__ import annotations

import re
import uuid
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from hts.acquire import open_source, read_plane
from hts.acquire import tiff as tiff_format
from hts.acquire.metadata import iso_time, later, parse_xml
from hts.acquire.ome import read_ome
from hts.acquire.planes import read_pixels
from hts.errors import SourceError
from hts.locations import location
from hts.model import PixelSize, WellId
from hts.synth.microscopes import ome_tiff
from hts.synth.scan import Shot

from .conformance import ReaderConformance
from .container_scans import LOST, SCAN, check_channels, check_planes, shot_pixels
from .folders import pixels, write_plane


class TestSinglePlanesOfNamedFiles(ReaderConformance):
    reader = "ome-tiff"
    cut_bytes = 1000

    def path_of(self, well: WellId, field: int, channel: int) -> str:
        return f"{well.name}_s{field}_C{channel}.ome.tif"


@pytest.mark.parametrize("write", [ome_tiff.write, ome_tiff.write_named])
@pytest.mark.parametrize("lost", [frozenset(), frozenset({LOST})])
def test_what_is_written_is_read_back(tmp_path: Path, write, lost) -> None:
    scan = replace(SCAN, lost=lost)
    files = write(tmp_path / "plate", scan, shot_pixels)
    source = open_source(tmp_path / "plate")
    assert (source.reader, source.n_z, source.n_t, source.notes) == ("ome-tiff", 3, 2, ())
    check_planes(source, files, scan)
    check_channels(source)
    assert source.pixel_size == PixelSize(0.65, 0.65, 2.0)
    acquisition = source.acquisition
    assert (acquisition.objective, acquisition.magnification) == ("20x simulated", 20.0)
    assert (acquisition.numerical_aperture, acquisition.time_step_s) == (0.75, 1800.0)
    for plane in source.planes:
        shot = Shot(
            plane.well, plane.field, [one.name for one in source.channels].index(plane.channel), plane.z, plane.t
        )
        assert plane.acquired == scan.acquired(shot).isoformat(timespec="milliseconds")
        assert plane.z_um == 100 + 2 * plane.z
    assert {(one.well, one.field, one.status) for one in source.issues} == {(*key, "missing") for key in lost}
    assert len(source.issues) == 12 * len(lost)


def test_the_companion_file_and_what_it_says_of_the_plate(tmp_path: Path) -> None:
    ome_tiff.write(tmp_path, replace(SCAN, lost=frozenset({LOST})), shot_pixels)
    source = open_source(tmp_path)
    assert (source.plate_name, source.acquisition.barcode) == ("Plate7", "HTS000001")
    assert source.vendor_files == (tmp_path / "Plate7.companion.ome",)
    issue = source.issues[0]
    assert issue.reason == "Plate7.companion.ome names it, there is no such file"
    assert issue.file == "Plate7_B03_2.ome.tif"
    assert open_source(tmp_path / "Plate7.companion.ome").planes == source.planes


def test_a_plate_elsewhere(tmp_path: Path) -> None:
    ome_tiff.write(tmp_path, SCAN, shot_pixels)
    for path in tmp_path.iterdir():
        (location("memory://ome/plate") / path.name).write_bytes(path.read_bytes())
    check_planes(open_source("memory://ome/plate"))
    tiff_format.FILES.close()


def test_a_set_of_files_that_each_describe_all(tmp_path: Path) -> None:
    ome_tiff.write(tmp_path, SCAN, shot_pixels)
    companion = tmp_path / "Plate7.companion.ome"
    text = companion.read_text("utf-8")
    companion.unlink()
    for path in tmp_path.iterdir():
        with tifffile.TiffFile(path) as tiff:
            stack = tiff.asarray()
        own = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, path.name)}"
        described = re.sub('UUID="[^"]*"', f'UUID="{own}"', text, count=1)
        tifffile.imwrite(path, stack, photometric="minisblack", description=described.encode(), metadata=None)
    check_planes(open_source(tmp_path))


def test_a_renamed_file_is_known_by_its_identifier(tmp_path: Path) -> None:
    scan = replace(SCAN, wells=SCAN.wells[:1], fields=1)
    (path,) = set(ome_tiff.write(tmp_path, scan, shot_pixels).values())
    companion = tmp_path / "Plate7.companion.ome"
    text = companion.read_text("utf-8")
    companion.unlink()
    own = re.search("urn:uuid:[^<]*(?=</UUID>)", text)
    assert own is not None
    described = re.sub('UUID="[^"]*"', f'UUID="{own[0]}"', text, count=1)
    with tifffile.TiffFile(path) as tiff:
        stack = tiff.asarray()
    path.unlink()
    renamed = tmp_path / "other name.ome.tif"
    tifffile.imwrite(renamed, stack, photometric="minisblack", description=described.encode(), metadata=None)
    check_planes(open_source(tmp_path), scan=scan)


@pytest.mark.parametrize("outside", ["../secret.tif", "/etc/secret.tif", "a/../../secret.tif", "C:\\secret.tif"])
def test_files_outside_the_folder_are_never_opened(tmp_path: Path, outside: str) -> None:
    root = tmp_path / "plate"
    ome_tiff.write(root, SCAN, shot_pixels)
    write_plane(tmp_path / "secret.tif", pixels("secret"))
    companion = root / "Plate7.companion.ome"
    changed = companion.read_text("utf-8").replace("Plate7_A01_1.ome.tif", outside)
    companion.write_text(changed, encoding="utf-8")
    source = open_source(root)
    assert {(one.well, one.field, one.status) for one in source.issues} == {(WellId(0, 0), 1, "missing")}
    assert "names a file outside its folder, which is not opened" in source.issues[0].reason
    assert any("Plate7_A01_1.ome.tif" in note for note in source.notes)


@pytest.mark.parametrize(
    "text", [b"", b"<OME><Image", b'<!DOCTYPE a [<!ENTITY b "c">]><OME/>', b"\xff\xfe\x00\xd8garbage", b"<OME/>"]
)
def test_a_damaged_companion_file_is_noted_and_names_place_the_files(tmp_path: Path, text: bytes) -> None:
    files = ome_tiff.write_named(tmp_path, SCAN, shot_pixels)
    (tmp_path / "Plate7.companion.ome").write_bytes(text)
    source = open_source(tmp_path)
    check_planes(source, files)
    assert any(note.startswith("Plate7.companion.ome cannot be used: ") for note in source.notes)


def test_files_whose_companion_is_lost_are_unreadable(tmp_path: Path) -> None:
    ome_tiff.write(tmp_path, SCAN, shot_pixels)
    (tmp_path / "Plate7.companion.ome").unlink()
    with pytest.raises(SourceError, match=r"its planes are described in Plate7\.companion\.ome, which is not there"):
        open_source(tmp_path)


def test_a_companion_without_its_files(tmp_path: Path) -> None:
    for path in set(ome_tiff.write(tmp_path, SCAN, shot_pixels).values()):
        path.unlink()
    for where in (tmp_path, tmp_path / "Plate7.companion.ome"):
        with pytest.raises(SourceError, match=r"names in (.|\n)*none of 6, such as Plate7_A01_1\.ome\.tif"):
            open_source(where)


def test_an_empty_file_costs_its_planes(tmp_path: Path) -> None:
    files = ome_tiff.write(tmp_path, SCAN, shot_pixels)
    files[Shot(WellId(1, 2), 2, 0)].write_bytes(b"")
    source = open_source(tmp_path)
    assert len(source.issues) == 12
    assert {(one.well, one.field, one.status, one.reason) for one in source.issues} == {
        (WellId(1, 2), 2, "unreadable", "file is empty (0 bytes)")
    }


def test_a_truncated_stack_keeps_the_pages_it_has(tmp_path: Path) -> None:
    files = ome_tiff.write(tmp_path, SCAN, shot_pixels)
    path = files[Shot(WellId(0, 0), 1, 0)]
    path.write_bytes(path.read_bytes()[: -24 * 32 * 2 - 100])
    source = open_source(tmp_path)
    refused = 0
    for plane in source.planes:
        try:
            read_plane(plane, source.shape, source.dtype)
        except SourceError as error:
            assert path.name in str(error)  # noqa: PT017
            refused += 1
    assert 0 < refused <= 12


@pytest.mark.parametrize("name", ["P_B03_s2.tif", "WellB03_s2.tif", "B03_s2.ome.tif", "B03_s2_w1.tif"])
def test_stacks_of_imagej_are_placed_by_name_though_others_know_the_name(tmp_path: Path, name: str) -> None:
    stack = np.stack([pixels(number) for number in range(2 * 3 * 4)]).reshape(2, 3, 4, 24, 32)
    options = {"axes": "TZCYX", "unit": "micron", "spacing": 1.5, "finterval": 30.0}
    tifffile.imwrite(tmp_path / name, stack, imagej=True, resolution=(2, 2), metadata=options)
    source = open_source(tmp_path)
    assert (source.reader, source.n_t, source.n_z, len(source.channels)) == ("ome-tiff", 2, 3, 4)
    assert (source.wells, source.fields(WellId(1, 2))) == ((WellId(1, 2),), (2,))
    assert (source.pixel_size, source.acquisition.time_step_s) == (PixelSize(0.5, 0.5, 1.5), 30.0)
    for plane in source.planes:
        c = [one.name for one in source.channels].index(plane.channel)
        np.testing.assert_array_equal(read_plane(plane, source.shape, source.dtype), stack[plane.t, plane.z, c])


def test_stacks_without_axes_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "B03.tif", np.zeros((3, 8, 8), "uint16"), photometric="minisblack", metadata=None)
    with pytest.raises(SourceError, match="has several pages, and no OME-XML or ImageJ text that says what they are"):
        open_source(tmp_path)


def test_colours_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "B03.ome.tif", np.zeros((8, 8, 3), "uint8"), photometric="rgb")
    with pytest.raises(SourceError, match="colour image"):
        open_source(tmp_path)


def test_no_well_anywhere(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "cells.ome.tif", np.ones((2, 8, 8), "uint16"), metadata={"axes": "CYX"})
    with pytest.raises(SourceError, match=r"cells\.ome\.tif(.|\n)*--reader ome-tiff: it becomes well A01"):
        open_source(tmp_path)
    assert open_source(tmp_path / "cells.ome.tif", "ome-tiff").wells == (WellId(0, 0),)


def test_single_planes_stay_with_the_readers_that_know_their_names(tmp_path: Path) -> None:
    for channel in (1, 2):
        write_plane(tmp_path / f"P_B03_s1_w{channel}.tif", pixels(channel))
    assert open_source(tmp_path).reader == "imagexpress"


XML = """<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">
<Pixels DimensionOrder="{order}" SizeC="2" SizeZ="3" SizeT="4" SizeX="8" SizeY="8"
PhysicalSizeX="100" PhysicalSizeXUnit="nm" PhysicalSizeY="0.1"><Channel ID="Channel:0:0" Name="C:0"/>
<Channel ID="Channel:0:1" Name="Cy5" EmissionWavelength="0.67" EmissionWavelengthUnit="µm"/>{data}
</Pixels></Image></OME>"""


@given(order=st.permutations("CZT"))
def test_pages_follow_the_order_of_the_dimensions(order: list[str]) -> None:
    text = XML.format(order="XY" + "".join(order), data="<TiffData/>")
    planes = read_ome(parse_xml(text)).images[0].planes
    stack = np.arange(24).reshape([{"C": 2, "Z": 3, "T": 4}[axis] for axis in reversed(order)])
    axes = [order[::-1].index(axis) for axis in "CZT"]
    assert {(one.c, one.z, one.t): one.page for one in planes} == {
        place: int(page) for place, page in np.ndenumerate(stack.transpose(axes))
    }


def test_units_and_names_that_mean_nothing() -> None:
    image = read_ome(parse_xml(XML.format(order="XYCZT", data='<TiffData IFD="5" FirstT="1"/>'))).images[0]
    assert [(one.page, one.c, one.z, one.t) for one in image.planes] == [(5, 0, 0, 1)]
    assert image.pixel_size == PixelSize(0.1, 0.1)
    assert [(one.name, one.wavelength_nm) for one in image.channels] == [("", None), ("Cy5", 670.0)]


@pytest.mark.parametrize("size", ["1e9", "99999999999", "-5", "many", "nan"])
def test_absurd_sizes_cost_a_file_not_the_memory(size: str) -> None:
    text = XML.format(order="XYCZT", data="<TiffData/>").replace('SizeT="4"', f'SizeT="{size}"')
    try:
        assert len(read_ome(parse_xml(text)).images[0].planes) == 6
    except SourceError as error:
        assert "which no image has" in str(error)  # noqa: PT017


def test_ten_thousand_planes_of_a_file_are_read_by_one_opening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = np.arange(500, dtype="uint16")[:, None, None] * np.ones((4, 4), "uint16")
    tifffile.imwrite(tmp_path / "B03.tif", stack, imagej=True, metadata={"axes": "ZYX"})
    source = open_source(tmp_path)
    opened: list[object] = []
    make = tifffile.TiffFile
    monkeypatch.setattr(tifffile, "TiffFile", lambda path: opened.append(path) or make(path))
    for plane in source.planes[::-7]:
        assert int(read_plane(plane, source.shape, source.dtype)[0, 0]) == plane.z
    assert len(opened) <= 1


def test_a_page_of_a_file_that_was_replaced(tmp_path: Path) -> None:
    path = tmp_path / "B03.tif"
    for value in (1, 2):
        tifffile.imwrite(path, np.full((2, 8, 8 * value), value, "uint16"), imagej=True)
        assert int(read_pixels(path, 1).max()) == value


def test_times() -> None:
    assert iso_time("2024-10-03T14:26:38.7980142+02:00") == "2024-10-03T14:26:38.798014+02:00"
    assert iso_time("2016-02-12T09:41:02.4915604Z") == "2016-02-12T09:41:02.491560+00:00"
    assert (iso_time("0001-01-01T00:00:00"), iso_time("yesterday"), iso_time("")) == ("", "", "")
    assert later("2024-01-15T09:00:00", 1.5) == "2024-01-15T09:00:01.500"
    assert (later("", 1.0), later("2024-01-15T09:00:00", 1e30)) == ("", "")


@pytest.mark.real
def test_a_real_stack_that_imagexpress_would_claim(data_dir: Path) -> None:
    source = open_source(data_dir / "bian_misc" / "BBBC022")
    assert (source.reader, source.wells, len(source.planes)) == ("ome-tiff", (WellId(0, 1),), 3)
    assert source.fields(WellId(0, 1)) == (9,)
    images = [read_plane(plane, source.shape, source.dtype) for plane in source.planes]
    whole = tifffile.imread(data_dir / "bian_misc" / "BBBC022" / "IXMtest_A02_s9.tif")
    np.testing.assert_array_equal(np.stack(images), whole)


@pytest.mark.real
@pytest.mark.parametrize("name", ["c3_z33.companion.ome", "20241003_experiment_488_7_640_3_1.companion.ome"])
def test_real_companion_files_without_their_images(data_dir: Path, name: str) -> None:
    with pytest.raises(SourceError, match=r"none of [23], such as (.|\n)*copy the images beside it"):
        open_source(data_dir / "faim_misc" / "ome-tiff" / name)


@pytest.mark.real
def test_real_tiles_say_no_well(data_dir: Path) -> None:
    (folder,) = (data_dir / "serialcellpose").glob("**/multifile")
    with pytest.raises(SourceError, match=r"4 images \(4 \.tif\) such as tile_0_0\.tif"):
        open_source(folder)
    source = open_source(folder / "tile_1_0.tif", "ome-tiff")
    whole = tifffile.imread(folder / "tile_1_0.tif")
    for plane, image in zip(source.planes, whole, strict=True):
        np.testing.assert_array_equal(read_plane(plane, source.shape, source.dtype), image)
