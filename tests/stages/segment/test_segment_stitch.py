"""Stitching: tiled equals whole, in any order, for any tiling; and the kernels against their slow twins."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from hts.errors import StageError, UsageError
from hts.stages.segment.stitch import (
    BorderRecords,
    Box,
    Painter,
    Resolution,
    block_grid,
    border_records,
    number_objects,
    resolve,
    stitch,
)
from hts.stages.segment.stitch import _kernels_stitch as kernels
from tests.reference import stitch as twins
from tests.stages.segment.tiles import cells, cut

SMALL = hnp.arrays(np.int32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=14), elements=st.integers(0, 5))


@st.composite
def tilings(draw):
    """A mask, and blocks with an overlap that the largest of its components fits in."""
    shape = draw(st.tuples(st.integers(1, 60), st.integers(1, 60)))
    seed, fill = draw(st.integers(0, 2**32 - 1)), draw(st.sampled_from([0.05, 0.2, 0.35, 0.5]))
    noise = np.random.default_rng(seed).random(shape)
    mask = ndimage.gaussian_filter(noise, draw(st.sampled_from([0.0, 0.7, 1.5])))
    mask = mask <= np.quantile(mask, fill)
    labels = ndimage.label(mask, np.ones((3, 3)))[0].astype(np.int32)
    extents = [max(part.stop - part.start for part in box) for box in ndimage.find_objects(labels)]
    overlap = max(extents, default=1) + draw(st.integers(0, 3))
    block = 2 * -(-overlap // 2) + draw(st.integers(0, 40))
    return labels, block_grid(shape, block, overlap)


def relabelled(labels):
    """Numbered by first pixel, so that images that differ in numbers only are equal."""
    return number_objects(labels)[0]


@settings(deadline=None, max_examples=150)
@given(tilings())
def test_tiled_equals_whole_when_tiles_see_what_the_field_has(tiling):
    labels, grid = tiling
    found, resolution = stitch(grid, cut(grid, labels))
    np.testing.assert_array_equal(relabelled(found), labels)
    assert resolution.total == labels.max(initial=0)
    assert sorted(set(np.unique(found).tolist()) - {0}) == list(range(1, resolution.total + 1))


@settings(deadline=None, max_examples=150)
@given(tilings())
def test_tiled_equals_whole_when_every_tile_is_segmented_on_its_own(tiling):
    """An object that a tile's edge cuts may be several pieces there."""
    labels, grid = tiling
    tiles = [ndimage.label(labels[block.tile.slices()] > 0, np.ones((3, 3)))[0].astype(np.int32) for block in grid]
    found, _ = stitch(grid, tiles)
    np.testing.assert_array_equal(relabelled(found), labels)


@settings(deadline=None, max_examples=30)
@given(tilings(), st.randoms(use_true_random=False))
def test_blocks_can_be_computed_and_painted_in_any_order(tiling, shuffled: random.Random):
    labels, grid = tiling
    tiles = [number_objects(tile)[0] for tile in cut(grid, labels)]
    order = list(range(len(grid)))
    shuffled.shuffle(order)
    stored = {number: border_records(tiles[number], grid, number).to_bytes() for number in order}
    records = {number: BorderRecords.from_bytes(stored[number]) for number in order}
    resolution = Resolution.from_json(resolve(grid, [records[number] for number in range(len(grid))]).to_json())
    field = np.full(labels.shape, -1, np.int32)
    for number in reversed(order):
        core = grid[number].core
        painted = Painter(grid, number, resolution, records).paint(tiles[number])
        assert (field[core.slices()] == -1).all()  # one writer
        field[core.slices()] = painted[core.slices(grid[number].tile)]
    np.testing.assert_array_equal(field, stitch(grid, tiles)[0])


@settings(deadline=None, max_examples=30)
@given(tilings())
def test_every_block_sees_the_same_pixels_and_all_of_its_own_objects(tiling):
    labels, grid = tiling
    tiles = [number_objects(tile)[0] for tile in cut(grid, labels)]
    records = {number: border_records(tile, grid, number) for number, tile in enumerate(tiles)}
    resolution = resolve(grid, list(records.values()))
    field, _ = stitch(grid, tiles)
    area = np.bincount(field.ravel(), minlength=resolution.total + 1)
    for number, tile in enumerate(tiles):
        painter = Painter(grid, number, resolution, records)
        painted = painter.paint(tile)
        np.testing.assert_array_equal(painted, field[grid[number].tile.slices()])
        owned = slice(*painter.owned())
        np.testing.assert_array_equal(np.bincount(painted.ravel(), minlength=resolution.total + 1)[owned], area[owned])


def test_an_object_on_the_corner_of_four_blocks_is_one():
    labels = np.zeros((64, 64), np.int32)
    labels[27:38, 27:37] = 1
    labels[38:40, 30:34] = 2  # touches it
    grid = block_grid(labels.shape, 32, 12)
    found, resolution = stitch(grid, cut(grid, labels))
    np.testing.assert_array_equal(relabelled(found), labels)
    assert resolution.findings["cut"] == 0


def test_empty_tiles_and_empty_fields():
    labels = np.zeros((50, 70), np.int32)
    grid = block_grid(labels.shape, 20, 10)
    found, resolution = stitch(grid, cut(grid, labels))
    assert not found.any()
    assert resolution.total == 0
    labels[45:49, 60:66] = 7
    found, resolution = stitch(grid, cut(grid, labels))
    np.testing.assert_array_equal(found, labels > 0)


def test_an_object_larger_than_the_overlap_is_told():
    labels = np.zeros((40, 200), np.int32)
    labels[10:20, 20:180] = 1
    grid = block_grid(labels.shape, 50, 20)
    found, resolution = stitch(grid, cut(grid, labels))
    assert resolution.findings["cut"] >= 1
    assert (found[labels == 0] == 0).all()


def test_the_numbers_are_sequential_when_labels_are_not():
    labels, numbers = number_objects(np.array([[0, 9, 9], [4, 0, 9]], np.int32))
    np.testing.assert_array_equal(labels, [[0, 1, 1], [2, 0, 1]])
    assert numbers.tolist() == [0, 0, 0, 0, 2, 0, 0, 0, 0, 1]


def test_labels_that_are_no_numbers_are_refused():
    with pytest.raises(StageError, match=r"labels that count objects from 1\n  found: -1 to 3"):
        number_objects(np.array([[-1, 3]], np.int32))
    with pytest.raises(StageError, match="labels that count objects"):
        number_objects(np.array([[0, 2**31 - 1]], np.int32))
    grid = block_grid((20, 20), 10, 4)
    with pytest.raises(StageError, match=r"labels of the block's tile, \(12, 12\)"):
        border_records(np.zeros((10, 10), np.int32), grid, 0)
    with pytest.raises(StageError, match="border records of 4 blocks"):
        resolve(grid, [border_records(np.zeros((12, 12), np.int32), grid, 0)])


@pytest.mark.parametrize(("block", "overlap"), [(10, 11), (7, 7), (0, 1), (5, 0)])
def test_blocks_that_three_would_see_are_refused(block, overlap):
    with pytest.raises(UsageError, match="blocks"):
        block_grid((100, 100), block, overlap)


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(4, 12), st.integers(0, 20))
def test_cores_cover_the_field_once_and_private_parts_are_private(rows, columns, overlap, more):
    grid = block_grid((rows, columns), 2 * -(-overlap // 2) + more, overlap)
    owners, seers = np.zeros((rows, columns), int), np.zeros((rows, columns), int)
    for number, block in enumerate(grid):
        owners[block.core.slices()] += 1
        seers[block.tile.slices()] += 1
        for other in range(len(grid)):
            meet = not (block.tile & grid[other].tile).is_empty
            assert meet <= (other == number or other in grid.neighbours(number))
    assert (owners == 1).all()
    for number, block in enumerate(grid):
        private = grid.private(number)
        assert (seers[private.slices()] == 1).all()
        alone = np.zeros((rows, columns), bool)
        alone[private.slices()] = True
        outside = seers[block.tile.slices()][~alone[block.tile.slices()]]
        assert (outside > 1).all()


# --- kernels -----------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(SMALL)
def test_numbering_equals_its_twin(labels):
    expected, numbers = twins.number_in_raster_order(labels)
    found, table = number_objects(labels)
    np.testing.assert_array_equal(found, expected)
    assert {old: new for old, new in enumerate(table.tolist()) if new} == numbers


@settings(deadline=None)
@given(SMALL)
def test_sums_equal_their_twin(labels):
    sums = np.zeros((6, 10), np.int64)
    sums[:, 1:3] = 99
    kernels.object_sums(labels, sums)
    assert {label: sums[label - 1].tolist() for label in twins.object_sums(labels)} == twins.object_sums(labels)


@settings(deadline=None)
@given(SMALL, st.tuples(*[st.integers(0, 14)] * 4))
def test_runs_equal_their_twin(labels, corners):
    y0, x0 = min(corners[0], labels.shape[0]), min(corners[1], labels.shape[1])
    inner = (y0, x0, min(max(corners[2], y0), labels.shape[0]), min(max(corners[3], x0), labels.shape[1]))
    runs = np.zeros((kernels.border_runs(labels, inner, np.empty((0, 4), np.int32)), 4), np.int32)
    kernels.border_runs(labels, inner, runs)
    found = {(row, x): label for row, begin, end, label in runs.tolist() for x in range(begin, end)}
    assert found == twins.border_runs(labels, inner)
    assert sorted(map(tuple, runs[:, :2].tolist())) == list(map(tuple, runs[:, :2].tolist()))


@settings(deadline=None)
@given(SMALL, st.integers(0, 2**32 - 1))
def test_overlaps_equal_their_twin(first, seed):
    second = np.random.default_rng(seed).integers(0, 4, first.shape).astype(np.int32)
    lists = []
    for labels in (first, second):
        runs = np.zeros((labels.size, 4), np.int32)
        lists.append(runs[: kernels.border_runs(labels, (0, 0, 0, 0), runs)])
    found = np.zeros((first.size * 2, 3), np.int64)
    found = found[: kernels.run_overlaps(*lists, found)]
    totals = {}
    for a, b, shared in found.tolist():
        totals[a, b] = totals.get((a, b), 0) + shared
    assert totals == twins.run_overlaps(*lists)


@settings(deadline=None)
@given(SMALL, st.lists(st.tuples(st.integers(-3, 16), st.integers(-3, 16), st.integers(0, 6), st.integers(1, 9))))
def test_painting_equals_its_twin(canvas, given_runs):
    runs = np.array([(y, x, x + n, number) for y, x, n, number in given_runs], np.int32).reshape(-1, 4)
    expected = twins.paint_runs(runs, canvas)
    found = canvas.copy()
    kernels.paint_runs(runs, found)
    np.testing.assert_array_equal(found, expected)


def test_boxes():
    box = Box(2, 3, 10, 9)
    assert box.shape == (8, 6)
    assert (box & Box(10, 0, 12, 20)).is_empty
    assert box.slices(Box(1, 1, 0, 0)) == (slice(1, 9), slice(2, 8))
    assert cells(64, 9).shape == (64, 64)
