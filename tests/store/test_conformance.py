"""What we write opens in other people's tools, unmodified and with everything in it."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from hts.model import FieldKey, WellId
from hts.store import FieldImage, Plate, PlateSpec, create_plate, list_labels, write_field, write_labels
from tests.store.plates import planes_of, spec_for, stack

SHAPE = (300, 261)
PLACES = [FieldKey(WellId.parse(well), field) for well in ("B03", "C11") for field in (1, 4)]


def _labels() -> np.ndarray:
    labels = np.zeros(SHAPE, np.int32)
    labels[10:40, 20:50] = 7
    labels[100:160, 100:180] = 70_000
    return labels


@pytest.fixture(scope="module", params=["0.5", "0.4"])
def spec(request: pytest.FixtureRequest) -> PlateSpec:
    return spec_for(SHAPE, fields={key.well: (1, 4) for key in PLACES}, ngff=request.param)


@pytest.fixture(scope="module")
def models(spec: PlateSpec) -> Any:
    """ome-zarr-models' classes of the plate's version."""
    return importlib.import_module("ome_zarr_models.v05" if spec.ngff == "0.5" else "ome_zarr_models.v04")


def _meta(model: Any) -> Any:
    """The metadata of a group: 0.5 keeps it under ``ome``."""
    return getattr(model, "ome_attributes", None) or model.attributes


@pytest.fixture(scope="module")
def plate(tmp_path_factory: pytest.TempPathFactory, spec: PlateSpec) -> Path:
    path = tmp_path_factory.mktemp("conformance") / "made.ome.zarr"
    create_plate(path, spec)
    for seed, key in enumerate(PLACES):
        write_field(path, spec, FieldImage(key, planes_of(stack(spec, seed)), {"y": 10.0, "x": 20.0}))
        field = Plate.open(path)[key.well].field(key.field)
        write_labels(field, {"nuclei-12345678": _labels()})
        list_labels(field, ["nuclei-12345678"])
    return path


def _group(path: Path) -> zarr.Group:
    return zarr.open_group(str(path), mode="r")


def test_ome_zarr_models_accepts_the_plate_and_its_wells(plate, models):
    hcs = models.HCS.from_zarr(_group(plate))
    meta = _meta(hcs).plate
    assert [(well.path, well.rowIndex, well.columnIndex) for well in meta.wells] == [("B/03", 1, 2), ("C/11", 2, 10)]
    assert [row.name for row in meta.rows] == list("ABCDEFGH")
    assert [column.name for column in meta.columns] == [f"{number:02d}" for number in range(1, 13)]
    wells = list(hcs.well_groups)
    assert [[image.path for image in _meta(well).well.images] for well in wells] == [["1", "4"]] * 2


def test_ome_zarr_models_accepts_every_image(plate, models):
    for key in PLACES:
        image = models.Image.from_zarr(_group(plate / key.well.row_name / key.well.column_name / str(key.field)))
        (multiscale,) = _meta(image).multiscales
        assert [axis.name for axis in multiscale.axes] == ["t", "c", "z", "y", "x"]
        assert [axis.unit for axis in multiscale.axes] == [None, None, None, "micrometer", "micrometer"]
        assert [item.coordinateTransformations[0].scale[3:] for item in multiscale.datasets] == [
            [0.65, 0.325],
            [1.3, 0.65],
        ]
        omero = _meta(image).omero
        # Its 0.5 keeps a dictionary, its 0.4 has classes of its own.
        entries = omero["channels"] if isinstance(omero, dict) else [vars(channel) for channel in omero.channels]
        assert [entry["color"] for entry in entries] == ["0000FF", "00FF00"]


def test_ome_zarr_models_accepts_labels(plate, models):
    folder = plate / "B" / "03" / "1" / "labels"
    assert _meta(models.Labels.from_zarr(_group(folder))).labels == ["nuclei-12345678"]
    label = models.ImageLabel.from_zarr(_group(folder / "nuclei-12345678"))
    assert _meta(label).image_label.source.image == "../../"


@pytest.fixture
def ngio_images(plate):
    import ngio

    return ngio.open_ome_zarr_plate(str(plate), mode="r").get_images(max_workers=1)


def test_ngio_finds_rows_wells_and_fields(plate, ngio_images):
    import ngio

    opened = ngio.open_ome_zarr_plate(str(plate), mode="r")
    assert opened.wells_paths() == ["B/03", "C/11"]
    assert sorted(ngio_images) == ["B/03/1", "B/03/4", "C/11/1", "C/11/4"]


def test_ngio_reads_our_pixels_scale_and_channels(ngio_images, spec):
    for seed, (name, container) in enumerate(sorted(ngio_images.items())):
        image = container.get_image(path="0")
        assert image.channel_labels == ["DNA", "Actin"], name
        assert (image.pixel_size.y, image.pixel_size.x, image.pixel_size.space_unit) == (0.65, 0.325, "micrometer")
        np.testing.assert_array_equal(image.get_array(), stack(spec, seed), err_msg=name)
        half = container.get_image(path="1")
        assert half.shape[-2:] == (150, 131)
        assert (half.pixel_size.y, half.pixel_size.x) == (1.3, 0.65)


def test_ngio_reads_our_labels(ngio_images):
    container = ngio_images["C/11/4"]
    assert container.list_labels() == ["nuclei-12345678"]
    label = container.get_label("nuclei-12345678", path="0")
    assert (label.pixel_size.y, label.pixel_size.x) == (0.65, 0.325)
    np.testing.assert_array_equal(label.get_array().reshape(SHAPE), _labels())


def test_ome_zarr_py_reads_image_and_labels(plate, spec):
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    nodes = list(Reader(parse_url(str(plate / "B" / "03" / "1"), mode="r"))())
    image = nodes[0]
    assert image.metadata["channel_names"] == ["DNA", "Actin"]
    np.testing.assert_array_equal(image.data[0].compute(), stack(spec, 0))
    label = next(node for node in nodes if node.metadata.get("name") == "nuclei-12345678")
    np.testing.assert_array_equal(label.data[0].compute().reshape(SHAPE), _labels())


def test_ome_zarr_py_shows_every_well_in_its_place(plate, spec):
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    (node, *_) = list(Reader(parse_url(str(plate), mode="r"))())
    assert node.data[0].shape == (1, 2, 1, 8 * SHAPE[0], 12 * SHAPE[1])
    for seed, (row, column) in ((0, (1, 2)), (2, (2, 10))):
        y, x = row * SHAPE[0], column * SHAPE[1]
        shown = node.data[0][:, :, :, y : y + SHAPE[0], x : x + SHAPE[1]].compute()
        np.testing.assert_array_equal(shown, stack(spec, seed))
