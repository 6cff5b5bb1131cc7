"""Where the light of an object is, the slow obvious way."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hts.stages.measure.families import _kernels_intensity as kernels
from hts.stages.measure.shared.edges import edges_of
from hts.stages.measure.shared.runs import over_objects, runs_of
from tests.reference.edges import is_edge
from tests.reference.rows import KernelRow
from tests.reference.runs import gather


def weighed(labels: NDArray[np.int32], image: NDArray[Any], shift: NDArray[Any]) -> NDArray[Any]:
    """(n, 8) of one channel, as the kernel finds them, in three parts; ``shift`` (n,) has the type of the sums."""
    runs = runs_of(labels, shift.size)
    weights = np.zeros((shift.size, 1, kernels.COLUMNS), shift.dtype)
    values, edges = gather(labels, image, shift.size)[None], edges_of(runs, labels)
    over_objects(kernels.weigh, runs, values, shift[:, None], edges, weights, threads=3)
    return weights[:, 0]


def weigh(labels: NDArray[np.int32], image: NDArray[Any], shift: NDArray[Any]) -> NDArray[Any]:
    """The twin."""
    weights = np.zeros((shift.size, 8), shift.dtype)
    for i, edge in enumerate(is_edge(labels, shift.size)):
        y, x = np.nonzero(labels == i + 1)
        values = image[y, x].astype(shift.dtype)
        if values.size:
            peak = int(np.argmax(values))
            above = values - shift[i]
            weights[i, :4] = (above * y).sum(), (above * x).sum(), y[peak], x[peak]
        if any(edge):
            on_edge = values[edge]
            above = on_edge - shift[i]
            weights[i, 4:] = above.sum(), (above**2).sum(), on_edge.min(), on_edge.max()
    return weights


KERNELS = (
    KernelRow(
        "hts.stages.measure.families._kernels_intensity.weigh", weighed, weigh, "none", weigh, (np.uint16, np.float32)
    ),
)
