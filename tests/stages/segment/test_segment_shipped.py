"""The shipped network where fields are unlike those of training: sparse, bright, flat, or partly no numbers."""

from __future__ import annotations

import numpy as np
import pytest

import hts
from hts.errors import UsageError
from hts.stages.segment.fields import segment_field
from hts.stages.segment.objects import outside_others
from hts.stages.segment.threshold import ThresholdParams, ThresholdSegmenter


def discs(count: int, height: float, background: float = 100.0, side: int = 320) -> np.ndarray:
    """Discs of 20 px, far apart, on a noisy or (background 0) perfectly dark field."""
    rng = np.random.default_rng(3)
    image = (
        rng.poisson(background, (side, side)).astype(np.float32) if background else np.zeros((side, side), np.float32)
    )
    y, x = np.mgrid[:side, :side]
    for n in range(count):
        center = 40 + 80 * (n // 4), 40 + 80 * (n % 4)
        image[(y - center[0]) ** 2 + (x - center[1]) ** 2 <= 100] += height
    return np.clip(image, 0, 65535).astype(np.uint16)


@pytest.mark.parametrize("height", [300, 5000, 40000])
@pytest.mark.parametrize("count", [1, 3])
def test_a_few_bright_nuclei_are_found_however_bright(count: int, height: int) -> None:
    """They cover less than 1 % of the field, so that the percentiles are those of the background."""
    assert hts.segment(discs(count, height), diameter_px=20).max() == count


def test_nuclei_on_a_perfectly_dark_field_are_found() -> None:
    assert hts.segment(discs(2, 1000, background=0), diameter_px=20).max() == 2
    assert hts.segment(np.zeros((64, 64), np.uint16), diameter_px=20).max() == 0


def test_small_objects_that_are_dropped_in_the_image_do_not_count_for_its_diameter() -> None:
    image = discs(16, 1000)
    free, bounded = (hts.segment(image, min_area_px=least) for least in (15, 250))
    assert free.max() == bounded.max() == 16


def test_a_threshold_does_not_mind_pixels_that_are_no_numbers() -> None:
    image = discs(4, 3000).astype(np.float32)
    image[:5] = np.nan
    segmenter, params = ThresholdSegmenter(), ThresholdParams()
    assert segmenter.segment({"dna": image}, {}, params).max() == 4
    assert not segmenter.segment({"dna": np.full_like(image, np.nan)}, {}, params).any()


def test_a_nucleus_lies_in_no_cell_but_its_own() -> None:
    nuclei = np.array([[1, 1, 0, 2]], np.int32)
    cells = np.array([[1, 2, 2, 2]], np.int32)
    assert outside_others(cells, nuclei).tolist() == [[1, 0, 2, 2]]


def test_byte_order_and_nonsense_are_told_apart() -> None:
    image = discs(3, 3000)
    swapped = image.astype(image.dtype.newbyteorder())
    assert np.array_equal(hts.segment(swapped, diameter_px=20), hts.segment(image, diameter_px=20))
    with pytest.raises(UsageError, match="an image with pixels"):
        hts.segment(np.zeros((0, 4), np.uint8))
    with pytest.raises(UsageError, match="whole numbers from 0"):
        hts.segment(image, "propagate", labels={"nuclei": np.full(image.shape, -1)})


def test_steps_are_those_of_plates() -> None:
    found = segment_field({"dna": discs(4, 3000)}, {"nuclei": (ThresholdSegmenter(), ThresholdParams())})
    assert found["nuclei"].max() == 4
