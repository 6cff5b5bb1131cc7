"""Edge pixels of objects, the slow obvious way."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hts.stages.measure.shared.edges import Edges, edges_of
from hts.stages.measure.shared.runs import runs_of
from tests.reference.rows import KernelRow


def counted(labels: NDArray[np.int32], count: int) -> list[int]:
    """Edge pixels of each object, as the kernel counts them."""
    return np.diff(_edges(labels, count).first).tolist()


def listed(labels: NDArray[np.int32], count: int) -> list[int]:
    """Places of all edge pixels in arrays of all pixels, as the kernel lists them."""
    return _edges(labels, count).pixel.tolist()


def _edges(labels: NDArray[np.int32], count: int) -> Edges:
    return edges_of(runs_of(labels, count), labels, threads=3)


def count_edges(labels: NDArray[np.int32], count: int) -> list[int]:
    """The twin."""
    return [sum(each) for each in is_edge(labels, count)]


def list_edges(labels: NDArray[np.int32], count: int) -> list[int]:
    """The twin."""
    return np.flatnonzero([pixel for each in is_edge(labels, count) for pixel in each]).tolist()


def is_edge(labels: NDArray[np.int32], count: int) -> list[list[bool]]:
    """By object, for each pixel in raster order, whether a neighbour inside the image has another label."""
    height, width = labels.shape
    return [
        [
            any(
                0 <= y + dy < height and 0 <= x + dx < width and labels[y + dy, x + dx] != number
                for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1))
            )
            for y, x in np.argwhere(labels == number).tolist()
        ]
        for number in range(1, count + 1)
    ]


KERNELS = tuple(
    KernelRow(f"hts.stages.measure.shared._kernels_edges.{twin.__name__}", call, twin, "none", twin, (np.int32,))
    for call, twin in ((counted, count_edges), (listed, list_edges))
)
