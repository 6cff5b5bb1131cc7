"""Distance to the edge of the object, the slow obvious way, and by scipy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hts.stages.measure.shared.distance import edge_distances
from hts.stages.measure.shared.runs import runs_of
from tests.reference.rows import KernelRow

Labels = NDArray[np.int32]


def of_runs(labels: Labels, count: int, closed: bool = True) -> NDArray[np.int32]:
    """As the kernel computes it, in parts."""
    return edge_distances(runs_of(labels, count), labels.shape, closed=closed, threads=3)


def of_pixels(labels: Labels, count: int, closed: bool = True) -> NDArray[np.int32]:
    """The twin: the smallest of the distances to all pixels of something else."""
    padded = np.pad(labels, 1, constant_values=0)
    counts = np.ones(padded.shape, np.bool_)
    if not closed:
        counts[[0, -1]] = counts[:, [0, -1]] = False
    found = []
    for number in range(1, count + 1):
        others = np.argwhere((padded != number) & counts)
        pixels = np.argwhere(padded == number)
        found += [((others - pixel) ** 2).sum(axis=1).min() for pixel in pixels] if len(others) else [0] * len(pixels)
    return np.array(found, np.int32)


def scipy_edt(labels: Labels, count: int, closed: bool = True) -> NDArray[np.int32]:
    """The peer, an object at a time."""
    width = int(closed)
    found = [np.zeros(0)]
    for number in range(1, count + 1):
        mask = np.pad(labels == number, width)
        found.append(ndimage.distance_transform_edt(mask)[mask] ** 2)
    return np.rint(np.concatenate(found)).astype(np.int32)


KERNELS = (
    KernelRow(
        "hts.stages.measure.shared._kernels_distance.edge_distances",
        of_runs,
        of_pixels,
        "scipy distance_transform_edt",
        scipy_edt,
        (np.int32,),
    ),
)
