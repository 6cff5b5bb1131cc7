"""Squared distance of object pixels to the edge of their object, exact, in time that grows with the pixels alone.

First the distance along columns, then along every run the lower envelope of the parabolas that stand on its pixels
and on the two ends (Felzenszwalb and Huttenlocher, "Distance transforms of sampled functions", Theory of Computing 8,
2012). What lies beyond the end of a run is never nearer than the end itself, so that a run is all there is to look at.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

FAR_PX = 1 << 16  # more than any distance within a field, which has at most 2**15 pixels a side


class Frame(NamedTuple):
    """The frame of the field, and whether it is an edge of the objects that touch it.

    height, width : of the field.
    closed : whether what is outside counts as not of the object.
    """

    height: int
    width: int
    closed: bool


@njit(cache=True, nogil=True)
def _along_columns(span: Any, place: Any, runs: Any, frame: Frame, columns: Any, distance: Any) -> None:
    """Write the distance to the next pixel up or down that is not the object's; FAR_PX where there is none.

    span : first run, and one past the last. ``place`` : where the first pixel is in ``distance``.
    columns : (2, X) int32: row of the object's last pixel in the column, and its distance.
    """
    first, last = span
    beyond = 0 if frame.closed else FAR_PX
    row_of, depth = columns[0], columns[1]
    for run in range(first, last):
        row_of[runs.start[run] : runs.stop[run]] = -2
    for run in range(first, last):
        y = runs.row[run]
        for x in range(runs.start[run], runs.stop[run]):
            before = depth[x] if row_of[x] == y - 1 else (beyond if y == 0 else 0)
            row_of[x], depth[x] = y, min(before + 1, FAR_PX)
            distance[place] = depth[x]
            place += 1
    for run in range(first, last):
        row_of[runs.start[run] : runs.stop[run]] = -2
    for run in range(last - 1, first - 1, -1):
        y = runs.row[run]
        for x in range(runs.stop[run] - 1, runs.start[run] - 1, -1):
            place -= 1
            before = depth[x] if row_of[x] == y + 1 else (beyond if y == frame.height - 1 else 0)
            row_of[x], depth[x] = y, min(before + 1, FAR_PX)
            distance[place] = min(distance[place], depth[x])


@njit(cache=True, nogil=True)
def _raise_parabolas(height: Any, left: Any, right: Any, envelope: Any) -> Any:
    """The lower envelope of the parabolas on the pixels of a run and just beyond its ends; the number of its last one.

    Where two are equally low the first one counts.

    height : (L,) int32, height of each pixel's parabola, which is squared; ``left`` and ``right`` are squared.
    envelope : (3, >= L + 2) int64: position, squared height and first pixel of each parabola.
    """
    length = height.size
    site, level, begin = envelope[0], envelope[1], envelope[2]
    site[0], level[0], begin[0] = -1, left, -1
    top = 0
    for x in range(length + 1):
        here = np.int64(height[x]) * np.int64(height[x]) if x < length else right
        starts = -1
        while top >= 0:
            # The first pixel that is nearer to x than to the parabola on top.
            lead = here + x * x - level[top] - site[top] * site[top]
            starts = lead // (2 * (x - site[top])) + 1
            if starts > begin[top]:
                break
            top -= 1
        if top < 0:
            starts = -1
        if starts < length:
            top += 1
            site[top], level[top], begin[top] = x, here, starts
    return top


@njit(cache=True, nogil=True)
def _along_run(height: Any, left: Any, right: Any, envelope: Any, squared: Any) -> None:
    """Write the squared distance of the pixels of a run; see :func:`_raise_parabolas`. May overwrite ``height``."""
    site, level, begin = envelope[0], envelope[1], envelope[2]
    top = _raise_parabolas(height, left, right, envelope)
    for x in range(height.size - 1, -1, -1):
        while begin[top] > x:
            top -= 1
        squared[x] = level[top] + (x - site[top]) * (x - site[top])


@njit(cache=True, nogil=True)
def _distances_of_object(span: Any, place: Any, runs: Any, frame: Frame, columns: Any, squared: Any) -> None:
    """Write the squared distances of one object.

    Parameters
    ----------
    span : its first run, and one past its last. ``place`` : where its first pixel is in ``squared``.
    columns : see :func:`_column_buffers`.
    """
    first, last = span
    heights, envelope = columns
    far = np.int64(FAR_PX) * np.int64(FAR_PX)
    _along_columns(span, place, runs, frame, heights, squared)
    for run in range(first, last):
        begin, end = runs.start[run], runs.stop[run]
        left = far if begin == 0 and not frame.closed else 0
        right = far if end == frame.width and not frame.closed else 0
        pixels = squared[place : place + end - begin]
        _along_run(pixels, left, right, envelope, pixels)
        place += end - begin


@njit(cache=True, nogil=True)
def _column_buffers(width: Any) -> Any:
    """Working memory of :func:`_distances_of_object` for fields of this width."""
    return np.empty((2, width), np.int32), np.empty((3, width + 2), np.int64)


@njit(cache=True, nogil=True)
def edge_distances(first: Any, stop: Any, runs: Any, frame: Frame, squared: Any) -> None:
    """Squared distance of each pixel to the nearest one that is not of its object, for objects ``first <= i < stop``.

    Parameters
    ----------
    frame : see :class:`Frame`. An object that fills a field whose frame is not closed has no edge: what is written
        then is no distance.
    squared : (N,) int32, filled at the objects' stretches.
    """
    columns = _column_buffers(frame.width)
    for i in range(first, stop):
        _distances_of_object((runs.first[i], runs.first[i + 1]), runs.offset[i], runs, frame, columns, squared)
