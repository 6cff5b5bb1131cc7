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


def link(labels: NDArray[np.int32], partner: NDArray[np.int32], above: int = 0) -> NDArray[np.int32]:
    """Number `labels` after `partner`: all pairs looked at, the best one taken until none is left."""
    areas = {(side, int(n)): int((a == n).sum()) for side, a in enumerate((labels, partner)) for n in np.unique(a) if n}
    shared: dict[tuple[int, int], int] = {}
    for one, other in zip(labels.ravel().tolist(), partner.ravel().tolist(), strict=True):
        if one and other:
            shared[one, other] = shared.get((one, other), 0) + 1
    open_pairs = {pair: n for pair, n in shared.items() if 2 * n >= min(areas[0, pair[0]], areas[1, pair[1]])}
    numbers: dict[int, int] = {}
    while open_pairs:
        best = min(open_pairs, key=lambda pair: (-open_pairs[pair], pair))
        numbers[best[0]] = best[1]
        open_pairs = {pair: n for pair, n in open_pairs.items() if pair[0] != best[0] and pair[1] != best[1]}
    following = max(int(labels.max(initial=0)), int(partner.max(initial=0)), above)
    for one in sorted(n for side, n in areas if side == 0 and n not in numbers):
        following += 1
        numbers[one] = following
    return np.array([[numbers.get(n, 0) for n in row] for row in labels.tolist()], np.int32).reshape(labels.shape)
