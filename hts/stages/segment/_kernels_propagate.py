"""Propagation of seeds over an image: Dijkstra's algorithm on the pixel grid with an indexed heap."""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Ints = NDArray[np.int32]
Floats = NDArray[np.float64]
Image = NDArray[np.float32]


@njit(cache=True, nogil=True)
def _sift_up(heap: Ints, place: Ints, cost: Floats, slot: int) -> None:
    item = heap[slot]
    while slot > 0:
        parent = (slot - 1) >> 1
        if cost[heap[parent]] <= cost[item]:
            break
        heap[slot] = heap[parent]
        place[heap[slot]] = slot
        slot = parent
    heap[slot] = item
    place[item] = slot


@njit(cache=True, nogil=True)
def _sift_down(heap: Ints, place: Ints, cost: Floats, size: int) -> None:
    item = heap[0]
    slot = 0
    while True:
        child = 2 * slot + 1
        if child >= size:
            break
        if child + 1 < size and cost[heap[child + 1]] < cost[heap[child]]:
            child += 1
        if cost[heap[child]] >= cost[item]:
            break
        heap[slot] = heap[child]
        place[heap[slot]] = slot
        slot = child
    heap[slot] = item
    place[item] = slot


@njit(cache=True, nogil=True)
def _roughness(image: Image, y0: int, x0: int, y1: int, x1: int) -> float:
    """Sum of absolute differences of the 3 × 3 neighbourhoods of two pixels, clipped at the frame."""
    rows, columns = image.shape
    total = 0.0
    for dy in range(-1, 2):
        for dx in range(-1, 2):
            ya = min(max(y0 + dy, 0), rows - 1)
            xa = min(max(x0 + dx, 0), columns - 1)
            yb = min(max(y1 + dy, 0), rows - 1)
            xb = min(max(x1 + dx, 0), columns - 1)
            total += abs(image[ya, xa] - image[yb, xb])
    return total


@njit(cache=True, nogil=True)
def propagate(
    image: Image, labels: Ints, mask: NDArray[np.bool_], regularization: float, buffers: tuple[Ints, Ints, Floats]
) -> None:
    """Grow `labels` (int32, changed in place) over `mask` along the cheapest paths from their pixels.

    A step costs sqrt(roughness² + regularization² · length²), length² being 1 or 2. `buffers` is
    (heap int32, place int32, cost float64), each as long as the image has pixels.
    """
    heap, place, cost = buffers
    rows, columns = image.shape
    size = 0
    for pixel in range(rows * columns):
        place[pixel] = -1
        cost[pixel] = np.inf
        if labels[pixel // columns, pixel % columns] > 0:
            cost[pixel] = 0.0
            heap[size] = pixel
            place[pixel] = size
            size += 1
    while size > 0:
        pixel = heap[0]
        place[pixel] = -2
        size -= 1
        if size > 0:
            heap[0] = heap[size]
            _sift_down(heap, place, cost, size)
        y, x = pixel // columns, pixel % columns
        for dy in range(-1, 2):
            for dx in range(-1, 2):
                v, u = y + dy, x + dx
                if v < 0 or u < 0 or v >= rows or u >= columns or not mask[v, u]:
                    continue
                other = v * columns + u
                if place[other] == -2:
                    continue
                rough = _roughness(image, y, x, v, u)
                reach = cost[pixel] + np.sqrt(rough * rough + regularization * regularization * (dy * dy + dx * dx))
                if reach < cost[other]:
                    cost[other] = reach
                    labels[v, u] = labels[y, x]
                    if place[other] == -1:
                        heap[size] = other
                        place[other] = size
                        size += 1
                    _sift_up(heap, place, cost, place[other])
