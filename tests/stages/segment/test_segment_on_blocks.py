"""Any function as a segmenter of large fields: tiled equals whole, and what is no label image is refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from hts.errors import StageError, UsageError
from hts.stages.segment.on_blocks import on_blocks
from tests.stages.segment.conformance import objects


def components(tile):
    return ndimage.label(tile > 0)[0]


def test_tiled_is_whole():
    truth = objects((200, 170), 11)
    calls = []

    def function(tile):
        calls.append(tile.shape)
        return components(tile).astype(np.uint16)

    found = on_blocks(function, truth, 64, 32)
    assert len(calls) == 12
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found > 0, truth > 0)
    assert found.max() == len(np.unique(truth)) - 1
    pairs = np.unique(np.stack([found.ravel(), truth.ravel()]), axis=1)
    assert pairs.shape[1] == len(np.unique(truth))


def test_channels_are_cut_together():
    truth = objects((100, 90), 11)
    image = np.stack([truth, truth])
    found = on_blocks(lambda tile: components(tile[1]), image, 48, 24)
    np.testing.assert_array_equal(found > 0, truth > 0)
    assert on_blocks(components, np.zeros((0, 5)), 48, 24).shape == (0, 5)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda tile: tile[1:], "a label image of shape"),
        (lambda tile: (tile, {}), "a label image of shape|inhomogeneous"),
        (lambda tile: np.full(tile.shape, "a"), "a label image of shape"),
        (lambda tile: tile + 0.5, "labels that are whole numbers"),
        (lambda tile: tile.astype(np.int64) - 1, "labels from 0 to .*\n  found: -1"),
        (lambda tile: np.full(tile.shape, np.nan), "whole numbers|labels from 0"),
    ],
)
def test_what_is_no_label_image_is_refused(function, message):
    with pytest.raises((StageError, ValueError), match=message):
        on_blocks(function, np.zeros((20, 30), np.float64), 64, 8)


def test_impossible_blocks():
    with pytest.raises(UsageError, match="at least as wide as their overlap"):
        on_blocks(components, np.zeros((20, 30)), 8, 32)
