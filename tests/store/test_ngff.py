"""Our metadata against the rules of the official OME-NGFF 0.5 suites."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts.model import Channel, PixelSize, PlateLayout, WellId
from hts.store import ngff
from tests.store.ngff_rules import RULES

CASES = [(kind, strict) for kind in RULES for strict in (False, True)]
SIZES = (None, PixelSize(0.65, 0.325), PixelSize(0.65, 0.65, 2.0))


def _ome(document: dict) -> dict:
    return document.get("ome", document)


@pytest.mark.real
@pytest.mark.parametrize(("kind", "strict"), CASES)
def test_rules_judge_the_official_suite_as_it_says(data_dir, kind, strict):
    file = data_dir / "ngff_tests_v05" / "tests" / f"{'strict_' if strict else ''}{kind}_suite.json"
    cases = json.loads(file.read_text("utf-8"))["tests"]
    assert cases
    for case in cases:
        broken = list(RULES[kind](_ome(case["data"]), strict))
        assert (not broken) == case["valid"], (case["formerly"], broken)


@given(
    wells=st.sets(st.builds(WellId, st.integers(0, 40), st.integers(0, 60)), min_size=1, max_size=20),
    fields=st.integers(1, 9),
)
def test_plates_of_any_size_keep_the_strict_rules(wells, fields):
    layout = PlateLayout.holding(wells)
    ome = ngff.group(ngff.plate("a plate", layout, list(wells), fields))["attributes"]["ome"]
    assert list(RULES["plate"](ome, True)) == []
    rows, columns = ome["plate"]["rows"], ome["plate"]["columns"]
    for entry in ome["plate"]["wells"]:
        row, column = entry["path"].split("/")
        assert (rows[entry["rowIndex"]]["name"], columns[entry["columnIndex"]]["name"]) == (row, column)


@given(fields=st.sets(st.integers(0, 5000), min_size=1))
def test_wells_keep_the_strict_rules(fields):
    ome = ngff.group(ngff.well(sorted(fields)))["attributes"]["ome"]
    assert list(RULES["well"](ome, True)) == []
    assert [int(image["path"]) for image in ome["well"]["images"]] == sorted(fields)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_images_keep_the_strict_rules(size):
    channels = (Channel("DNA", "0000FF"), Channel("β-actin"))
    windows = [((1.0, 2.0), (0.0, 255.0)), ((0.0, 1.0), (0.0, 255.0))]
    ome = ngff.group(ngff.image("B03 field 1", (641, 500), ngff.space(size), channels, windows))["attributes"]["ome"]
    assert list(RULES["image"](ome, True)) == []
    assert [len(item["coordinateTransformations"][0]["scale"]) for item in ome["multiscales"][0]["datasets"]] == [5] * 3


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_labels_keep_the_rules(size):
    """Strict rules ask for a colour of every label; thousands of random colours say nothing, viewers have their own."""
    ome = ngff.group(ngff.label_image("nuclei", (641, 500), ngff.space(size)))["attributes"]["ome"]
    assert list(RULES["label"](ome, False)) == []
    assert list(RULES["image"](ome, True)) == []
    assert [len(item["coordinateTransformations"][0]["scale"]) for item in ome["multiscales"][0]["datasets"]] == [4] * 3


def test_axes_without_a_known_size_have_no_unit():
    def units(size: PixelSize | None) -> dict[str, str | None]:
        axes = ngff.label_image("nuclei", (64, 64), ngff.space(size))["multiscales"][0]["axes"]
        return {axis["name"]: axis.get("unit") for axis in axes}

    assert units(None) == {"t": None, "z": None, "y": None, "x": None}
    assert units(PixelSize(0.5, 0.5)) == {"t": None, "z": None, "y": "micrometer", "x": "micrometer"}
    assert units(PixelSize(0.5, 0.5, 2.0))["z"] == "micrometer"


@pytest.mark.parametrize(
    ("dtype", "limits"), [("u1", (0, 255)), ("u2", (0, 65535)), ("i2", (-32768, 32767)), ("f4", (0, 1))]
)
def test_full_range_of_a_type(dtype, limits):
    assert ngff.full_range(np.dtype(dtype)) == limits


def test_version_4_says_its_version_in_every_block_and_keeps_them_at_the_top():
    channels, windows = (Channel("DNA", "0000FF"),), [((1.0, 2.0), (0.0, 255.0))]
    ome = ngff.image("B03 field 1", (641, 500), ngff.space(PixelSize(0.5, 0.5), 30.0), channels, windows, "0.4")
    documents = ngff.documents(ome, {"format": 2}, "0.4")
    assert list(documents) == [".zgroup", ".zattrs"]
    assert documents[".zgroup"] == {"zarr_format": 2}
    attributes = documents[".zattrs"]
    assert (attributes["multiscales"][0]["version"], attributes["omero"]["version"]) == ("0.4", "0.4")
    assert attributes["hts"] == {"format": 2}
    assert attributes["multiscales"][0]["axes"][0] == {"name": "t", "type": "time", "unit": "second"}
    assert attributes["multiscales"][0]["datasets"][1]["coordinateTransformations"][0]["scale"] == [30, 1, 1, 1, 1]
    for block in (
        ngff.plate("p", PlateLayout(2, 3), [WellId(0, 0)], 1, version="0.4")["plate"],
        ngff.well([1], "0.4")["well"],
        ngff.label_image("nuclei", (64, 64), ngff.space(None), "0.4")["image-label"],
    ):
        assert block["version"] == "0.4"
    assert ngff.documents({}, None, "0.4") == {".zgroup": {"zarr_format": 2}}


def test_a_plate_tells_when_it_was_acquired():
    told = {"starttime": 1_700_000_000, "description": "first run"}
    ours = {"barcode": "P1", "started": "2023-11-14T22:13:20", "time_step_s": 60.0, "endtime": "later", "name": None}
    ome = ngff.group(ngff.plate("p", PlateLayout(2, 3), [WellId(0, 0)], 1, acquisition=told | ours))["attributes"][
        "ome"
    ]
    assert list(RULES["plate"](ome, True)) == []
    assert ome["plate"]["acquisitions"] == [{"id": 0, "name": "p", "maximumfieldcount": 1, **told}]
