"""Granularity: resampling, erosion, reconstruction, and sums over objects of what has been resampled."""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hts.stages.measure.shared._kernels_runs import Runs


class Axis(NamedTuple):
    """Where the samples of one axis lie on another grid.

    below, above : (m,) int32, the two neighbours; ``below`` is -1 where a sample lies outside.
    share : (m,) float64, the share of ``above``; the other has the rest.
    """

    below: NDArray[np.int32]
    above: NDArray[np.int32]
    share: NDArray[np.float64]


class Weights(NamedTuple):
    """For every object how much each pixel of a coarse plane counts: its elements are ``offset[i] : offset[i + 1]``.

    offset : (n + 1,) int64
    place : (W,) int32, index in the flat plane
    weight : (W,) float64
    """

    offset: NDArray[np.int64]
    place: NDArray[np.int32]
    weight: NDArray[np.float64]


@njit(cache=True, nogil=True)
def sample(image: Any, rows: Axis, columns: Axis, sampled: Any) -> None:
    """Fill ``sampled`` (m, k) float64 from ``image`` (Y, X) by linear interpolation; 0 where a sample lies outside.

    Parameters
    ----------
    image : (Y, X) uint16, float32 or float64, finite.
    rows, columns : of m and k samples.
    """
    for y in range(rows.below.size):
        if rows.below[y] < 0:
            sampled[y] = 0.0
            continue
        above, below, share = image[rows.below[y]], image[rows.above[y]], rows.share[y]
        for x in range(columns.below.size):
            left, right, across = columns.below[x], columns.above[x], columns.share[x]
            if left < 0:
                sampled[y, x] = 0.0
                continue
            upper = (1.0 - across) * above[left] + across * above[right]
            lower = (1.0 - across) * below[left] + across * below[right]
            sampled[y, x] = (1.0 - share) * upper + share * lower


@njit(cache=True, nogil=True)
def erode(image: Any, reach: Any, eroded: Any) -> None:
    """The smallest value under a shape that is symmetric and convex; what is outside the image does not count.

    Parameters
    ----------
    image : (Y, X) float64.
    reach : (r + 1,) int64, pixels to the left and right that the shape covers 0 … r rows from its centre; falls.
    eroded : (Y, X) float64, filled.
    """
    height, width = image.shape
    widest = reach[0]
    row = np.empty(width)
    eroded[:] = image
    for y in range(height):
        row[:] = image[y]
        for across in range(widest + 1):
            if across > 0:
                _widen(image[y], across, row)
            for down in range(reach.size):
                if reach[down] == across:
                    if y >= down:
                        _lower(eroded[y - down], row)
                    if down > 0 and y + down < height:
                        _lower(eroded[y + down], row)


@njit(cache=True, nogil=True)
def _widen(values: Any, across: Any, row: Any) -> None:
    """Lower ``row`` to the values ``across`` to its left and right."""
    width = row.size
    for x in range(width - across):
        row[x] = values[x + across] if values[x + across] < row[x] else row[x]
    for x in range(across, width):
        row[x] = values[x - across] if values[x - across] < row[x] else row[x]


@njit(cache=True, nogil=True)
def _lower(target: Any, row: Any) -> None:
    for x in range(row.size):
        target[x] = row[x] if row[x] < target[x] else target[x]


@njit(cache=True, nogil=True)
def reconstruct(mask: Any, image: Any, queue: Any, waiting: Any) -> None:
    """Let the values of ``image`` spread to the 4 neighbours, never above ``mask``, until nothing changes.

    One sweep downwards and one upwards, each along its rows in both directions, carry values most of the way; a queue
    does the rest (after Vincent 1993, IEEE Trans. Image Process. 2, 176). The sweeps take turns row by row: every step
    waits for the one before, and four that do not wait for one another cost hardly more than one.

    Parameters
    ----------
    mask : (Y, X) float64, at least ``image`` everywhere.
    image : (Y, X) float64, changed in place.
    queue : (Y * X,) int32 working memory.
    waiting : (Y * X,) uint8 working memory; zeros, before and after.
    """
    height = image.shape[0]
    _spread_along(mask[0], image[0], mask[height - 1], image[height - 1])
    for y in range(1, height):
        up = height - 1 - y
        _spread_across(image[y - 1], mask[y], image[y])
        _spread_across(image[up + 1], mask[up], image[up])
        _spread_along(mask[y], image[y], mask[up], image[up])
    _spread_rest(mask, image, queue, _enqueue(mask, image, queue, waiting), waiting)


@njit(cache=True, nogil=True)
def _spread_across(source: Any, mask: Any, row: Any) -> None:
    """Raise a row to a neighbouring one."""
    for x in range(row.size):
        reached = source[x] if source[x] < mask[x] else mask[x]
        row[x] = reached if reached > row[x] else row[x]


@njit(cache=True, nogil=True)
def _spread_along(mask_a: Any, row_a: Any, mask_b: Any, row_b: Any) -> None:
    """Raise two rows, to the right and to the left at once; where the ways cross, each goes on with what it finds."""
    last = row_a.size - 1
    right_a, right_b, left_a, left_b = row_a[0], row_b[0], row_a[last], row_b[last]
    for x in range(1, row_a.size):
        right_a = right_a if right_a < mask_a[x] else mask_a[x]
        right_b = right_b if right_b < mask_b[x] else mask_b[x]
        right_a = right_a if right_a > row_a[x] else row_a[x]
        right_b = right_b if right_b > row_b[x] else row_b[x]
        row_a[x] = right_a
        row_b[x] = right_b
        back = last - x
        left_a = left_a if left_a < mask_a[back] else mask_a[back]
        left_b = left_b if left_b < mask_b[back] else mask_b[back]
        left_a = left_a if left_a > row_a[back] else row_a[back]
        left_b = left_b if left_b > row_b[back] else row_b[back]
        row_a[back] = left_a
        row_b[back] = left_b


@njit(cache=True, nogil=True)
def _enqueue(mask: Any, image: Any, queue: Any, waiting: Any) -> Any:
    """List the pixels that can raise the one above or below; how many they are. Rows are settled in themselves."""
    queued = 0
    height, width = image.shape
    for y in range(height - 1):
        upper, lower, limit_upper, limit_lower = image[y], image[y + 1], mask[y], mask[y + 1]
        unsettled = 0
        for x in range(width):
            unsettled += (lower[x] < upper[x]) & (lower[x] < limit_lower[x])
            unsettled += (upper[x] < lower[x]) & (upper[x] < limit_upper[x])
        if unsettled == 0:
            continue
        for x in range(width):
            place = -1
            if lower[x] < upper[x] and lower[x] < limit_lower[x]:
                place = y * width + x
            elif upper[x] < lower[x] and upper[x] < limit_upper[x]:
                place = (y + 1) * width + x
            if place >= 0 and waiting[place] == 0:
                waiting[place] = 1
                queue[queued] = place
                queued += 1
    return queued


@njit(cache=True, nogil=True)
def _spread_rest(mask: Any, image: Any, queue: Any, queued: Any, waiting: Any) -> None:
    """Carry on from the pixels that wait; a pixel waits at most once, so that the ring has room."""
    height, width = image.shape
    flat, limit = image.ravel(), mask.ravel()
    head = 0
    while queued > 0:
        place = np.int64(queue[head])
        head = head + 1 if head + 1 < queue.size else 0
        queued -= 1
        waiting[place] = 0
        y = place // width
        x = place - y * width
        for near in range(4):
            if (near == 0 and x > 0) or (near == 1 and x < width - 1):
                other = place + 2 * near - 1
            elif (near == 2 and y > 0) or (near == 3 and y < height - 1):
                other = place + (2 * near - 5) * width
            else:
                continue
            reached = flat[place] if flat[place] < limit[other] else limit[other]
            if flat[other] < reached:
                flat[other] = reached
                if waiting[other] == 0:
                    waiting[other] = 1
                    tail = head + queued
                    queue[tail if tail < queue.size else tail - queue.size] = other
                    queued += 1


@njit(cache=True, nogil=True)
def count_weights(first: Any, stop: Any, runs: Runs, rows: Axis, columns: Axis, size: Any, counts: Any) -> None:
    """How many pixels of a coarse plane the objects ``first <= i < stop`` lie over.

    Parameters
    ----------
    rows, columns : where each row and column of the field lies on the coarse plane.
    size : (Y, X) of the coarse plane.
    counts : (n,) int64, filled.
    """
    plane = np.zeros(size)
    place, weight = np.empty(size[0] * size[1], np.int32), np.empty(size[0] * size[1])
    for i in range(first, stop):
        _weigh(i, runs, rows, columns, plane)
        counts[i] = _take(i, runs, rows, columns, plane, (place, weight))


@njit(cache=True, nogil=True)
def list_weights(first: Any, stop: Any, runs: Runs, rows: Axis, columns: Axis, size: Any, weights: Weights) -> None:
    """Fill the elements of ``weights`` of objects ``first <= i < stop``; the rest is as in :func:`count_weights`."""
    plane = np.zeros(size)
    for i in range(first, stop):
        _weigh(i, runs, rows, columns, plane)
        start, end = weights.offset[i], weights.offset[i + 1]
        _take(i, runs, rows, columns, plane, (weights.place[start:end], weights.weight[start:end]))


@njit(cache=True, nogil=True)
def _weigh(i: Any, runs: Runs, rows: Axis, columns: Axis, plane: Any) -> None:
    """Add the shares of all pixels of an object to ``plane``."""
    below, above, shares = columns
    for run in range(runs.first[i], runs.first[i + 1]):
        y = runs.row[run]
        if rows.below[y] < 0:
            continue
        upper, lower, share = plane[rows.below[y]], plane[rows.above[y]], rows.share[y]
        x, stop = np.int64(runs.start[run]), np.int64(runs.stop[run])
        while x < stop:
            left, right = below[x], above[x]
            to_left = to_right = 0.0
            while x < stop and below[x] == left:
                to_right += shares[x]
                to_left += 1.0 - shares[x]
                x += 1
            if left >= 0:
                upper[left] += (1.0 - share) * to_left
                upper[right] += (1.0 - share) * to_right
                lower[left] += share * to_left
                lower[right] += share * to_right


@njit(cache=True, nogil=True)
def _take(i: Any, runs: Runs, rows: Axis, columns: Axis, plane: Any, listed: Any) -> Any:
    """List places and weights of an object, each once, and make ``plane`` 0 again; how many they are."""
    place, weight = listed
    width = plane.shape[1]
    count = 0
    for run in range(runs.first[i], runs.first[i + 1]):
        stop = runs.stop[run]
        while stop > runs.start[run] and columns.below[stop - 1] < 0:  # at the right end, by rounding
            stop -= 1
        if rows.below[runs.row[run]] < 0 or stop == runs.start[run]:
            continue
        for y in range(rows.below[runs.row[run]], rows.above[runs.row[run]] + 1):
            for x in range(columns.below[runs.start[run]], columns.above[stop - 1] + 1):
                if plane[y, x] != 0.0:
                    place[count], weight[count] = y * width + x, plane[y, x]
                    plane[y, x] = 0.0
                    count += 1
    return count


@njit(cache=True, nogil=True)
def weighted_sums(weights: Weights, plane: Any, sums: Any) -> None:
    """Fill ``sums`` (n,) float64: over the pixels of each object what ``plane`` (Y, X) float64 is there."""
    flat = plane.ravel()
    for i in range(sums.size):
        total = 0.0
        for element in range(weights.offset[i], weights.offset[i + 1]):
            total += weights.weight[element] * flat[weights.place[element]]
        sums[i] = total
