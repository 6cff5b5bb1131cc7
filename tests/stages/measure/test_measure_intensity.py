"""Intensity features: the kernel against its twin, values by hand, and what is undefined."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydantic import ValidationError

from hts.stages.measure import MeasureParams, Place, measure_field
from tests.reference.intensity import KERNELS

(WEIGH,) = KERNELS
LABELS = hnp.arrays(
    np.int32, hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=12), elements=st.integers(0, 4)
)


def measured(labels, image, place=None, **options):
    params = MeasureParams(features=("intensity",), options={"intensity": options} if options else {})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = measure_field({"cells": np.int32(labels)}, {"dna": np.asarray(image)}, params, place)
    return {name.split("_", 1)[1].removesuffix("_DNA"): table[name].to_numpy() for name in table if "_DNA" in name}


@pytest.mark.parametrize("dtype", WEIGH.dtypes)
@settings(deadline=None, max_examples=60)
@given(labels=LABELS, top=st.sampled_from([1, 9, 65535]), seed=st.integers(0, 2**32 - 1))
def test_light_and_edges_equal_their_twin(dtype, labels, top, seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, top, labels.shape, endpoint=True).astype(dtype)
    shift = rng.integers(0, 5, 5).astype(np.float64 if dtype is np.float32 else np.int64)
    np.testing.assert_array_equal(WEIGH.call(labels, image, shift), WEIGH.twin(labels, image, shift))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_three_pixels_by_hand(dtype):
    found = measured([[0, 1, 1, 1]], np.array([[9, 2, 2, 4]], dtype))
    expected = {
        **{"Intensity_IntegratedIntensity": 8, "Intensity_MeanIntensity": 8 / 3, "Intensity_MaxIntensity": 4},
        **{"Intensity_MinIntensity": 2, "Intensity_StdIntensity": np.sqrt(8) / 3},
        # only the first of the three has another label beside it: the others have the frame
        **{"Intensity_IntegratedIntensityEdge": 2, "Intensity_MeanIntensityEdge": 2, "Intensity_StdIntensityEdge": 0},
        **{"Intensity_MinIntensityEdge": 2, "Intensity_MaxIntensityEdge": 2},
        # (1 * 2 + 2 * 2 + 3 * 4) / 8 = 2.25; the pixels' centre is at 2
        **{"Intensity_MassDisplacement": 0.25, "Location_CenterMassIntensity_X": 2.25},
        **{"Location_CenterMassIntensity_Y": 0, "Location_MaxIntensity_X": 3, "Location_MaxIntensity_Y": 0},
        **{"Intensity_LowerQuartileIntensity": 2, "Intensity_MedianIntensity": 2, "Intensity_MADIntensity": 0},
        "Intensity_UpperQuartileIntensity": 3,
    }
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name] == pytest.approx([value], rel=1e-14), name


def test_quantiles_of_cellprofiler_4():
    found = measured([[1, 1, 1]], np.uint16([[2, 2, 4]]), quantiles="cellprofiler4")
    assert found["Intensity_MedianIntensity"] == [3.0]
    with pytest.raises(ValidationError, match="settings of feature family intensity out of: quantiles"):
        measured([[1]], np.uint16([[2]]), quantile="linear")


def test_the_first_of_equal_maxima_in_raster_order():
    found = measured([[1, 1, 1], [1, 1, 1]], np.uint16([[0, 0, 5], [5, 5, 0]]))
    assert (found["Location_MaxIntensity_X"], found["Location_MaxIntensity_Y"]) == ([2], [0])


def test_places_are_those_of_the_whole_field():
    found = measured([[1, 1]], np.uint16([[1, 3]]), place=Place((100, 1000), (500, 2000)))
    assert found["Location_CenterMassIntensity_X"] == [1000.75]
    assert found["Location_CenterMassIntensity_Y"] == [100.0]
    assert (found["Location_MaxIntensity_X"], found["Location_MaxIntensity_Y"]) == ([1001], [100])
    assert found["Intensity_MassDisplacement"] == [0.25]


def test_without_light_there_is_no_centre_of_mass():
    found = measured([[1, 1, 2]], np.uint16([[0, 0, 1]]))
    undefined = {name for name, values in found.items() if np.isnan(values[0])}
    assert undefined == {
        *("Intensity_MassDisplacement", "Location_CenterMassIntensity_X", "Location_CenterMassIntensity_Y")
    }


def test_an_object_that_fills_the_field_has_no_edge():
    found = measured(np.ones((4, 4)), np.arange(16, dtype=np.uint16).reshape(4, 4))
    assert {name for name, values in found.items() if np.isnan(values[0])} == {
        f"Intensity_{name}IntensityEdge" for name in ("Integrated", "Mean", "Std", "Min", "Max")
    }


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_pixel_that_is_not_finite_leaves_its_object_without_values(bad):
    image = np.float32([[1, 2, 3, 4], [1, bad, 3, 5]])
    found = measured([[1, 1, 2, 2]] * 2, image)
    assert all(np.isnan(values[0]) for values in found.values())
    assert all(np.isfinite(values[1]) for values in found.values())


def test_gaps_in_the_numbers_and_no_objects():
    found = measured([[1, 0, 7]], np.uint16([[5, 6, 7]]))
    assert found["Intensity_MedianIntensity"].tolist() == [5, 7]
    assert measured([[0, 0]], np.uint16([[5, 6]]))["Intensity_MedianIntensity"].size == 0


def test_no_channels():
    assert list(measure_field({"cells": np.int32([[1]])}, {}, MeasureParams(features=("intensity",))))[-1].startswith(
        "Metadata_"
    )


def test_displacements_far_from_the_origin_lose_no_digits():
    labels = np.zeros((30, 2000), np.int32)
    labels[10:20, 1900:1910] = 1
    image = np.full(labels.shape, 60000, np.uint16)
    image[10, 1900] += 1
    found = measured(labels, image)["Intensity_MassDisplacement"]
    assert found == pytest.approx([4.5 * np.sqrt(2) / 6000001], rel=1e-13)
