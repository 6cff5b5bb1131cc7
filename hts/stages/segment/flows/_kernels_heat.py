"""Heat that spreads inside objects: the flows that belong to labels, and how far given flows are from them.

From the pixel nearest its centroid heat enters an object, one unit a step; a step replaces every pixel of the object by
the mean of its 3 × 3 neighbourhood, everything outside the object being cold. The flow is the unit gradient after
twice the half-perimeter of the padded box in steps (Stringer et al. 2021; the numbers are those of cellpose 3).
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Labels = NDArray[np.int32]
Boxes = NDArray[np.int64]
Flows = NDArray[np.float32]
Floats = NDArray[np.float64]
Work = tuple[Floats, Floats, Floats]

TOP, BOTTOM, LEFT, RIGHT, AREA, SUM_Y, SUM_X = range(7)
"""Columns of a table of boxes: first row, row after the last, the same of columns, pixels, sums of coordinates."""
SCALE = 0.2
"""Networks are trained on five times the unit flow."""


@njit(cache=True, nogil=True)
def object_boxes(labels: Labels, boxes: Boxes) -> None:
    """Fill `boxes` (n + 1, 7) by number of object; those that are not there, and row 0, have no pixels."""
    rows, columns = labels.shape
    boxes[:] = 0
    boxes[:, TOP] = rows
    boxes[:, LEFT] = columns
    for y in range(rows):
        x = 0
        while x < columns:
            label = labels[y, x]
            first = x
            while x < columns and labels[y, x] == label:
                x += 1
            if label == 0:
                continue
            box = boxes[label]
            box[TOP] = min(box[TOP], y)
            box[BOTTOM] = y + 1
            box[LEFT] = min(box[LEFT], first)
            box[RIGHT] = max(box[RIGHT], x)
            box[AREA] += x - first
            box[SUM_Y] += y * (x - first)
            box[SUM_X] += (first + x - 1) * (x - first) // 2


@njit(cache=True, nogil=True)
def _place_object(labels: Labels, label: int, box: Boxes, weights: Floats) -> tuple[int, int]:
    """Write 1/9 where the object is, in its box with a frame of one; the pixel nearest the centroid, in that frame."""
    pitch = box[RIGHT] - box[LEFT] + 2
    middle_y = (box[SUM_Y] - box[AREA] * (box[TOP] - 1)) / box[AREA]
    middle_x = (box[SUM_X] - box[AREA] * (box[LEFT] - 1)) / box[AREA]
    least = np.inf
    nearest = (0, 0)
    weights[: pitch * (box[BOTTOM] - box[TOP] + 2) + 2] = 0.0
    for v in range(1, box[BOTTOM] - box[TOP] + 1):
        line = labels[box[TOP] + v - 1, box[LEFT] : box[RIGHT]]
        inner = weights[v * pitch + 2 :]
        for u in range(line.size):
            if line[u] == label:
                inner[u] = 1.0 / 9.0
                distance = (u + 1 - middle_x) ** 2 + (v - middle_y) ** 2
                if distance < least:
                    least = distance
                    nearest = (v, u + 1)
    return nearest


@njit(cache=True, nogil=True)
def _spread(heat: Floats, sums: Floats, weights: Floats, pitch: int, size: int) -> None:
    """One step over `size` pixels, whole rows: sums along the row, then of three rows, times the weight.

    The arrays begin one row above the first pixel; `heat` and `weights` carry one more element at either end.
    """
    middle, right = heat[1:], heat[2:]
    for i in range(size + 2 * pitch):
        sums[i] = (heat[i] + right[i]) + middle[i]
    here, below = sums[pitch:], sums[2 * pitch :]
    warmed, share = heat[pitch + 1 :], weights[pitch + 1 :]
    for i in range(size):
        warmed[i] = ((sums[i] + below[i]) + here[i]) * share[i]


@njit(cache=True, nogil=True)
def _heat_object(labels: Labels, label: int, box: Boxes, work: Work) -> int:
    """Spread heat in one object: `work` is (heat, sums, weights); the length of a row of them."""
    heat, sums, weights = work
    rows, pitch = int(box[BOTTOM] - box[TOP] + 2), int(box[RIGHT] - box[LEFT] + 2)
    y, x = _place_object(labels, label, box, weights)
    heat[: rows * pitch + 2] = 0.0
    for step in range(2 * (rows + pitch)):
        heat[y * pitch + x + 1] += 1.0
        first, last = max(1, y - step - 1), min(rows - 1, y + step + 2)  # no heat can be beyond
        start = (first - 1) * pitch
        _spread(heat[start:], sums[start:], weights[start:], pitch, (last - first) * pitch)
    return pitch


@njit(cache=True, nogil=True)
def _unit_gradient(heat: Floats, place: int, pitch: int) -> tuple[float, float]:
    dy = heat[place + pitch] - heat[place - pitch]
    dx = heat[place + 1] - heat[place - 1]
    length = 1e-60 + np.sqrt(dy * dy + dx * dx)
    return dy / length, dx / length


@njit(cache=True, nogil=True)
def flows_of_objects(labels: Labels, boxes: Boxes, work: Work, flows: Flows) -> None:
    """Write the unit flows of all objects into `flows` (2, Y, X); pixels of none stay as they are.

    `work` is (heat, sums, weights), each with room for the largest box with a frame of one, and two elements more.
    """
    for label in range(1, len(boxes)):
        box = boxes[label]
        if box[AREA] == 0:
            continue
        pitch = _heat_object(labels, label, box, work)
        for y in range(box[TOP], box[BOTTOM]):
            place = (y - box[TOP] + 1) * pitch + 2
            for x in range(box[LEFT], box[RIGHT]):
                if labels[y, x] == label:
                    flows[0, y, x], flows[1, y, x] = _unit_gradient(work[0], place + x - box[LEFT], pitch)


@njit(cache=True, nogil=True)
def flow_errors(labels: Labels, boxes: Boxes, work: Work, flows: Flows, errors: Floats) -> None:
    """Mean squared distance of a fifth of `flows` (2, Y, X) from the flows of its shape; `work`: see above."""
    errors[:] = 0.0
    for label in range(1, len(boxes)):
        box = boxes[label]
        if box[AREA] == 0:
            continue
        pitch = _heat_object(labels, label, box, work)
        total = 0.0
        for y in range(box[TOP], box[BOTTOM]):
            place = (y - box[TOP] + 1) * pitch + 2
            for x in range(box[LEFT], box[RIGHT]):
                if labels[y, x] == label:
                    dy, dx = _unit_gradient(work[0], place + x - box[LEFT], pitch)
                    total += (dy - SCALE * flows[0, y, x]) ** 2 + (dx - SCALE * flows[1, y, x]) ** 2
        errors[label] = total / box[AREA]
