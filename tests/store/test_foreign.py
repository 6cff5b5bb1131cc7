"""Anybody's plate opens, is read right, and takes labels in its own version."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import zarr

from hts.errors import NotFoundError, SourceError, StoreError
from hts.locations import location
from hts.model import PixelSize, PlateLayout, WellId
from hts.store import (
    Markers,
    Plate,
    create_plate,
    exclusive,
    list_labels,
    refuse_read_only,
    write_bytes,
    write_labels,
    write_table,
)
from tests.store import foreign
from tests.store.plates import KEY, spec_for, stack, write_one

VERSIONS = pytest.mark.parametrize("version", foreign.VERSIONS)
YX = [{"name": "y", "type": "space", "unit": "micrometer"}, {"name": "x", "type": "space", "unit": "micrometer"}]


def _one_image(place: Path, values, axes, scale, **settings) -> Plate:
    version = settings.get("version", "0.4")
    foreign.write_plate(place, [("A/1", 0, 0)], version)
    foreign.write_well(place / "A" / "1", ["0"], version)
    foreign.write_image(place / "A" / "1" / "0", values, axes, scale, **settings)
    return Plate.open(place)


# --- written by their own libraries ------------------------------------------------------------------------------


@VERSIONS
def test_a_plate_of_ome_zarr_py(tmp_path, version):
    pixels = {path: foreign.ints((2, 600, 520), seed) for seed, path in enumerate(("B/03", "C/11"))}
    foreign.ome_zarr_py_plate(tmp_path / "p", pixels, version)
    plate = Plate.open(tmp_path / "p")
    assert (plate.version, [str(well) for well in plate.wells]) == (version, ["B03", "C11"])
    # It lists the rows in use only, and indices count in that list: names say what the wells are.
    assert plate.layout == PlateLayout(8, 12)
    assert plate.channels == ("Channel1", "Channel2")
    assert plate.channel_colors == {}
    assert plate.pixel_size == PixelSize(0.5, 0.25, None)
    for path, values in pixels.items():
        (field,) = plate[path.replace("/", "")].fields
        assert (field.key.field, field.name, field.axes) == (0, "0", ("c", "y", "x"))
        np.testing.assert_array_equal(field.read_plane("Channel2"), values[1])
        np.testing.assert_array_equal(field.to_xarray().values, values)
        assert field.read_plane("Channel1", level=1).shape == (300, 260)


@VERSIONS
def test_a_plate_of_ngio_takes_our_labels_and_ngio_reads_them(tmp_path, version):
    import ngio

    values = foreign.ints((2, 3, 300, 261))
    foreign.ngio_plate(tmp_path / "p", values, version)
    plate = Plate.open(tmp_path / "p")
    (field,) = plate["C05"].fields
    assert (plate.version, plate.channels) == (version, ("DAPI", "GFP"))
    assert plate.pixel_size == PixelSize(0.325, 0.325, 2.0)
    np.testing.assert_array_equal(field.read_plane("GFP", z=2), values[1, 2])
    labels = np.random.default_rng(0).integers(0, 90_000, (300, 261)).astype(np.int32)
    write_labels(field, {"nuclei-00000001": labels})
    list_labels(field, ["nuclei-00000001"])
    assert field.label_names() == ("nuclei-00000001",)
    container = ngio.open_ome_zarr_plate(str(tmp_path / "p"), mode="r").get_image("C", 5, "0")
    assert container.list_labels() == ["nuclei-00000001"]
    label = container.get_label("nuclei-00000001", path="0")
    assert (label.pixel_size.z, label.pixel_size.y, label.pixel_size.x) == (2.0, 0.325, 0.325)
    np.testing.assert_array_equal(np.asarray(label.get_array()).reshape(300, 261), labels)


@VERSIONS
def test_their_labels_are_read_and_stay_listed(tmp_path, version):
    import ngio

    foreign.ngio_plate(tmp_path / "p", foreign.ints((2, 1, 90, 80)), version)
    container = ngio.open_ome_zarr_plate(str(tmp_path / "p"), mode="r+").get_image("C", 5, "0")
    theirs = np.arange(90 * 80).reshape(90, 80) % 77
    label = container.derive_label("drawn by hand", dtype="uint16")
    label.set_array(theirs.reshape(label.shape))
    field = Plate.open(tmp_path / "p")["C05"].fields[0]
    np.testing.assert_array_equal(field.read_labels("drawn by hand"), theirs)
    write_labels(field, {"nuclei-00000001": theirs.astype(np.int32)})
    list_labels(field, ["nuclei-00000001"])
    assert field.label_names() == ("nuclei-00000001", "drawn by hand")


# --- what the specification allows and people do -----------------------------------------------------------------


@VERSIONS
@pytest.mark.parametrize("axes", ["yx", "cyx", "zyx", "tyx", "tzyx", "czyx", "tcyx", "tczyx"])
def test_any_axes(tmp_path, version, axes):
    sizes = {"t": 2, "c": 3, "z": 2, "y": 50, "x": 40}
    types = {"t": "time", "c": "channel"}
    values = foreign.ints(tuple(sizes[axis] for axis in axes))
    entries = [{"name": axis, "type": types.get(axis, "space")} for axis in axes]
    plate = _one_image(tmp_path / "p", values, entries, [1.0] * len(axes), version=version)
    field = plate["A01"].fields[0]
    assert field.sizes == {axis: sizes[axis] for axis in axes}
    assert plate.pixel_size is None
    last = {axis: sizes[axis] - 1 if axis in axes else 0 for axis in "tcz"}
    plane = field.read_plane(field.channels[-1], t=last["t"], z=last["z"])
    np.testing.assert_array_equal(plane, values[tuple(-1 for axis in axes if axis not in "yx")])
    assert field.to_xarray().dims == tuple(axes)
    write_labels(field, {"nuclei-00000001": plane.astype(np.int32)})
    np.testing.assert_array_equal(field.read_labels("nuclei-00000001"), plane)
    label = zarr.open_array(str(field.location / "labels" / "nuclei-00000001" / "0"), mode="r")
    assert label.shape == tuple({"y": 50, "x": 40}.get(axis, 1) for axis in axes if axis != "c")


def test_labels_with_other_axes_than_their_metadata_are_refused(tmp_path):
    field = _one_image(tmp_path / "p", foreign.ints((9, 9)), YX, [1, 1])["A01"].fields[0]
    place = field.location / "labels" / "theirs"
    foreign.write_image(place, foreign.ints((1, 9, 9)), YX, [1, 1])
    with pytest.raises(SourceError, match=r"labels/theirs has the axes y, x\n  found: the shape \(1, 9, 9\)"):
        field.read_labels("theirs")
    foreign.write_image(field.location / "labels" / "floats", np.ones((9, 9), "f4"), YX, [1, 1])
    with pytest.raises(SourceError, match=r"has labels of int32\n  found: float32"):
        field.read_labels("floats")


_MICROMETERS = (
    "micrometer",
    "Micrometer",
    "micrometre",
    "Micrometres",
    "microns",
    "MICRON",
    "um",
    "\u00b5m",
    "\u03bcm",
)
_OTHERS = (("nanometer", 1e-3), ("millimeter", 1e3), ("nm", 1e-3), (" mm ", 1e3), ("Ångström", 1e-4))


@pytest.mark.parametrize(("unit", "um"), [*((name, 1) for name in _MICROMETERS), *_OTHERS])
def test_units_and_scales_of_dataset_and_multiscale_are_multiplied(tmp_path, unit, um):
    axes = [{"name": axis, "type": "space", "unit": unit} for axis in "zyx"]
    plate = _one_image(tmp_path / "p", foreign.ints((2, 9, 9)), axes, [4.0, 2.0, 1.0], whole=[1.0, 0.5, 0.25])
    size = plate.pixel_size
    assert (size.z_um, size.y_um, size.x_um) == pytest.approx((4 * um, um, 0.25 * um))
    np.testing.assert_allclose(plate["A01"].fields[0].to_xarray().coords["x"].values[0], 0.125 * um)


@pytest.mark.parametrize("unit", [None, "parsec", "pixel", "", "s", "Mm", 3, ["um"]])
def test_an_unknown_unit_is_no_pixel_size(tmp_path, unit):
    axes = [{"name": axis, "type": "space"} | ({"unit": unit} if unit else {}) for axis in "yx"]
    assert _one_image(tmp_path / "p", foreign.ints((9, 9)), axes, [2.0, 2.0]).pixel_size is None


@pytest.mark.parametrize(("scale", "z_um"), [([0, 1, 1], None), ([-2, 1, 1], None), ([2, 0, 1], 2), ([2, 1, -1], 2)])
def test_a_size_that_no_pixel_has_is_none(tmp_path, scale, z_um):
    axes = [{"name": "z", "type": "space", "unit": "micrometer"}, *YX]
    plate = _one_image(tmp_path / "p", foreign.ints((2, 9, 9)), axes, scale)
    assert plate.pixel_size == (PixelSize(1, 1, z_um) if min(scale[1:]) > 0 else None)
    array = plate["A01"].fields[0].to_xarray()
    assert array.attrs["unit"] == ("micrometer" if min(scale[1:]) > 0 else "pixel")
    for axis in "zyx":
        assert array.coords[axis].values[1] > array.coords[axis].values[0]


@VERSIONS
def test_names_of_wells_and_images_that_are_no_numbers(tmp_path, version):
    foreign.write_plate(tmp_path, [("top/left", 0, 0), ("top/right", 0, 1)], version)
    foreign.write_well(tmp_path / "top" / "left", ["overview", "0_mip", "detail"], version)
    for seed, name in enumerate(("overview", "0_mip", "detail")):
        values = foreign.ints((9, 9), seed)
        foreign.write_image(tmp_path / "top" / "left" / name, values, YX, [1, 1], version=version, path="full res")
    plate = Plate.open(tmp_path)
    assert [str(well) for well in plate.wells] == ["A01", "A02"]
    fields = plate["A01"].fields
    assert [(field.key.field, field.name) for field in fields] == [(1, "overview"), (2, "0_mip"), (3, "detail")]
    np.testing.assert_array_equal(plate["A01"].field(3).read_plane("Channel1"), foreign.ints((9, 9), 2))
    with pytest.raises(StoreError, match="right"):
        _ = plate["A02"].fields


def test_names_count_more_than_indices_and_both_layouts_hold_the_wells(tmp_path):
    foreign.write_plate(tmp_path / "a", [("B/3", 0, 0), ("AF/48", 1, 1)])
    plate = Plate.open(tmp_path / "a")
    assert [str(well) for well in plate.wells] == ["B03", "AF48"]
    assert plate.layout == PlateLayout(32, 48)
    foreign.write_plate(tmp_path / "b", [("1/3", 4, 5)])
    assert Plate.open(tmp_path / "b").wells == (WellId(4, 5),)


@pytest.mark.parametrize("wells", [[("A/1", 0, 0), ("A/01", 0, 1)], [("1/1", 0, 0), ("2/1", 0, 0)]])
def test_two_folders_for_one_well_are_refused(tmp_path, wells):
    foreign.write_plate(tmp_path, wells)
    with pytest.raises(
        StoreError, match=r"lists rows, columns and wells\n  found: ValueError: well A01 is listed twice"
    ):
        Plate.open(tmp_path)


@pytest.mark.parametrize(
    ("omero", "names"),
    [
        (None, ("Channel1", "Channel2")),
        ({"channels": [{"label": "DAPI", "color": "0000FF"}]}, ("DAPI", "Channel2")),
        ({"channels": [{"label": "GFP"}, {"label": "GFP"}, {"label": "extra"}]}, ("GFP", "GFP (2)")),
        ({"channels": [{"color": "FF0000"}, {"label": ""}]}, ("Channel1", "Channel2")),
        ({"channels": 3}, ("Channel1", "Channel2")),
        ([], ("Channel1", "Channel2")),
    ],
)
def test_channels_are_as_many_as_the_image_has_and_all_different(tmp_path, omero, names):
    axes = [{"name": "c", "type": "channel"}, *YX]
    values = foreign.ints((2, 9, 9))
    plate = _one_image(tmp_path / "p", values, axes, [1, 1, 1], ome={"omero": omero})
    assert plate.channels == names
    np.testing.assert_array_equal(plate["A01"].fields[0].read_plane(names[1]), values[1])


@VERSIONS
def test_a_chunk_that_is_not_there_is_fill_value(tmp_path, version):
    values = foreign.ints((64, 64))
    values[:32, :32] = 0
    plate = _one_image(tmp_path / "p", values, YX, [1, 1], version=version)
    np.testing.assert_array_equal(plate["A01"].fields[0].read_plane("Channel1"), values)


@pytest.mark.parametrize(
    "multiscale",
    [
        {"axes": [{"name": "x"}, {"name": "y"}], "datasets": [{"path": "0"}]},
        {"axes": [{"name": "y"}, {"name": "y"}, {"name": "x"}], "datasets": [{"path": "0"}]},
        {"axes": [{"name": "r"}, {"name": "y"}, {"name": "x"}], "datasets": [{"path": "0"}]},
        {"axes": ["y", "x"], "datasets": [{"path": "0"}]},
        {"datasets": [{"path": "0"}]},
        {"axes": YX, "datasets": []},
        {"axes": YX, "datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1]}]}]},
        {"axes": YX, "datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale"}]}]},
        3,
    ],
)
def test_metadata_that_cannot_be_understood_costs_the_field(tmp_path, multiscale):
    plate = _one_image(tmp_path / "p", foreign.ints((9, 9)), YX, [1, 1])
    field = plate["A01"].fields[0]
    foreign.write_group(field.location, {"multiscales": [multiscale]}, "0.4")
    with pytest.raises(SourceError, match=r"A01 field 0 is an image\n  found: "):
        Plate.open(tmp_path / "p")["A01"].fields[0].read_plane("Channel1")


def test_an_array_with_other_axes_than_the_metadata_costs_the_field(tmp_path):
    plate = _one_image(tmp_path / "p", foreign.ints((2, 9, 9)), YX, [1, 1])
    with pytest.raises(SourceError, match=r"has the axes y, x\n  found: the shape \(2, 9, 9\)"):
        plate["A01"].fields[0].read_plane("Channel1")


def test_the_digest_of_a_well_follows_its_documents(tmp_path):
    plate = _one_image(tmp_path / "p", foreign.ints((9, 9)), YX, [1, 1])
    before = plate["A01"].metadata_digest()
    assert Plate.open(tmp_path / "p")["A01"].metadata_digest() == before
    document = tmp_path / "p" / "A" / "1" / "0" / ".zattrs"
    document.write_text(document.read_text().replace("micrometer", "nanometer"))
    assert Plate.open(tmp_path / "p")["A01"].metadata_digest() != before


def test_fields_with_other_channels_and_sizes_stay_readable(tmp_path):
    """The plate tells those of its first image; each field keeps its own."""
    values = foreign.ints((3, 9, 9))
    plate = _one_image(tmp_path / "p", foreign.ints((7, 8)), YX, [1, 1])
    foreign.write_well(tmp_path / "p" / "A" / "1", ["0", "1"])
    foreign.write_image(tmp_path / "p" / "A" / "1" / "1", values, [{"name": "c", "type": "channel"}, *YX], [1, 1, 1])
    first, second = plate["A01"].fields
    assert (plate.channels, first.channels) == (("Channel1",), ("Channel1",))
    assert (second.channels, second.has_plane("Channel3")) == (("Channel1", "Channel2", "Channel3"), True)
    np.testing.assert_array_equal(second.read_plane("Channel3"), values[2])
    with pytest.raises(NotFoundError, match="one of the channels Channel1\n  found: Channel3"):
        first.has_plane("Channel3")


# --- zip files ---------------------------------------------------------------------------------------------------


def _zip(folder: Path, archive: Path, top: str = "") -> Path:
    with zipfile.ZipFile(archive, "w") as made:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                made.write(file, f"{top}{file.relative_to(folder)}")
    return archive


@VERSIONS
@pytest.mark.parametrize(("name", "top"), [("p.ozx", ""), ("p.zip", ""), ("P.ZIP", "made.ome.zarr/")])
def test_a_plate_in_a_zip_file(tmp_path, version, name, top):
    spec = spec_for((300, 261), ngff=version)
    write_one(tmp_path / "p", spec, stack(spec))
    write_table(tmp_path / "p" / ".hts" / "layout.parquet", Plate.open(tmp_path / "p").layout_table().assign(Dose=1.0))
    plate = Plate.open(_zip(tmp_path / "p", tmp_path / name, top))
    shutil.rmtree(tmp_path / "p")
    assert (plate.version, plate.name, plate.path) == (version, "made", tmp_path / name)
    assert plate.layout_table()["Dose"].tolist() == [1.0]
    np.testing.assert_array_equal(plate["B03"].fields[0].to_xarray().values, stack(spec))


def test_a_zip_file_on_an_object_store(tmp_path, anywhere):
    spec = spec_for((300, 261))
    write_one(tmp_path / "p", spec, stack(spec))
    write_bytes(anywhere / "p.ozx", _zip(tmp_path / "p", tmp_path / "q.zip").read_bytes())
    plate = Plate.open(str(anywhere / "p.ozx"))
    np.testing.assert_array_equal(plate["B03"].fields[0].to_xarray().values, stack(spec))


def test_nothing_is_ever_written_into_a_zip_file(tmp_path):
    spec = spec_for((40, 40))
    write_one(tmp_path / "p", spec, stack(spec))
    archive = _zip(tmp_path / "p", tmp_path / "p.zip")
    before = archive.read_bytes()
    plate = Plate.open(archive)
    field = plate["B03"].fields[0]
    expected = rf"{archive} can be written\n  found: a zip file.*read-only\n.*hts convert {archive} .* --rewrite"
    for write in (
        lambda: write_labels(field, {"nuclei-00000001": np.ones((40, 40), np.int32)}),
        lambda: list_labels(field, ["nuclei-00000001"]),
        lambda: create_plate(plate.root, spec),
        lambda: Markers(plate.root / ".hts", "run", "f").commit("B03", {}),
        lambda: Markers(plate.root / ".hts", "run", "f").discard("B03"),
        lambda: exclusive(plate.root / ".hts", "run").__enter__(),
        lambda: refuse_read_only(plate.root),
    ):
        with pytest.raises(StoreError, match=expected):
            write()
    assert archive.read_bytes() == before
    assert field.label_names() == ()


def test_what_is_no_zip_file_is_said(tmp_path):
    (tmp_path / "p.zip").write_bytes(b"PK no")
    with pytest.raises(StoreError, match=rf"{tmp_path / 'p.zip'} is a zip file that can be read"):
        Plate.open(tmp_path / "p.zip")
    with pytest.raises(NotFoundError, match=r"a plate at .*none.zip\n  found: nothing"):
        Plate.open(tmp_path / "none.zip")
    with zipfile.ZipFile(tmp_path / "e.zip", "w") as made:
        made.writestr("a.txt", "x")
    with pytest.raises(StoreError, match=r"e.zip is an OME-Zarr plate\n  found: a folder without"):
        Plate.open(tmp_path / "e.zip")
    spec = spec_for((40, 40))
    write_one(tmp_path / "folder", spec, stack(spec))
    (tmp_path / "folder").rename(tmp_path / "folder.zip")
    assert Plate.open(location(str(tmp_path / "folder.zip")))["B03"].fields[0].key == KEY
