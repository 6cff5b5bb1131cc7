"""Which objects are near which, and how much of an outline is near others; background shared out among objects."""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from hts.stages.measure.shared._kernels_distance import FAR_PX, _raise_parabolas

OUTLINE, TOUCHING, NEIGHBORS = range(3)


@njit(cache=True, nogil=True)
def _nearest_rows(labels: Any, nearest: Any) -> None:
    """Write the row of the nearest object pixel of the same column, the upper of two; -FAR_PX where there is none."""
    height, width = labels.shape
    for y in range(height):
        for x in range(width):
            above = nearest[y - 1, x] if y > 0 else -FAR_PX
            nearest[y, x] = y if labels[y, x] != 0 else above
    for y in range(height - 2, -1, -1):
        for x in range(width):
            here, below = nearest[y, x], nearest[y + 1, x]
            nearest[y, x] = below if below > y and below - y < y - here else here


@njit(cache=True, nogil=True)
def _fill_gap(labels: Any, nearest: Any, where: Any, envelope: Any, expanded: Any) -> None:
    """Give the background pixels ``start <= x < stop`` of row ``y`` to the nearest object, the left of two."""
    y, start, stop = where
    far = np.int64(FAR_PX) * np.int64(FAR_PX)
    height = np.minimum(np.abs(nearest[y, start:stop] - y), FAR_PX)
    right = 0 if stop < labels.shape[1] else far
    top = _raise_parabolas(height, 0 if start > 0 else far, right, envelope)
    site, begin = envelope[0], envelope[2]
    for x in range(stop - start - 1, -1, -1):
        while begin[top] > x:
            top -= 1
        column = start + site[top]
        expanded[y, start + x] = labels[nearest[y, column], column]


@njit(cache=True, nogil=True)
def expand_labels(labels: Any, nearest: Any, expanded: Any) -> None:
    """Give each background pixel to the object whose pixel is nearest.

    Of pixels at the same distance the one further left counts, of those in one column the upper one. At least one
    pixel must be an object's.

    Parameters
    ----------
    labels : (Y, X) int32.
    nearest : (Y, X) int32, working memory.
    expanded : (Y, X) int32, is filled.
    """
    _nearest_rows(labels, nearest)
    height, width = labels.shape
    envelope = np.empty((3, width + 2), np.int64)
    for y in range(height):
        x = 0
        while x < width:
            start = x
            while x < width and labels[y, x] == 0:
                x += 1
            if x > start:
                _fill_gap(labels, nearest, (y, start, x), envelope, expanded)
            while x < width and labels[y, x] != 0:
                expanded[y, x] = labels[y, x]
                x += 1


@njit(cache=True, nogil=True)
def _is_outline(labels: Any, y: Any, x: Any) -> Any:
    """Whether a pixel has one of another label, or the frame, among its 8 neighbours."""
    height, width = labels.shape
    if y == 0 or x == 0 or y == height - 1 or x == width - 1:
        return True
    label = labels[y, x]
    inside = (labels[y, x - 1] == label) & (labels[y, x + 1] == label)
    for row in (y - 1, y + 1):
        inside &= (labels[row, x - 1] == label) & (labels[row, x] == label) & (labels[row, x + 1] == label)
    return not inside


@njit(cache=True, nogil=True)
def _list_outline(labels: Any, runs: Any, span: Any, pixels: Any) -> Any:
    """List row and column of the outline pixels of an object; how many they are.

    Where a row and those above and below are a single run each, three starts and three stops tell.
    """
    first, last = span
    row, begin, end = runs.row, runs.start, runs.stop
    count = 0
    for run in range(first, last):
        y, start, stop = row[run], begin[run], end[run]
        above = run > first and row[run - 1] == y - 1 and (run - 1 == first or row[run - 2] != y - 1)
        below = run + 1 < last and row[run + 1] == y + 1 and (run + 2 == last or row[run + 2] != y + 1)
        inside, outside, alone = stop, stop, above and below
        if alone:
            inside = min(max(start, max(begin[run - 1], begin[run + 1])) + 1, stop)
            outside = max(min(stop, min(end[run - 1], end[run + 1])) - 1, inside)
        for x in range(start, inside):
            if alone or _is_outline(labels, y, x):
                pixels[0, count], pixels[1, count] = y, x
                count += 1
        for x in range(outside, stop):
            pixels[0, count], pixels[1, count] = y, x
            count += 1
    return count


@njit(cache=True, nogil=True)
def _look_around(labels: Any, pixels: Any, reach: Any, seen: Any) -> Any:
    """How many objects are within reach of the pixels of an object, and how many pixels have one in touching reach.

    pixels : (2, m) int32, rows and columns.
    reach : (2, 2 d + 1) int32; half widths of the rows of the two discs.
    seen : (n + 1,) int32, by label the object that saw it last.
    """
    height, width = labels.shape
    distance = reach.shape[1] // 2
    fresh, touching = 0, 0
    for k in range(pixels.shape[1]):
        y, x = pixels[0, k], pixels[1, k]
        label, touches = labels[y, x], False
        for row in range(max(y - distance, 0), min(y + distance + 1, height)):
            near, wide = reach[0, row - y + distance], reach[1, row - y + distance]
            for column in range(max(x - wide, 0), min(x + wide + 1, width)):
                other = labels[row, column]
                if other != 0 and other != label:
                    touches = True
                    if seen[other] != label and abs(column - x) <= near:
                        seen[other] = label
                        fresh += 1
        touching += touches
    return fresh, touching


@njit(cache=True, nogil=True)
def count_neighbors(first: Any, stop: Any, runs: Any, labels: Any, reach: Any, counts: Any) -> None:
    """Count outline pixels, those with another object within touching reach, and the objects within reach.

    Parameters
    ----------
    labels : (Y, X) int32, of the objects ``first <= i < stop`` that ``runs`` lists, and of all others.
    reach : (2, 2 d + 1) int32; half widths of the rows of two discs about a pixel: of objects that are neighbours, and
        of objects that touch, which is nowhere narrower.
    counts : (n, 3) int64, columns OUTLINE, TOUCHING, NEIGHBORS.
    """
    most = 0
    for i in range(first, stop):
        most = max(most, runs.offset[i + 1] - runs.offset[i])
    seen, pixels = np.zeros(counts.shape[0] + 1, np.int32), np.empty((2, most), np.int32)
    for i in range(first, stop):
        found = _list_outline(labels, runs, (runs.first[i], runs.first[i + 1]), pixels)
        counts[i, OUTLINE] = found
        counts[i, NEIGHBORS], counts[i, TOUCHING] = _look_around(labels, pixels[:, :found], reach, seen)
