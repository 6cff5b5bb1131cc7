"""Blocks of a field: they cover it, overlap as asked for, and what is blended from them is what they were cut from."""

from __future__ import annotations

import itertools
import math

import cv2
import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hts.errors import UsageError
from hts.stages.segment.blocks import Blend, block_grid, pad_to_grid, weights_of
from hts.stages.segment.resize import resize, resized_shape

SHAPES = st.tuples(st.integers(1, 300), st.integers(1, 300))
SETTINGS = st.tuples(st.integers(16, 120), st.integers(0, 70), st.sampled_from([1, 4, 8]), st.booleans())


@hypothesis.settings(deadline=None, max_examples=60)
@given(SHAPES, SETTINGS)
def test_a_field_put_together_from_its_blocks_is_itself(shape, settings):
    block_px, overlap_px, multiple, fixed = settings
    grid = block_grid(shape, block_px, overlap_px, multiple, fixed)
    field = torch.arange(2 * math.prod(shape), dtype=torch.float32).reshape(2, *shape) / 1000
    image = pad_to_grid(field, grid)
    assert tuple(image.shape[1:]) == grid.padded
    blend = Blend(grid, 2)
    origins = list(grid.origins())
    assert len(origins) == len(grid)
    for number in reversed(range(len(grid))):
        assert not blend.is_complete
        y, x = origins[number]
        block = image[:, y : y + grid.block[0], x : x + grid.block[1]]
        assert tuple(block.shape[1:]) == grid.block
        blend.add(number, block)
    assert blend.is_complete
    torch.testing.assert_close(blend.result(), field, atol=1e-4, rtol=1e-5)


@hypothesis.settings(deadline=None, max_examples=60)
@given(SHAPES, SETTINGS)
def test_blocks_have_the_size_and_overlap_asked_for(shape, settings):
    block_px, overlap_px, multiple, fixed = settings
    grid = block_grid(shape, block_px, overlap_px, multiple, fixed)
    for length, edge, starts in zip(shape, grid.block, grid.starts, strict=True):
        assert edge == block_px if fixed else (edge <= block_px and edge % multiple == 0)
        assert starts[0] == 0
        assert len(starts) == 1 or starts[-1] + edge == length
        wanted = min(overlap_px, (block_px if fixed else block_px // multiple * multiple) // 2)
        assert all(a + edge - b >= wanted for a, b in itertools.pairwise(starts))
        if len(starts) == 1:
            assert edge >= length


def test_blocks_are_no_larger_than_they_need_to_be():
    """1,080 px do not need two blocks of 1,024, which would compute nearly everything twice."""
    grid = block_grid((1080, 1024), 1024, 60)
    assert grid.block == (576, 1024)
    assert grid.starts == ((0, 504), (0,))
    assert block_grid((2048, 2048), 256, 60, 256, fixed=True).block == (256, 256)


def test_weights_fall_to_nothing_at_the_edges_of_blocks_that_have_a_neighbour():
    grid = block_grid((100, 300), 128, 40)
    down, across = weights_of(grid, 0)
    assert down.min() == down.max() == 1.0
    assert across[0] == 1.0
    assert across[-1] < 0.01
    assert (np.diff(across) <= 0).all()
    first, second = across[grid.starts[1][1] :], weights_of(grid, 1)[1][: grid.block[1] - grid.starts[1][1]]
    np.testing.assert_allclose(first + second, 1.0, atol=1e-6)


def test_blended_outputs_have_no_seam():
    """Two blocks that disagree by a constant: the step between them is spread over the whole overlap."""
    grid = block_grid((64, 200), 128, 48)
    blend = Blend(grid, 1)
    for number in range(len(grid)):
        blend.add(number, torch.full((1, *grid.block), float(number)))
    line = blend.result()[0, 32].numpy()
    assert (line[0], line[-1]) == (0.0, 1.0)
    assert np.abs(np.diff(line)).max() < 0.05


def test_small_fields_are_padded_by_zeros():
    field = torch.tensor([[[1.0, 2.0, 3.0]]])
    padded = pad_to_grid(field, block_grid((1, 3), 8, 0, 8))
    assert padded.shape == (1, 8, 8)
    assert padded[0, 0].tolist() == [1, 2, 3, 0, 0, 0, 0, 0]
    assert not padded[0, 1:].any()


@pytest.mark.parametrize(("block_px", "overlap_px"), [(7, 0), (64, -1)])
def test_impossible_blocks_are_refused(block_px, overlap_px):
    with pytest.raises(UsageError, match=f"blocks of 8 px at least.*\n  found: {block_px} and {overlap_px} px"):
        block_grid((50, 50), block_px, overlap_px, 8)


@pytest.mark.parametrize("shape", [(57, 75), (211, 300), (100, 131), (1, 1)])
def test_resizing_is_that_of_opencv(shape):
    image = np.random.default_rng(0).normal(size=(100, 130)).astype(np.float32)
    found = resize(torch.from_numpy(image)[None], shape)[0].numpy()
    np.testing.assert_allclose(found, cv2.resize(image, shape[::-1], interpolation=cv2.INTER_LINEAR), atol=1e-4)


def test_resizing_to_the_same_size_is_nothing_and_no_side_vanishes():
    image = torch.zeros((1, 3, 4))
    assert resize(image, (3, 4)) is image
    assert resized_shape((100, 3), 0.25) == (25, 1)
