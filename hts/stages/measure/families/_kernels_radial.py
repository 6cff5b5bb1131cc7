"""Rings and slices of objects: which pixel is in which, and the grey levels of each."""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from hts.stages.measure.shared._kernels_distance import Frame, _column_buffers, _distances_of_object
from hts.stages.measure.shared._kernels_geodesic import _geodesic_of_object, _line_buffers

SLICES = 8
_OFFSET_PX = 0.001  # what CellProfiler adds to the way from centre to edge


class Rings(NamedTuple):
    """How objects are divided.

    bins : number of rings; pixels beyond the last are ring ``bins``.
    scaled : rings by the fraction of the way from centre to edge, else by distance from the centre.
    maximum_radius_px : outer radius of the last ring when not scaled.
    """

    bins: int
    scaled: bool
    maximum_radius_px: float


@njit(cache=True, nogil=True)
def _is_at_frame(span: Any, runs: Any, frame: Any) -> Any:
    first, last = span
    touches = runs.row[first] == 0 or runs.row[last - 1] == frame.height - 1
    for run in range(first, last):
        touches |= runs.start[run] == 0 or runs.stop[run] == frame.width
    return touches


@njit(cache=True, nogil=True)
def _first_largest(values: Any) -> Any:
    found = 0
    for k in range(values.size):
        if values[k] > values[found]:
            found = k
    return found


@njit(cache=True, nogil=True)
def _place_of(span: Any, runs: Any, pixel: Any) -> Any:
    """Row and column of the object's pixel of this rank in raster order."""
    run = span[0]
    while pixel >= runs.stop[run] - runs.start[run]:
        pixel -= runs.stop[run] - runs.start[run]
        run += 1
    return runs.row[run], runs.start[run] + pixel


@njit(cache=True, nogil=True)
def _ring(length: Any, squared: Any, rings: Rings) -> Any:
    """The ring of a pixel by its distance from the centre and its squared distance to the edge."""
    if rings.scaled:
        fraction = length / (length + np.sqrt(np.float64(squared)) + _OFFSET_PX)
    else:
        fraction = length / rings.maximum_radius_px
    return int(min(fraction * rings.bins, np.float64(rings.bins)))


@njit(cache=True, nogil=True)
def _code_object(span: Any, runs: Any, rings: Rings, centre: Any, distances: Any) -> None:
    """Write ring and slice of each pixel of an object.

    centre : row and column.
    distances : from the centre (n,) float64, squared to the edge (n,) int32, and the codes (n,) that are written.
    """
    lengths, squared, codes = distances
    pixel = 0
    for run in range(span[0], span[1]):
        below = runs.row[run] - centre[0]
        side = 1 if below > 0 else 0
        for x in range(runs.start[run], runs.stop[run]):
            across = x - centre[1]
            piece = side + (2 if across > 0 else 0) + (4 if abs(below) > abs(across) else 0)
            if lengths[pixel] < np.inf:
                codes[pixel] = _ring(lengths[pixel], squared[pixel], rings) * SLICES + piece
            else:
                codes[pixel] = (rings.bins + 1) * SLICES
            pixel += 1


@njit(cache=True, nogil=True)
def code_pixels(first: Any, stop: Any, runs: Any, frame: Frame, rings: Rings, edge: Any, codes: Any) -> None:
    """Say of each pixel of objects ``first <= i < stop`` in which ring and slice it is.

    The centre is the first pixel of those furthest from the edge; the frame of the field is no edge, except for an
    object that fills the field.

    Parameters
    ----------
    frame : the field's, not closed.
    edge : (N,) int32, squared distance to the edge, the frame being one.
    codes : (N,) uint16, filled at the objects' stretches: 8 ring + slice, or 8 (bins + 1) where no path inside the
        object leads from the centre.
    """
    most = 0
    for i in range(first, stop):
        most = max(most, runs.offset[i + 1] - runs.offset[i])
    lengths, opened = np.empty(most), np.empty(most, np.int32)
    columns, lines = _column_buffers(frame.width), _line_buffers(first, stop, runs, frame.width)
    for i in range(first, stop):
        begin, end = runs.offset[i], runs.offset[i + 1]
        if begin == end:
            continue
        span, size = (runs.first[i], runs.first[i + 1]), end - begin
        squared = opened[:size]
        if size < frame.height * frame.width and _is_at_frame(span, runs, frame):
            _distances_of_object(span, 0, runs, frame, columns, squared)
        else:
            squared[:] = edge[begin:end]
        centre = _first_largest(squared)
        _geodesic_of_object(span, runs, centre, lines, lengths[:size])
        _code_object(span, runs, rings, _place_of(span, runs, centre), (lengths[:size], squared, codes[begin:end]))


@njit(cache=True, nogil=True)
def sum_by_code(first: Any, stop: Any, runs: Any, codes: Any, values: Any, sums: Any) -> None:
    """Add the grey levels of objects ``first <= i < stop`` by code.

    Parameters
    ----------
    codes : (N,) uint16.
    values : (N,) uint16 or float32.
    sums : (n, K) float64, starts as zeros.
    """
    for i in range(first, stop):
        row = sums[i]
        for pixel in range(runs.offset[i], runs.offset[i + 1]):
            row[codes[pixel]] += values[pixel]
