"""Pixels of labelled objects that have another label, or background, beside them."""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def _beside(runs: Any, run: Any, labels: Any) -> Any:
    """The labels above and below a run (its own where the frame is), and whether its ends are inside the frame."""
    y, start, stop = runs.row[run], runs.start[run], runs.stop[run]
    above = labels[max(y - 1, 0), start:stop]
    below = labels[min(y + 1, labels.shape[0] - 1), start:stop]
    return above, below, start > 0, stop < labels.shape[1]


@njit(cache=True, nogil=True)
def count_edges(first: Any, stop: Any, runs: Any, labels: Any, counts: Any) -> None:
    """Count the edge pixels of objects ``first <= i < stop``.

    Parameters
    ----------
    labels : (Y, X) int32 that the runs are of. The frame of the image is no edge.
    counts : (n,) int64, filled.
    """
    for i in range(first, stop):
        label, counted = np.int32(i + 1), np.int64(0)
        for run in range(runs.first[i], runs.first[i + 1]):
            above, below, left, right = _beside(runs, run, labels)
            last = above.size - 1
            for x in range(above.size):
                counted += np.int64((above[x] != label) | (below[x] != label))
            counted += np.int64(left and above[0] == label and below[0] == label)
            counted += np.int64(right and above[last] == label and below[last] == label and not (left and last == 0))
        counts[i] = counted


@njit(cache=True, nogil=True)
def list_edges(first: Any, stop: Any, runs: Any, labels: Any, edges: Any) -> None:
    """List the edge pixels of objects ``first <= i < stop``, in raster order.

    Parameters
    ----------
    labels : (Y, X) int32 that the runs are of.
    edges : see :class:`hts.stages.measure.shared.edges.Edges`; ``pixel`` is filled.
    """
    for i in range(first, stop):
        label, place, pixel = np.int32(i + 1), edges.first[i], runs.offset[i]
        for run in range(runs.first[i], runs.first[i + 1]):
            above, below, left, right = _beside(runs, run, labels)
            last = above.size - 1
            for x in range(above.size):
                outside = (above[x] != label) | (below[x] != label)
                if outside or (left and x == 0) or (right and x == last):
                    edges.pixel[place] = pixel + x
                    place += 1
            pixel += above.size
