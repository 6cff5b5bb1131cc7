"""The inner boundary of objects: pixels with a neighbour, of four, that has another label or none."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hts.stages.measure.shared import _kernels_edges as kernels
from hts.stages.measure.shared.runs import Runs, over_objects, read_only


class Edges(NamedTuple):
    """Edge pixels, object by object in raster order: those of object ``i`` are ``first[i] : first[i + 1]``.

    first : (n + 1,) int64
    pixel : (E,) int32, where they are in arrays with one value for each pixel of all objects
    """

    first: NDArray[np.int64]
    pixel: NDArray[np.int32]


def edges_of(runs: Runs, labels: NDArray[np.int32], threads: int = 1) -> Edges:
    """List the edge pixels of all objects; the frame of the image (Y, X) is no edge."""
    first = np.zeros(runs.first.size, np.int64)
    over_objects(kernels.count_edges, runs, read_only(labels), first[1:], threads=threads)
    np.cumsum(first, out=first)
    edges = Edges(first, np.empty(int(first[-1]), np.int32))
    over_objects(kernels.list_edges, runs, read_only(labels), edges, threads=threads)
    return edges
