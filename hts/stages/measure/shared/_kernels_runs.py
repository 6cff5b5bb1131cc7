"""The pixels of labelled objects as runs: horizontal stretches of one label, listed object by object."""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray


class Runs(NamedTuple):
    """Objects 0 … n - 1 as runs and as stretches of flat arrays with one element a pixel.

    The runs of object ``i`` are ``first[i] : first[i + 1]``, in raster order; its pixels, in the same order, are
    ``offset[i] : offset[i + 1]`` of every array that lists one value a pixel.

    first : (n + 1,) int64
    row, start, stop : (R,) int32, columns ``start <= x < stop`` of a row
    offset : (n + 1,) int64
    """

    first: NDArray[np.int64]
    row: NDArray[np.int32]
    start: NDArray[np.int32]
    stop: NDArray[np.int32]
    offset: NDArray[np.int64]


@njit(cache=True, nogil=True)
def count_runs(labels: Any, first: Any, offset: Any) -> None:
    """Add the runs and the pixels of label ``i`` to ``first[i]`` and ``offset[i]``.

    Parameters
    ----------
    labels : (Y, X) int32, 0 is background, no value above n.
    first, offset : (n + 1,) int64; start as zeros.
    """
    height, width = labels.shape
    for y in range(height):
        before = np.int32(0)
        for x in range(width):
            label = labels[y, x]
            if label != 0:
                offset[label] += 1
                if label != before:
                    first[label] += 1
            before = label


@njit(cache=True, nogil=True)
def list_runs(labels: Any, place: Any, runs: Runs) -> None:
    """Fill ``row``, ``start`` and ``stop`` of ``runs``.

    Parameters
    ----------
    labels : (Y, X) int32.
    place : (n + 1,) int64, where the first run of label ``i`` goes is ``place[i - 1]``; is used up.
    """
    height, width = labels.shape
    for y in range(height):
        x = 0
        while x < width:
            label = labels[y, x]
            start = x
            x += 1
            while x < width and labels[y, x] == label:
                x += 1
            if label != 0:
                run = place[label - 1]
                runs.row[run], runs.start[run], runs.stop[run] = y, start, x
                place[label - 1] = run + 1


@njit(cache=True, nogil=True)
def gather(first: Any, stop: Any, runs: Runs, image: Any, values: Any) -> None:
    """List the grey levels of objects ``first <= i < stop``, object by object.

    Parameters
    ----------
    image : (Y, X) uint8, uint16 or float32.
    values : (N,) of the same type, filled at the objects' stretches.
    """
    for i in range(first, stop):
        place = runs.offset[i]
        for run in range(runs.first[i], runs.first[i + 1]):
            length = runs.stop[run] - runs.start[run]
            source, target = image[runs.row[run], runs.start[run] : runs.stop[run]], values[place : place + length]
            for k in range(source.size):  # places counted from 0 need no check for negative ones: a plain copy
                target[k] = source[k]
            place += length
