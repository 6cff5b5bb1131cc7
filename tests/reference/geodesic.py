"""Shortest paths inside objects, the slow obvious way, and by centrosome."""

from __future__ import annotations

import numpy as np
from centrosome.propagate import propagate
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from hts.stages.measure.shared import _kernels_geodesic as kernels
from hts.stages.measure.shared.runs import over_objects, runs_of
from tests.reference.rows import KernelRow

Labels = NDArray[np.int32]


def of_runs(labels: Labels, count: int, centre: NDArray[np.int64]) -> NDArray[np.float64]:
    """As the kernel computes it, in parts."""
    runs = runs_of(labels, count)
    distance = np.empty(int(runs.offset[-1]))
    over_objects(kernels.geodesic_distances, runs, labels.shape[1], centre, distance, threads=3)
    return distance


def graph_of(pixels: NDArray[np.int64]) -> coo_array:
    """(m, m) length of the step between each two of (m, 2) pixels that are neighbours."""
    apart = np.abs(pixels[:, None] - pixels[None]).astype(np.int64)
    first, second = np.nonzero(apart.max(axis=2) == 1)
    return coo_array((np.sqrt(apart[first, second].sum(axis=1)), (first, second)), shape=2 * (len(pixels),))


def of_graph(labels: Labels, count: int, centre: NDArray[np.int64]) -> NDArray[np.float64]:
    """The twin: Dijkstra over the pixels of each object."""
    found = [np.zeros(0)]
    for number in range(1, count + 1):
        pixels = np.argwhere(labels == number)
        if len(pixels):
            found.append(dijkstra(graph_of(pixels), indices=int(centre[number - 1])))
    return np.concatenate(found)


def centrosome(labels: Labels, count: int, centre: NDArray[np.int64]) -> NDArray[np.float64]:
    """The peer, an object at a time."""
    found = [np.zeros(0)]
    for number in range(1, count + 1):
        mask = labels == number
        if mask.any():
            seeds = np.zeros(labels.shape, np.int32)
            seeds[tuple(np.argwhere(mask)[centre[number - 1]])] = 1
            distance = propagate(np.zeros(labels.shape), seeds, mask, 1.0)[1][mask]
            found.append(np.where(distance < 0, np.inf, distance))
    return np.concatenate(found)


KERNELS = (
    KernelRow(
        "hts.stages.measure.shared._kernels_geodesic.geodesic_distances",
        of_runs,
        of_graph,
        "centrosome propagate",
        centrosome,
        (np.int32,),
    ),
)
