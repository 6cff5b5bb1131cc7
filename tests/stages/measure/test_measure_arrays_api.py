"""``hts.measure`` and ``hts.features``: arrays of every kind in, a table out, the same as on plates; bad input."""

from __future__ import annotations

import dask.array
import numpy as np
import pandas as pd
import pytest
import xarray

import hts
from hts.errors import StageError, UsageError
from hts.stages.measure import MeasureParams, feature_catalogue, measure_field
from tests.reference.features.fields import simulated

FIELD = simulated()
BASIC = ("shape", "intensity")


def test_it_is_what_a_plate_would_have():
    table = hts.measure({"cells": FIELD.labels}, FIELD.images, FIELD.channels, BASIC)
    images = dict(zip(FIELD.channels, FIELD.images, strict=True))
    pd.testing.assert_frame_equal(table, measure_field({"cells": FIELD.labels}, images, MeasureParams(features=BASIC)))


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_change_nothing(threads):
    pd.testing.assert_frame_equal(
        hts.measure(FIELD.labels, FIELD.images, FIELD.channels),
        hts.measure(FIELD.labels, FIELD.images, FIELD.channels, threads=threads),
    )


@pytest.mark.parametrize(
    "make",
    [
        np.asarray,
        lambda images: images.tolist(),
        lambda images: images.astype(np.int64),
        lambda images: images.astype(">u2"),
        lambda images: dask.array.from_array(images, chunks=64),
        lambda images: xarray.DataArray(images[:, None], dims=("c", "z", "y", "x")),
    ],
    ids=["numpy", "list", "int64", "big-endian", "dask", "xarray"],
)
def test_images_of_every_kind(make):
    expected = hts.measure(FIELD.labels, FIELD.images, families=BASIC)
    pd.testing.assert_frame_equal(hts.measure(FIELD.labels, make(FIELD.images), families=BASIC), expected)


def test_names_of_an_xarray_are_the_channels():
    image = xarray.DataArray(FIELD.images, dims=("c", "y", "x"), coords={"c": ["DNA", "α-tubulin", "Mito tracker_2"]})
    table = hts.measure(FIELD.labels, image, families="intensity")
    assert "Objects_Intensity_MeanIntensity_α-tubulin" in table
    assert "Objects_Intensity_MeanIntensity_Mito tracker_2" in table


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.uint64, np.float32, np.float64])
def test_labels_of_every_whole_type(dtype):
    table = hts.measure(FIELD.labels.astype(dtype), FIELD.images, families=BASIC)
    pd.testing.assert_frame_equal(table, hts.measure(FIELD.labels, FIELD.images, families=BASIC))


def test_gaps_among_numbers_change_no_value():
    apart = np.where(FIELD.labels > 0, FIELD.labels * 1000 - 7, 0)
    table, expected = (hts.measure(labels, FIELD.images, FIELD.channels) for labels in (apart, FIELD.labels))
    assert table["Metadata_ObjectNumber"].tolist() == (expected["Metadata_ObjectNumber"] * 1000 - 7).tolist()
    features = [name for name in table if not name.startswith("Metadata_")]
    pd.testing.assert_frame_equal(table[features], expected[features])


def test_one_object_does_not_change_the_others_but_its_neighbours():
    without = np.where(FIELD.labels == 3, 0, FIELD.labels)
    table, expected = (hts.measure(labels, FIELD.images, FIELD.channels) for labels in (without, FIELD.labels))
    expected = expected[expected["Metadata_ObjectNumber"] != 3].reset_index(drop=True)
    features = [name for name in table if not name.startswith("Metadata_") and "_Neighbors_" not in name]
    pd.testing.assert_frame_equal(table[features], expected[features])


def test_shapes_alone_need_no_image():
    table = hts.measure(FIELD.labels)
    assert "Objects_AreaShape_Area" in table
    assert not any("Intensity_" in name for name in table)


@pytest.mark.parametrize("labels", [np.zeros((9, 9), int), np.zeros((0, 0), int)], ids=["none", "empty"])
def test_no_object_is_a_table_without_rows(labels):
    table = hts.measure(labels, np.zeros((2, *labels.shape), np.uint16), ("A", "B"))
    assert len(table) == 0
    assert list(table) == [info.column for info in feature_catalogue(["objects"], "AB", MeasureParams(features="all"))]


def test_one_channel_and_one_pixel():
    table = hts.measure(np.ones((1, 1), int), np.full((1, 1), 5, np.uint8))
    assert table["Objects_AreaShape_Area"].item() == 1
    assert table["Objects_Intensity_MeanIntensity_Channel1"].item() == 5


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_pixel_that_is_not_finite_costs_its_object_and_channel(bad):
    images = (FIELD.scaled).astype(np.float32)
    damaged = images.copy()
    y, x = np.argwhere(FIELD.labels == 5)[7]
    damaged[1, y, x] = bad
    table, expected = (hts.measure(FIELD.labels, image, FIELD.channels) for image in (damaged, images))
    hit = table["Metadata_ObjectNumber"] == 5
    catalogue = hts.features(channels=FIELD.channels)
    for name, needs in zip(catalogue["name"], catalogue["inputs"], strict=True):
        column = f"Objects_{name}"
        touched = needs != "labels" and "_ER" in name
        if touched and not name.startswith("Granularity"):
            assert table[column][hit].isna().all(), name
        if not name.startswith("Granularity") or not touched:
            rows = ~hit if touched else slice(None)
            pd.testing.assert_series_equal(table[column][rows], expected[column][rows])


@pytest.mark.parametrize("level", [0, 7, 65535])
def test_constant_images_give_no_wrong_number_and_no_warning(level):
    images = np.full((2, *FIELD.labels.shape), level, np.uint16)
    with np.errstate(all="raise"):
        table = hts.measure(FIELD.labels, images, ("A", "B"))
    assert (table["Objects_Intensity_StdIntensity_A"] == 0).all()
    assert table["Objects_Correlation_Correlation_A_B"].isna().all()
    assert not np.isinf(table.select_dtypes("float").to_numpy()).any()


def test_a_hundred_thousand_objects():
    side = 1300
    labels = np.zeros((side, side), np.int32)
    corners = np.arange(1, 317 * 317 + 1).reshape(317, 317)
    for y, x in ((0, 0), (0, 1), (1, 1), (2, 1), (2, 2)):
        labels[y : 317 * 4 + y : 4, x : 317 * 4 + x : 4] = corners
    images = np.random.default_rng(0).integers(0, 65535, (2, side, side)).astype(np.uint16)
    table = hts.measure(labels, images, ("A", "B"))
    assert len(table) == 317 * 317
    assert (table["Objects_AreaShape_Area"] == 5).all()
    sample = [1, 50_000, 317 * 317]
    alone = hts.measure(np.where(np.isin(labels, sample), labels, 0), images, ("A", "B"))
    picked = table[table["Metadata_ObjectNumber"].isin(sample)].reset_index(drop=True)
    same = [name for name in alone if "_Neighbors_" not in name]
    pd.testing.assert_frame_equal(picked[same], alone[same])


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        (np.full((4, 4), -1), "whole numbers from 0 to 2147483647\n  found: int64 from -1 to -1"),
        (np.full((4, 4), 0.5), "whole numbers from 0 .*\n  found: float64 from 0.5"),
        (np.full((4, 4), np.nan), "whole numbers from 0 .*\n  found: float64 from nan"),
        (np.full((4, 4), 2**40), "whole numbers from 0 "),
        (np.ones((4, 4), bool), "found: an array of type bool\n.*skimage.measure.label"),
        (np.ones((4, 4), "U2"), "found: an array of type <U2"),
        (np.ones((2, 4, 4), int), r"of shape \(Y, X\)\n  found: shape \(2, 4, 4\)"),
    ],
    ids=["negative", "broken", "nan", "huge", "mask", "text", "volume"],
)
def test_what_is_no_label_image_is_refused(labels, text):
    with pytest.raises(UsageError, match=f"(?s)labels of cells.*{text}"):
        hts.measure({"cells": labels}, np.zeros((1, 4, 4), np.uint8))


@pytest.mark.parametrize(
    ("image", "text"),
    [
        (np.zeros((2, 4, 5), np.uint8), r"shape \(4, 4\) for channel A"),
        (np.zeros((2, 4, 4), complex), "integers or floats\n  found: type complex128"),
        (np.zeros((1, 2, 4, 4), np.uint8), r"\(channel, Y, X\)\n  found: an array of shape \(1, 2, 4, 4\)"),
        (np.full((2, 4, 4), 2**30), "at most 16777216"),
        (np.zeros((3, 4, 4), np.uint8), "a name for each of 3 channels\n  found: 2: A, B"),
    ],
    ids=["shape", "complex", "volume", "deep", "names"],
)
def test_what_is_no_image_of_the_labels_is_refused(image, text):
    with pytest.raises((UsageError, StageError), match=text):
        hts.measure(np.ones((4, 4), int), image, ("A", "B"))


def test_unknown_families_and_settings_are_refused():
    with pytest.raises(UsageError, match="did you mean 'texture'"):
        hts.measure(FIELD.labels, FIELD.images, families=["textures"])
    with pytest.raises(UsageError, match=r"(?s)settings of feature family texture out of: .*scales_px.*found: scale"):
        hts.measure(FIELD.labels, FIELD.images, families=["texture"], options={"texture": {"scale": 3}})
    with pytest.raises(UsageError, match="precisions: Extra inputs"):
        hts.measure(FIELD.labels, FIELD.images, families=["shape"], precisions="float32")


def test_single_precision_is_the_rounded_value():
    full = hts.measure(FIELD.labels, FIELD.images, families=BASIC)
    half = hts.measure(FIELD.labels, FIELD.images, families=BASIC, precision="float32")
    for name in full:
        if name.startswith("Metadata_"):
            assert half[name].dtype == full[name].dtype
        else:
            assert half[name].dtype == np.float32
            np.testing.assert_array_equal(half[name], full[name].astype(np.float32))


def test_the_catalogue_lists_what_a_table_has():
    catalogue = hts.features(channels=FIELD.channels)
    table = hts.measure(FIELD.labels, FIELD.images, FIELD.channels)
    assert [f"Objects_{name}" for name in catalogue["name"]] == [n for n in table if not n.startswith("Metadata_")]
    assert (catalogue[["name", "family", "unit", "inputs", "definition", "source"]] != "").all(axis=None)
    assert catalogue["cost_ns"].gt(0).all()
    assert set(hts.features()["inputs"]) == {"labels", "labels, one channel", "labels, two channels"}


def test_high_numbers_of_few_objects_cost_nothing():
    """Rows are objects, not numbers: one object of number 900,000 is measured as object 1 is."""
    labels = np.where(FIELD.labels == 2, 900_000, 0)
    table = hts.measure(labels, FIELD.images, FIELD.channels)
    expected = hts.measure(np.where(FIELD.labels == 2, 1, 0), FIELD.images, FIELD.channels)
    assert table["Metadata_ObjectNumber"].tolist() == table["Metadata_Objects_ObjectNumber"].tolist() == [900_000]
    features = [name for name in table if not name.startswith("Metadata_")]
    pd.testing.assert_frame_equal(table[features], expected[features])


def test_high_numbers_are_those_of_all_sets():
    nuclei = np.where(FIELD.labels == 2, 500_000, np.where(FIELD.labels == 4, 600_000, 0))
    cells = np.where(FIELD.labels == 2, 500_000, np.where(FIELD.labels == 7, 999_999, 0))
    table = hts.measure({"nuclei": nuclei, "cells": cells}, families="shape")
    assert table["Metadata_ObjectNumber"].tolist() == [500_000, 600_000, 999_999]
    assert table["Metadata_Nuclei_ObjectNumber"].tolist() == [500_000, 600_000, 0]
    assert table["Metadata_Cells_Parent_Nuclei"].tolist() == [500_000, 0, 0]
    assert table["Cells_AreaShape_Area"].isna().tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"channels": ("A", "A", "B")}, "a different name for every channel\n  found: 'A' more than once"),
        ({"channels": ("A", "B,C", "D")}, "channels without a comma in their names"),
        ({"channels": ("A", "B_C", "A_B")}, "(?s)more than once.*two pairs of channels are written alike"),
        ({"threads": 0}, "one thread or more\n  found: 0"),
        ({"full_scale": np.inf}, "full_scale: Input should be less than or equal to 1000000000"),
        ({"full_scale": 0.0}, "full_scale: Input should be greater than 0"),
        ({"image": np.full(FIELD.images.shape, 1e300)}, "which float32 holds"),
    ],
    ids=["twice", "comma", "alike", "threads", "endless scale", "no scale", "overflow"],
)
def test_settings_that_cannot_be_meant_are_refused(change, text):
    given = {"image": FIELD.images, "channels": FIELD.channels, **change}
    if "alike" in text:  # A with B_C is written as A_B with C
        given |= {"image": FIELD.images[[0, 1, 2, 0]], "channels": (*change["channels"], "C")}
    with pytest.raises(UsageError, match=text):
        hts.measure(FIELD.labels, **given)


def test_costes_of_a_flat_beside_a_bright_channel_is_undefined():
    """The regression line has a slope that vanishes beside the rounding of its threshold."""
    rng = np.random.default_rng(0)
    bright = rng.normal(20_000, 8_000, (60, 60)).clip(0, 65_535)
    flat = np.full(bright.shape, 1000.0)
    flat[5, 5] += 1
    for images in (np.stack([bright, flat]).astype(np.uint16), np.stack([bright, flat]) / 65_535):
        table = hts.measure(np.ones(bright.shape, int), images, ("A", "B"), families="costes")
        assert table.filter(like="Costes").isna().all(axis=None)
