"""Points that follow flows: where every pixel ends."""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Flows = NDArray[np.float32]
Coordinates = NDArray[np.float32]
Ends = NDArray[np.int32]
Work = tuple[Coordinates, Coordinates, Coordinates, Coordinates, Ends]

WINDOW_STEPS = 10
"""A point is looked at every so many steps; an even number, for points that hop to and fro across a sink."""
LONGEST = 1e30
"""Flows are cut to this length, so that differences of two are still numbers."""


@njit(cache=True, nogil=True)
def prepare_field(flows: Flows, probability: Flows, threshold: np.float32, field: Flows, ends: Ends) -> int:
    """Steps by pixel, and the pixels that take part; returns how many.

    A fifth of `flows` (2, Y, X) goes into `field` (Y + 1, X + 1, 2), 0 outside; its last row and column are 0. `ends`
    (Y, X) gets each pixel's own place in raster order, -1 outside. Pixels whose numbers are not finite are outside.
    """
    rows, columns = probability.shape
    longest = np.float32(LONGEST)
    field[:] = 0.0
    count = 0
    for y in range(rows):
        for x in range(columns):
            dy, dx = flows[0, y, x], flows[1, y, x]
            if probability[y, x] > threshold and np.isfinite(dy) and np.isfinite(dx):
                field[y, x, 0] = min(longest, max(-longest, dy)) / np.float32(5.0)
                field[y, x, 1] = min(longest, max(-longest, dx)) / np.float32(5.0)
                ends[y, x] = y * columns + x
                count += 1
            else:
                ends[y, x] = -1
    return count


@njit(cache=True, nogil=True)
def _flow_at(field: Flows, here: int, pitch: int, fy: np.float32, fx: np.float32) -> tuple[np.float32, np.float32]:
    """Bilinear between the pixel at `here` and its neighbours; the order of operations is that of device.py."""
    below = here + pitch
    upper_y = field[here] + fx * (field[here + 2] - field[here])
    upper_x = field[here + 1] + fx * (field[here + 3] - field[here + 1])
    lower_y = field[below] + fx * (field[below + 2] - field[below])
    lower_x = field[below + 1] + fx * (field[below + 3] - field[below + 1])
    return upper_y + fy * (lower_y - upper_y), upper_x + fy * (lower_x - upper_x)


@njit(cache=True, nogil=True)
def _step(field: Flows, pitch: int, y: Coordinates, x: Coordinates, corner: tuple[np.float32, np.float32]) -> None:
    """Move all points one step, within the plane."""
    zero = np.float32(0.0)
    for i in range(y.size):
        row, column = np.int32(y[i]), np.int32(x[i])
        here = np.intp(row) * pitch + 2 * np.intp(column)
        dy, dx = _flow_at(field, here, pitch, y[i] - np.float32(row), x[i] - np.float32(column))
        y[i] = min(corner[0], max(zero, y[i] + dy))
        x[i] = min(corner[1], max(zero, x[i] + dx))


@njit(cache=True, nogil=True)
def _is_at_sink(field: Flows, pitch: int, y: np.float32, x: np.float32) -> bool:
    """Whether the flow, from here on as it changes here, pulls together and is zero between the same four pixels.

    Slow points are not all at rest: near a saddle they linger and then run off.
    """
    row, column = np.int32(y), np.int32(x)
    fy, fx = y - np.float32(row), x - np.float32(column)
    here = np.intp(row) * pitch + 2 * np.intp(column)
    below = here + pitch
    dy, dx = _flow_at(field, here, pitch, fy, fx)
    left_y, left_x = field[below] - field[here], field[below + 1] - field[here + 1]
    top_y, top_x = field[here + 2] - field[here], field[here + 3] - field[here + 1]
    yy = left_y + fx * ((field[below + 2] - field[here + 2]) - left_y)
    xy = left_x + fx * ((field[below + 3] - field[here + 3]) - left_x)
    yx = top_y + fy * ((field[below + 2] - field[below]) - top_y)
    xx = top_x + fy * ((field[below + 3] - field[below + 1]) - top_x)
    area = yy * xx - yx * xy
    off_y = fy * area - (dy * xx - dx * yx)
    off_x = fx * area - (dx * yy - dy * xy)
    return bool(yy + xx < 0 and area > 0 and 0 < off_y < area and 0 < off_x < area)


@njit(cache=True, nogil=True)
def _retire(field: Flows, work: Work, count: int, nearer: np.float32, ends: Ends) -> int:
    """Write the ends of points that have settled, of all if `nearer` is infinite; the others close ranks: how many."""
    y, x, from_y, from_x, place = work
    columns = ends.shape[1]
    left = 0
    for i in range(count):
        dy, dx = y[i] - from_y[i], x[i] - from_x[i]
        moved = dy * dy + dx * dx
        settled = moved == 0 or nearer == np.inf
        if settled or (moved < nearer and _is_at_sink(field, 2 * (columns + 1), y[i], x[i])):
            ends[place[i] // columns, place[i] % columns] = np.int32(y[i]) * columns + np.int32(x[i])
        else:
            y[left] = from_y[left] = y[i]
            x[left] = from_x[left] = x[i]
            place[left] = place[i]
            left += 1
    return left


@njit(cache=True, nogil=True)
def follow(field: Flows, steps: int, limits: Coordinates, work: Work, ends: Ends) -> None:
    """Replace each pixel's place in `ends` (Y, X) by the place where it ends after `steps` steps; -1 stays.

    `field` is what `prepare_field` makes. A point stops beside a sink when the square of the distance between its
    places at the two ends of window k (WINDOW_STEPS steps) is less than `limits[k]`, and anywhere when it is 0; the
    last limit is infinite. `work` is (y, x, from_y, from_x float32, place int32), one length each: so many points,
    neighbours, walk at a time.
    """
    rows, columns = ends.shape
    flat, pitch, targets = field.reshape(-1), 2 * (columns + 1), ends.reshape(-1)
    corner = (np.float32(rows - 1), np.float32(columns - 1))
    y, x, from_y, from_x, place = work
    at = 0
    while at < targets.size:
        count = 0
        while at < targets.size and count < place.size:
            if targets[at] >= 0:
                place[count] = at
                y[count] = from_y[count] = at // columns
                x[count] = from_x[count] = at % columns
                count += 1
            at += 1
        for window in range(limits.size):
            for _ in range(min(WINDOW_STEPS, steps - window * WINDOW_STEPS)):
                _step(flat, pitch, y[:count], x[:count], corner)
            count = _retire(flat, work, count, limits[window], ends)
