from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hts.errors import NotFoundError, SourceError, StoreError, UsageError
from hts.model import Channel, FieldKey, PixelSize, PlateLayout, WellId
from hts.store import FieldImage, Plate, create_plate, list_labels, write_field, write_labels, write_table
from hts.store.pyramid import halve_image, level_shapes
from tests.store.plates import KEY, WELL, planes_of, shards, spec_for, stack, write_one


def _check_round_trip(field, values):
    for level, shape in enumerate(level_shapes(values.shape[-2:])):
        for t, c, z in np.ndindex(values.shape[:3]):
            plane = field.read_plane(field.channels[c], t=t, z=z, level=level)
            assert plane.dtype == values.dtype
            assert plane.shape == shape
            np.testing.assert_array_equal(plane, values[t, c, z])
        if level + 1 < field.levels:
            halved = [halve_image(values[index]) for index in np.ndindex(values.shape[:3])]
            values = np.stack(halved).reshape(*values.shape[:3], *halved[0].shape)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("shape", [(1, 1), (255, 257), (641, 500)])
def test_pixels_come_back_as_they_were(tmp_path, shape, dtype):
    spec = spec_for(shape, dtype)
    values = stack(spec)
    _check_round_trip(write_one(tmp_path / "p", spec, values), values)


@pytest.mark.parametrize(("edge", "levels"), [(640, 3), (2048, 5)])
def test_one_file_a_plane_and_level(tmp_path, edge, levels):
    spec = spec_for((edge, edge))
    values = stack(spec)
    field = write_one(tmp_path / "p", spec, values)
    assert field.levels == levels
    assert len(shards(tmp_path / "p")) == 2 * levels
    _check_round_trip(field, values)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.tuples(st.integers(1, 600), st.integers(1, 600)),
    dtype=st.sampled_from(["u1", "u2", "f4"]),
    counts=st.tuples(st.integers(1, 2), st.integers(1, 2)),
)
def test_any_shape_comes_back_with_time_and_z(tmp_path, shape, dtype, counts):
    spec = spec_for(shape, dtype, n_t=counts[0], n_z=counts[1], channels=(Channel("DNA"),))
    values = stack(spec)
    shutil.rmtree(tmp_path / "p", ignore_errors=True)
    field = write_one(tmp_path / "p", spec, values)
    assert field.sizes == {"t": counts[0], "c": 1, "z": counts[1], "y": shape[0], "x": shape[1]}
    assert len(shards(tmp_path / "p")) == counts[0] * counts[1] * len(level_shapes(shape))
    _check_round_trip(field, values)


def test_planes_that_never_came_take_no_file_and_are_never_read_as_black(tmp_path):
    spec = spec_for((300, 300), n_z=2)
    values = stack(spec)
    create_plate(tmp_path / "p", spec)
    write_field(tmp_path / "p", spec, FieldImage(KEY, planes_of(values, without={(0, 1, 0)})))
    field = Plate.open(tmp_path / "p")[WELL].fields[0]
    with pytest.raises(SourceError, match="was not acquired or could not be read"):
        field.read_plane("Actin", z=0)
    assert not field.to_xarray().sel(c="Actin").isel(z=0).any()
    np.testing.assert_array_equal(field.read_plane("Actin", z=1), values[0, 1, 1])
    assert len(shards(tmp_path / "p")) == 3 * field.levels


def test_what_a_plate_says_of_itself(tmp_path):
    write_one(tmp_path / "p", spec_for((300, 200), origin={"reader": "made up"}), stack(spec_for((300, 200))))
    plate = Plate.open(str(tmp_path / "p"))
    assert (plate.name, plate.wells, plate.layout) == ("made", (WELL,), PlateLayout(2, 3))
    assert plate.channels == ("DNA", "Actin")
    assert plate.channel_colors == {"DNA": "0000FF", "Actin": "00FF00"}
    assert plate.pixel_size == PixelSize(0.65, 0.325, None)
    assert plate.shape == {"t": 1, "c": 2, "z": 1, "y": 300, "x": 200}
    assert plate.itemsize_bytes == 2
    assert plate.origin == {"reader": "made up"}
    assert plate.layout_table()["Well"].tolist() == ["B03"]
    assert plate.completeness().empty


def test_tables_beside_the_plate_are_read(tmp_path, small_plate):
    spec = spec_for((40, 40))
    write_one(tmp_path / "p", spec, stack(spec))
    plate = Plate.open(tmp_path / "p")
    layout = plate.layout_table().assign(Dose=0.5)
    write_table(tmp_path / "p" / ".hts" / "layout.parquet", layout)
    assert plate.layout_table()["Dose"].tolist() == [0.5]
    assert set(small_plate.completeness()["Status"]) == {"found", "missing"}


def test_fields_keep_the_numbers_and_order_of_the_microscope(tmp_path):
    spec = spec_for((40, 40), fields={WELL: (2, 10, 9)})
    create_plate(tmp_path / "p", spec)
    for seed, number in enumerate((10, 9, 2)):
        write_field(tmp_path / "p", spec, FieldImage(FieldKey(WELL, number), planes_of(stack(spec, seed))))
    well = Plate.open(tmp_path / "p")["b3"]
    assert [field.key.field for field in well.fields] == [2, 9, 10]
    np.testing.assert_array_equal(well.field(10).read_plane("DNA"), stack(spec, 0)[0, 0, 0])
    np.testing.assert_array_equal(well.field(2).read_plane("DNA"), stack(spec, 2)[0, 0, 0])


def test_to_xarray_has_dims_channels_and_coordinates_in_um(tmp_path):
    spec = spec_for((300, 261), n_z=2, pixel_size=PixelSize(0.65, 0.325, 2.0))
    values = stack(spec)
    field = write_one(tmp_path / "p", spec, values, position_um={"y": -10.5, "x": 1234.25})
    assert field.position_um == {"y": -10.5, "x": 1234.25}
    full, half = field.to_xarray(), field.to_xarray(level=1)
    assert full.dims == ("t", "c", "z", "y", "x")
    assert full.name == "B03 field 1"
    assert full.attrs == {"unit": "micrometer", "well": "B03", "position_um": {"y": -10.5, "x": 1234.25}}
    np.testing.assert_array_equal(full.sel(c="Actin").values, values[:, 1])
    np.testing.assert_allclose(full.coords["y"].values, (np.arange(300) + 0.5) * 0.65)
    np.testing.assert_allclose(full.coords["x"].values, (np.arange(261) + 0.5) * 0.325)
    np.testing.assert_allclose(full.coords["z"].values, [0.0, 2.0])
    # A pixel of the second level covers two of the first: its centre is the edge between them.
    np.testing.assert_allclose(half.coords["y"].values[:2], [0.65, 1.95])
    np.testing.assert_allclose(half.coords["y"].values, (np.arange(150) + 0.5) * 1.3)


def test_without_a_pixel_size_the_unit_is_the_pixel(tmp_path):
    spec = spec_for((300, 300), pixel_size=None)
    field = write_one(tmp_path / "p", spec, stack(spec))
    assert field.pixel_size is None
    assert field.position_um is None
    assert Plate.open(tmp_path / "p").pixel_size is None
    array = field.to_xarray(level=1)
    assert array.attrs == {"unit": "pixel", "well": "B03"}
    np.testing.assert_allclose(array.coords["x"].values[:2], [1.0, 3.0])


def test_other_units_of_length_are_turned_into_um(tmp_path):
    """Other software writes nanometres."""
    spec = spec_for((300, 300), pixel_size=PixelSize(650, 325, 2000))
    field = write_one(tmp_path / "p", spec, stack(spec))
    document = field.location / "zarr.json"
    document.write_text(document.read_text().replace("micrometer", "nanometer"))
    again = Plate.open(tmp_path / "p")[WELL].fields[0]
    assert again.pixel_size == PixelSize(0.65, 0.325, 2.0)
    np.testing.assert_allclose(again.to_xarray(1).coords["x"].values[0], 0.325)
    document.write_text(document.read_text().replace("nanometer", "parsec"))
    assert Plate.open(tmp_path / "p")[WELL].fields[0].pixel_size is None


# --- what cannot be opened ---------------------------------------------------------------------------------------


def test_open_says_when_there_is_nothing(tmp_path):
    with pytest.raises(NotFoundError, match=rf"a plate at {tmp_path / 'none'}\n  found: nothing\n.*hts convert"):
        Plate.open(tmp_path / "none")


def test_open_says_when_a_folder_is_no_plate(tmp_path):
    (tmp_path / "a.tif").touch()
    with pytest.raises(StoreError, match=rf"{tmp_path} is an OME-Zarr plate\n.*\n.*microscope folder.*\n.*hts convert"):
        Plate.open(tmp_path)


def test_open_says_when_a_group_is_no_plate(tmp_path):
    spec = spec_for((40, 40))
    write_one(tmp_path / "p", spec, stack(spec))
    with pytest.raises(StoreError, match=r"B/03 is an OME-Zarr 0.5 plate\n  found: no ome.plate in .*B/03/zarr.json"):
        Plate.open(tmp_path / "p" / "B" / "03")


@pytest.mark.parametrize(
    "document",
    ["", "{", "\x00\x00", "[]", "{}", "null", '{"attributes": null}', '{"attributes": {"ome": []}}']
    + [f'{{"attributes": {{"ome": {{"plate": {plate}}}}}}}' for plate in ("[1]", '{"wells": 3}', '{"wells": [{}]}')],
)
def test_open_names_a_damaged_document(tmp_path, document):
    (tmp_path / "zarr.json").write_text(document)
    with pytest.raises(StoreError, match=rf"{tmp_path}.*zarr.json"):
        Plate.open(tmp_path)


@pytest.fixture
def field(tmp_path):
    spec = spec_for((40, 40), fields={WELL: (1, 2)})
    write_one(tmp_path / "p", spec, stack(spec))
    return Plate.open(tmp_path / "p")[WELL].fields[0]


def test_unknown_names_are_refused_with_what_there_is(field):
    plate = Plate.open(field.location.parents[2])
    with pytest.raises(NotFoundError, match=r"a well of made\n  found: H12\n.*its wells are B03"):
        plate["H12"]
    with pytest.raises(UsageError, match=r"such as B03\n  found: '3B'"):
        plate["3B"]
    with pytest.raises(NotFoundError, match=r"a field of B03\n  found: 7\n.*its fields are 1, 2"):
        plate["B03"].field(7)
    with pytest.raises(NotFoundError, match=r"one of the channels DNA, Actin\n  found: GFP"):
        field.read_plane("GFP")


@pytest.mark.parametrize("level", [-1, 1])
def test_unknown_levels_are_refused(field, level):
    with pytest.raises(UsageError, match=rf"a pyramid level from 0 to 0\n  found: {level}"):
        field.read_plane("DNA", level=level)
    with pytest.raises(UsageError, match=rf"a pyramid level from 0 to 0\n  found: {level}"):
        field.to_xarray(level)


@pytest.mark.parametrize("place", [{"t": 1}, {"z": 1}, {"t": -1}, {"z": -1}])
def test_unknown_planes_are_refused_and_never_counted_from_the_end(field, place):
    ((axis, value),) = place.items()
    with pytest.raises(NotFoundError, match=rf"{axis} from 0 to 0\n  found: {value}"):
        field.read_plane("DNA", **place)


def test_has_plane_says_what_was_acquired(tmp_path):
    spec = spec_for((40, 40), n_z=2, n_t=2)
    create_plate(tmp_path / "p", spec)
    write_field(tmp_path / "p", spec, FieldImage(KEY, planes_of(stack(spec), {(1, 0, 1), (0, 1, 0)})))
    field = Plate.open(tmp_path / "p")[WELL].fields[0]
    there = {(t, c, z): field.has_plane(field.channels[c], t=t, z=z) for t, c, z in np.ndindex(2, 2, 2)}
    assert [place for place, has in there.items() if not has] == [(0, 1, 0), (1, 0, 1)]
    assert (field.z_planes("DNA"), field.z_planes("DNA", 1)) == ((0, 1), (0,))
    with pytest.raises(NotFoundError, match="one of the channels DNA, Actin\n  found: GFP"):
        field.has_plane("GFP")
    with pytest.raises(NotFoundError, match="z from 0 to 1\n  found: 2"):
        field.has_plane("DNA", z=2)


@pytest.mark.parametrize("own", [{"absent_planes": 3}, {"absent_planes": [[0, 0]]}, {"absent_planes": [["a", 0, 0]]}])
def test_what_is_damaged_of_ours_costs_its_field(field, own):
    document = json.loads((field.location / "zarr.json").read_text("utf-8"))
    document["attributes"]["hts"] |= own | {"position_um": [1, 2]}
    (field.location / "zarr.json").write_text(json.dumps(document))
    again = Plate.open(field.location.parents[2])[WELL].fields[0]
    assert again.position_um is None
    with pytest.raises(SourceError, match="B03 field 1 is an image\n  found: "):
        again.has_plane("DNA")


@pytest.mark.parametrize("number", [10**9, 10**30, 10**400], ids=["1e9", "1e30", "1e400"])
@pytest.mark.parametrize("axis", [0, 1, 4, None])
def test_a_damaged_number_costs_its_field_only(field, axis, number):
    """In the shape or the fill value of an array."""
    plate = Plate.open(field.location.parents[2])
    spec = spec_for((40, 40), fields={WELL: (1, 2)})
    write_field(plate.path, spec, FieldImage(FieldKey(WELL, 2), planes_of(stack(spec))))
    file = field.location / "0" / "zarr.json"
    document = json.loads(file.read_text("utf-8"))
    if axis is None:
        document["fill_value"] = number
    else:
        document["shape"][axis] = number
    file.write_text(json.dumps(document))
    with pytest.raises(SourceError, match="B/03/1/0"):
        plate[WELL].field(1).to_xarray()
    assert plate.channels == ("DNA", "Actin")
    np.testing.assert_array_equal(plate[WELL].field(2).read_plane("Actin"), stack(spec)[0, 1, 0])


def test_a_field_without_whole_metadata_costs_itself_only(field):
    plate = Plate.open(field.location.parents[2])
    broken = plate[WELL].field(2)
    with pytest.raises(SourceError, match=r"B03 field 2 is an image\n  found: .*B/03/2/zarr.json exists"):
        broken.read_plane("DNA")
    broken.location.mkdir()
    (broken.location / "zarr.json").write_text("{")
    with pytest.raises(SourceError, match=r"B03 field 2 is an image\n  found: .*B/03/2/zarr.json is a JSON file"):
        broken.to_xarray()
    (broken.location / "zarr.json").write_text('{"attributes": {}}')
    with pytest.raises(SourceError, match=r"B03 field 2 is an image\n  found: .*no ome.multiscales"):
        _ = broken.axes
    assert plate.channels == ("DNA", "Actin")


def test_a_broken_first_field_does_not_hide_the_plate(field):
    plate = Plate.open(field.location.parents[2])
    spec = spec_for((40, 40), fields={WELL: (1, 2)})
    write_field(plate.path, spec, FieldImage(FieldKey(WELL, 2), planes_of(stack(spec))))
    (field.location / "zarr.json").write_text("{")
    assert plate.channels == ("DNA", "Actin")
    assert plate.shape["y"] == 40


def test_a_plate_without_images_says_so(tmp_path):
    create_plate(tmp_path / "p", spec_for((40, 40)))
    with pytest.raises(StoreError, match=r"p has at least one image\n  found: none\n.*convert the plate again"):
        _ = Plate.open(tmp_path / "p").channels


def test_a_damaged_well_is_named(field):
    (field.location.parent / "zarr.json").write_text('{"attributes": {"ome": {}}}')
    with pytest.raises(StoreError, match=r"B/03 is an OME-Zarr 0.5 well"):
        _ = Plate.open(field.location.parents[2])[WELL].fields
    for well in ('{"images": [{}]}', '{"images": 3}', '{"image": []}'):
        (field.location.parent / "zarr.json").write_text(f'{{"attributes": {{"ome": {{"well": {well}}}}}}}')
        with pytest.raises(StoreError, match=r"B/03/zarr.json lists images with their paths\n  found: "):
            _ = Plate.open(field.location.parents[2])[WELL].fields


def test_a_damaged_shard_is_named_through_the_plate(field):
    shard = field.location / "0" / "c" / "0" / "1" / "0" / "0" / "0"
    shard.write_bytes(shard.read_bytes()[:20])
    with pytest.raises(SourceError, match=rf"{shard} can be read"):
        field.read_plane("Actin")
    field.read_plane("DNA")


def test_a_damaged_label_shard_is_named(field):
    write_labels(field, {"nuclei-1": np.ones((40, 40), np.int32)})
    list_labels(field, ["nuclei-1"])
    (shard,) = shards(field.location / "labels")
    shard.write_bytes(b"")
    with pytest.raises(SourceError, match=rf"{shard} can be read\n  found: the file is empty"):
        field.read_labels("nuclei-1")
    with pytest.raises(SourceError, match=r"labels/cells-1 is a label image"):
        field.read_labels("cells-1")


def test_wells_sort_by_place(tmp_path):
    wells = [WellId.parse(name) for name in ("C01", "A12", "B02", "A02")]
    create_plate(tmp_path / "p", spec_for((40, 40), fields=dict.fromkeys(wells, (1,))))
    assert [str(well) for well in Plate.open(tmp_path / "p").wells] == ["A02", "A12", "B02", "C01"]


@pytest.mark.parametrize("version", ["0.5", "0.4"])
def test_a_black_plane_is_black_and_a_lost_file_is_an_error(tmp_path, version):
    """Zarr reads zeros where there is no file; so black planes have files like all others."""
    spec = spec_for((1500, 1200), ngff=version, n_z=2)
    planes = [np.zeros(spec.shape, spec.dtype), np.ones(spec.shape, spec.dtype)]
    create_plate(tmp_path / "p", spec)
    write_field(tmp_path / "p", spec, FieldImage(KEY, [((0, c, 0), plane) for c, plane in enumerate(planes)]))
    field = Plate.open(tmp_path / "p")[WELL].fields[0]
    black, grey = field.channels
    assert not field.read_plane(black).any()
    assert field.read_plane(grey).all()
    assert field.to_xarray().values.sum() == spec.shape[0] * spec.shape[1]
    for file in shards(field.location / "0"):
        content = file.read_bytes()
        channel = field.channels[int(file.relative_to(field.location / "0").parts[-4])]
        file.write_bytes(b"")
        with pytest.raises(SourceError, match="can be read"):
            field.read_plane(channel)
        file.unlink()
        with pytest.raises(SourceError, match=rf"{file} can be read\n  found: no such file\n.*was deleted"):
            field.read_plane(channel)
        with pytest.raises(SourceError, match=rf"{file} can be read"):
            field.to_xarray()
        file.write_bytes(content)
