"""Where the light of an object is: first moments of its grey levels, its brightest pixel, and its edge."""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

from typing import Any

from numba import njit

# Last axis of what a pass fills.
ALONG_Y, ALONG_X, PEAK_Y, PEAK_X, EDGE_TOTAL, EDGE_SQUARES, EDGE_LOWEST, EDGE_HIGHEST = range(8)
COLUMNS = 8


@njit(cache=True, nogil=True)
def _add_edge(pixels: Any, values: Any, shift: Any, record: Any) -> None:
    """Sums and extremes of the grey levels, less ``shift``, of an object's edge; ``values`` of all objects."""
    number = record.dtype.type
    total, squares = number(0), number(0)
    if pixels.size > 0:
        record[EDGE_LOWEST] = record[EDGE_HIGHEST] = number(values[pixels[0]])
    for k in range(pixels.size):
        level = number(values[pixels[k]])
        total += level - shift
        squares += (level - shift) * (level - shift)
        record[EDGE_LOWEST] = min(record[EDGE_LOWEST], level)
        record[EDGE_HIGHEST] = max(record[EDGE_HIGHEST], level)
    record[EDGE_TOTAL], record[EDGE_SQUARES] = total, squares


@njit(cache=True, nogil=True)
def _add_run(values: Any, y: Any, start: Any, shift: Any, record: Any) -> Any:
    """Add the first moments of a run's grey levels less ``shift``; its largest grey level."""
    number = record.dtype.type
    total, along = number(0), number(0)
    highest = values[0]
    for x in range(values.size):
        level = number(values[x]) - shift
        total += level
        along += level * number(x)
        highest = values[x] if values[x] > highest else highest
    record[ALONG_Y] += number(y) * total
    record[ALONG_X] += number(start) * total + along
    return highest


@njit(cache=True, nogil=True)
def weigh(first: Any, stop: Any, runs: Any, values: Any, shift: Any, edges: Any, weights: Any) -> None:
    """Fill ``weights`` of objects ``first <= i < stop``.

    Parameters
    ----------
    values : (C, N) uint16 or float32.
    shift : (n, C) int64 or float64, subtracted from the grey levels in every sum.
    edges : edge pixels of the objects.
    weights : (n, C, 8) of the same type as ``shift``; starts as zeros. The brightest pixel is the first of equals.
    """
    for i in range(first, stop):
        edge = edges.pixel[edges.first[i] : edges.first[i + 1]]
        for channel in range(values.shape[0]):
            record, here, place = weights[i, channel], shift[i, channel], runs.offset[i]
            brightest, peak, peak_place = values.dtype.type(0), -1, place
            for run in range(runs.first[i], runs.first[i + 1]):
                length = runs.stop[run] - runs.start[run]
                stretch = values[channel, place : place + length]
                highest = _add_run(stretch, runs.row[run], runs.start[run], here, record)
                if peak < 0 or highest > brightest:
                    brightest, peak, peak_place = highest, run, place
                place += length
            if peak >= 0:
                k = 0
                while k < runs.stop[peak] - runs.start[peak] - 1 and values[channel, peak_place + k] != brightest:
                    k += 1
                record[PEAK_Y], record[PEAK_X] = runs.row[peak], runs.start[peak] + k
            _add_edge(edge, values[channel], here, record)
