"""Slow, obvious twin of the propagation kernel: one seed object at a time, one pixel at a time."""

from __future__ import annotations

import heapq
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

_STEPS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]


def propagate(
    image: NDArray[np.float32], seeds: NDArray[np.int32], mask: NDArray[np.bool_], regularization: float
) -> dict[int, NDArray[np.float64]]:
    """Cost of every pixel from each seed object on its own; infinite where no path leads.

    A pixel belongs to an object of least cost; where two cost the same, either is right. Taking the objects one at
    a time changes no minimum: a path that crosses a second object is no cheaper than the one that starts there.
    """
    objects = [int(label) for label in np.unique(seeds) if label > 0]
    return {label: costs_from(seeds == label, image, mask, regularization) for label in objects}


def costs_from(
    sources: NDArray[np.bool_], image: NDArray[np.float32], mask: NDArray[np.bool_], regularization: float
) -> NDArray[np.float64]:
    """Dijkstra's algorithm with a heap that keeps outdated entries."""
    cost = np.full(image.shape, np.inf)
    heap = [(0.0, int(y), int(x)) for y, x in np.argwhere(sources)]
    for _, y, x in heap:
        cost[y, x] = 0.0
    while heap:
        paid, y, x = heapq.heappop(heap)
        if paid > cost[y, x]:
            continue
        for dy, dx in _STEPS:
            v, u = y + dy, x + dx
            if not (0 <= v < image.shape[0] and 0 <= u < image.shape[1] and mask[v, u]):
                continue
            rough = roughness(image, (y, x), (v, u))
            reach = paid + math.sqrt(rough * rough + regularization * regularization * (dy * dy + dx * dx))
            if reach < cost[v, u]:
                cost[v, u] = reach
                heapq.heappush(heap, (reach, v, u))
    return cost


def roughness(image: NDArray[np.float32], first: tuple[int, int], second: tuple[int, int]) -> float:
    """Sum of the absolute differences of two 3 × 3 neighbourhoods; beyond the frame its pixels are repeated."""
    padded = np.pad(image, 1, mode="edge")
    patches = [padded[y : y + 3, x : x + 3].ravel() for y, x in (first, second)]
    return sum(float(difference) for difference in np.abs(patches[0] - patches[1]))


def voronoi(image: NDArray[Any], seeds: NDArray[np.int32], *_: Any) -> NDArray[np.int32]:
    """The peer's idea of growing seeds, without a look at the image: every pixel to the nearest seed."""
    from skimage.segmentation import expand_labels

    return np.asarray(expand_labels(seeds, distance=max(image.shape) * 2), dtype=np.int32)
