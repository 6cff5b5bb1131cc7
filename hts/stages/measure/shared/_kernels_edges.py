"""Pixels of labelled objects that have another label, or background, beside them."""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def count_edges(first: Any, stop: Any, runs: Any, labels: Any, counts: Any) -> None:
    """Count the edge pixels of objects ``first <= i < stop``.

    Parameters
    ----------
    labels : (Y, X) int32 that the runs are of. The frame of the image is no edge.
    counts : (n,) int64, filled.
    """
    height, width = labels.shape
    for i in range(first, stop):
        counted = 0
        for run in range(runs.first[i], runs.first[i + 1]):
            y, left, right = runs.row[run], runs.start[run], runs.stop[run] - 1
            above, below = labels[max(y - 1, 0)], labels[min(y + 1, height - 1)]  # the frame is beside itself
            for x in range(left, right + 1):
                outside = (above[x] != i + 1) | (below[x] != i + 1)
                outside |= ((x == left) & (left > 0)) | ((x == right) & (right < width - 1))
                counted += np.int64(outside)
        counts[i] = counted


@njit(cache=True, nogil=True)
def list_edges(first: Any, stop: Any, runs: Any, labels: Any, edges: Any) -> None:
    """List the edge pixels of objects ``first <= i < stop``, in raster order.

    Parameters
    ----------
    labels : (Y, X) int32 that the runs are of.
    edges : see :class:`hts.stages.measure.shared.edges.Edges`; ``pixel`` is filled.
    """
    height, width = labels.shape
    for i in range(first, stop):
        place, pixel = edges.first[i], runs.offset[i]
        for run in range(runs.first[i], runs.first[i + 1]):
            y, left, right = runs.row[run], runs.start[run], runs.stop[run] - 1
            above, below = labels[max(y - 1, 0)], labels[min(y + 1, height - 1)]
            for x in range(left, right + 1):
                outside = (above[x] != i + 1) | (below[x] != i + 1)
                outside |= ((x == left) & (left > 0)) | ((x == right) & (right < width - 1))
                if outside:
                    edges.pixel[place] = pixel
                    place += 1
                pixel += 1
