from __future__ import annotations

from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hts.errors import UsageError
from hts.pictures import composite, jpeg_uri, outline_colors, outline_rgba, png_uri, shrink


def slow_boundary(labels: np.ndarray) -> np.ndarray:
    """Object pixels with a 4-neighbour of another label, pixel by pixel."""
    height, width = labels.shape
    boundary = np.zeros(labels.shape, bool)
    for y in range(height):
        for x in range(width):
            beside = [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
            inside = [labels[p] for p in beside if 0 <= p[0] < height and 0 <= p[1] < width]
            boundary[y, x] = labels[y, x] > 0 and any(label != labels[y, x] for label in inside)
    return boundary


def disc(size_px: int, radius_px: int) -> np.ndarray:
    y, x = np.mgrid[:size_px, :size_px] - size_px // 2
    return (np.hypot(y, x) <= radius_px).astype(np.int32)


class TestComposite:
    def test_each_channel_takes_its_colour(self) -> None:
        ramp = np.arange(10_000, dtype=np.uint16).reshape(100, 100)
        picture = composite([ramp, ramp[::-1, ::-1]], ["FF0000", "00ff00"])
        assert picture.shape == (100, 100, 3)
        assert picture.dtype == np.uint8
        assert picture[0, 0].tolist() == [0, 255, 0]
        assert picture[-1, -1].tolist() == [255, 0, 0]
        assert not picture[..., 2].any()

    def test_stretch_is_between_the_percentiles(self) -> None:
        image = np.random.default_rng(0).normal(1000, 100, (200, 200))
        low, high = np.percentile(image, [0.5, 99.8])
        expected = np.clip((image - low) / (high - low), 0, 1) * 255
        assert np.abs(composite([image], ["FFFFFF"])[..., 1] - expected).max() <= 0.51

    def test_overlapping_colours_saturate_and_do_not_wrap(self) -> None:
        ramp = np.arange(100, dtype=np.float32).reshape(10, 10)
        assert composite([ramp, ramp], ["FF8000", "FF8000"])[-1, -1].tolist() == [255, 255, 0]

    @pytest.mark.parametrize("value", [0, 7, np.nan])
    def test_a_flat_image_is_black(self, value: float) -> None:
        assert not composite([np.full((5, 6), value)], ["FFFFFF"]).any()

    def test_pixels_that_are_not_finite_are_black(self) -> None:
        image = np.arange(100.0).reshape(10, 10)
        image[9, 9] = np.inf
        picture = composite([image], ["FFFFFF"])
        assert not picture[9, 9].any()
        assert picture[9, 8, 0] == 255

    def test_few_bright_pixels_on_nothing_are_seen(self) -> None:
        image = np.zeros((100, 100), np.uint16)
        image[50, 50] = 9
        assert composite([image], ["FFFFFF"])[50, 50, 0] == 255

    @pytest.mark.parametrize(
        ("images", "colors", "message"),
        [
            ([], [], "0 images and 0 colours"),
            ([np.zeros((2, 2))], ["FF0000", "00FF00"], "1 images and 2 colours"),
            ([np.zeros((2, 2)), np.zeros((2, 3))], ["FF0000", "00FF00"], r"\(2, 3\)"),
            ([np.zeros((2, 2, 2))], ["FF0000"], r"\(2, 2, 2\)"),
            ([np.zeros((2, 2))], ["red"], "'red'"),
            ([np.zeros((2, 2))], ["FF00"], "'FF00'"),
        ],
    )
    def test_refuses(self, images: list[np.ndarray], colors: list[str], message: str) -> None:
        with pytest.raises(UsageError, match=message):
            composite(images, colors)


class TestOutlines:
    @given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 12))
    def test_equals_the_slow_twin(self, seed: int, height: int, width: int) -> None:
        labels = np.random.default_rng(seed).integers(0, 3, (height, width)).astype(np.int32)
        assert np.array_equal(outline_rgba({"Nuclei": labels})[..., 3] == 255, slow_boundary(labels))

    def test_touching_objects_are_told_apart(self) -> None:
        labels = np.repeat(np.array([[1, 1, 1, 2, 2, 2]], np.int32), 4, axis=0)
        assert (outline_rgba({"Cells": labels})[1, :, 3] > 0).tolist() == [False, False, True, True, False, False]

    def test_large_fields_get_lines_of_two_pixels(self) -> None:
        labels = np.zeros((8, 1100), np.int32)
        labels[:, 100:120] = 5
        assert np.flatnonzero(outline_rgba({"Nuclei": labels})[4, :, 3]).tolist() == [100, 101, 118, 119]

    def test_sets_have_colours_of_their_own_and_the_first_is_on_top(self) -> None:
        nuclei, cells = disc(40, 6), disc(40, 6)
        rgba = outline_rgba({"Nuclei": nuclei, "Cells": cells, "Rest": disc(40, 15)})
        colors = {tuple(color) for color in rgba[rgba[..., 3] > 0]}
        named = outline_colors(["Nuclei", "Cells", "Rest"])
        assert colors == {(*bytes.fromhex(named[name]), 255) for name in ("Nuclei", "Rest")}
        assert len(set(named.values())) == 3

    def test_transparent_elsewhere_and_inputs_untouched(self) -> None:
        labels = disc(30, 8)
        before = labels.copy()
        rgba = outline_rgba({"Nuclei": labels})
        assert not rgba[labels == 0].any()
        assert not rgba[15, 15].any()
        assert np.array_equal(labels, before)

    @pytest.mark.parametrize(
        ("labels", "message"),
        [
            ({}, "no label image"),
            ({"Nuclei": np.zeros((2, 2), np.int32), "Cells": np.zeros((2, 3), np.int32)}, r"Cells \(2, 3\)"),
            ({"Nuclei": np.zeros((2, 2, 2), np.int32)}, r"Nuclei \(2, 2, 2\)"),
        ],
    )
    def test_refuses(self, labels: dict[str, np.ndarray], message: str) -> None:
        with pytest.raises(UsageError, match=message):
            outline_rgba(labels)


class TestShrink:
    def test_averages_over_the_area(self) -> None:
        image = np.array([[0, 100, 40, 40], [100, 200, 40, 40]], np.uint8)
        assert shrink(image, 2).tolist() == [[100, 40]]

    def test_transparent_pixels_do_not_darken_a_line(self) -> None:
        rgba = np.zeros((4, 4, 4), np.uint8)
        rgba[:, 0] = (255, 0, 80, 255)
        small = shrink(rgba, 2)
        assert small[0, 0, 3] in (127, 128)
        assert np.abs(small[0, 0, :3].astype(int) - [255, 0, 80]).max() <= 2

    def test_small_images_come_back_as_they_are(self) -> None:
        image = np.zeros((10, 20, 3), np.uint8)
        assert shrink(image, 20) is image

    @given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 100))
    def test_never_exceeds_the_limit_and_keeps_the_mean(self, height: int, width: int, limit: int) -> None:
        small = shrink(np.full((height, width), 77, np.uint8), limit)
        assert max(small.shape) <= limit
        assert (small == 77).all()

    def test_refuses_no_size(self) -> None:
        with pytest.raises(UsageError, match="at least 1 px"):
            shrink(np.zeros((4, 4), np.uint8), 0)


def test_data_uris_hold_the_pictures() -> None:
    rgba = outline_rgba({"Nuclei": disc(30, 8)})
    head, _, body = png_uri(rgba).partition(",")
    assert head == "data:image/png;base64"
    assert np.array_equal(np.asarray(Image.open(BytesIO(b64decode(body)))), rgba)
    head, _, body = jpeg_uri(np.full((8, 9, 3), 90, np.uint8)).partition(",")
    assert head == "data:image/jpeg;base64"
    assert Image.open(BytesIO(b64decode(body))).size == (9, 8)
