"""Neighbours of objects, the slow obvious way, and expansion by scipy."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hts.stages.measure.families import _kernels_neighbors as kernels
from hts.stages.measure.families.neighbors import expanded_labels, reach_of
from hts.stages.measure.shared.runs import over_objects, runs_of
from tests.reference.rows import KernelRow

Labels = NDArray[np.int32]


def by_scipy(labels: Labels) -> Labels:
    """The peer; the labels as they are when there is no object."""
    if not labels.any():
        return labels
    nearest = ndimage.distance_transform_edt(labels == 0, return_distances=False, return_indices=True)
    return np.asarray(labels[tuple(nearest)])


def by_distance(labels: Labels) -> Labels:
    """The twin: for each pixel the object pixel at the smallest distance, of those the first by column, then by row."""
    objects = sorted(np.argwhere(labels).tolist(), key=lambda pixel: (pixel[1], pixel[0]))
    expanded = labels.copy()
    if objects:
        for y, x in product(*map(range, labels.shape)):
            nearest = min(objects, key=lambda pixel: (pixel[0] - y) ** 2 + (pixel[1] - x) ** 2)
            expanded[y, x] = labels[tuple(nearest)]
    return expanded


def counted(labels: Labels, count: int, distance_px: int) -> NDArray[np.int64]:
    """As the kernel counts, in parts."""
    counts = np.zeros((count, 3), np.int64)
    over_objects(kernels.count_neighbors, runs_of(labels, count), labels, reach_of(distance_px), counts, threads=3)
    return counts


def counts(labels: Labels, count: int, distance_px: int) -> NDArray[np.int64]:
    """The twin: all pixels of other objects against all outline pixels."""
    found = np.zeros((count, 3), np.int64)
    padded = np.pad(labels, 1, constant_values=-1)
    for number in np.unique(labels[labels > 0]):
        own = np.argwhere(labels == number)
        outline = np.array([p for p in own if (padded[p[0] : p[0] + 3, p[1] : p[1] + 3] != number).any()])
        others = np.argwhere((labels != 0) & (labels != number))
        box = np.abs(outline[:, None] - others[None]).max(axis=2, initial=0) <= distance_px
        touching = (_squared(outline, others) <= (distance_px + 0.5) ** 2) & box
        near = others[(_squared(own, others) <= distance_px**2).any(axis=0)]
        found[number - 1] = len(outline), touching.any(axis=1).sum(), len(set(labels[tuple(near.T)].tolist()))
    return found


def _squared(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.asarray(((first[:, None] - second[None]) ** 2).sum(axis=2))


def _row(name: str, call: Any, twin: Any, peer_name: str, peer: Any) -> KernelRow:
    return KernelRow(f"hts.stages.measure.families._kernels_neighbors.{name}", call, twin, peer_name, peer, (np.int32,))


KERNELS = (
    _row("expand_labels", expanded_labels, by_distance, "scipy distance_transform_edt", by_scipy),
    _row("count_neighbors", counted, counts, "none", counts),
)
