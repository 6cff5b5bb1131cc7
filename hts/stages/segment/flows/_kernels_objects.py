"""Label images put in order: numbers without gaps, objects without holes."""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hts.stages.segment.flows._kernels_heat import AREA, BOTTOM, LEFT, RIGHT, TOP

Labels = NDArray[np.int32]
Boxes = NDArray[np.int64]


@njit(cache=True, nogil=True)
def renumber(labels: Labels, kept: NDArray[np.bool_], numbers: Labels) -> int:
    """Number the objects to keep 1…n in the order in which a raster scan meets them, in place; the others become 0.

    `kept` says so by old number, `numbers` is of the same length and gets the new ones. Returns n.
    """
    numbers[:] = 0
    flat = labels.reshape(-1)
    given = 0
    for i in range(flat.size):
        old = flat[i]
        if old == 0:
            continue
        if kept[old] and numbers[old] == 0:
            given += 1
            numbers[old] = given
        flat[i] = numbers[old]
    return given


@njit(cache=True, nogil=True)
def _mark_outside(solid: NDArray[np.uint8], rows: int, pitch: int, stack: Boxes) -> None:
    """Set to 2 whatever hangs together with the first pixel through side neighbours that are 0."""
    solid[0] = 2
    stack[0] = 0
    size = 1
    while size > 0:
        size -= 1
        place = stack[size]
        y, x = place // pitch, place % pitch
        for step, there in ((-pitch, y > 0), (pitch, y < rows - 1), (-1, x > 0), (1, x < pitch - 1)):
            if there and solid[place + step] == 0:
                solid[place + step] = 2
                stack[size] = place + step
                size += 1


@njit(cache=True, nogil=True)
def fill_holes(labels: Labels, boxes: Boxes, solid: NDArray[np.uint8], stack: Boxes) -> None:
    """Give each object, in the order of the numbers, all pixels that it encloses, whatever they were; in place.

    Enclosed is what no path over side neighbours connects with the frame of the object's box. `boxes` is what
    `object_boxes` makes; `solid` and `stack` have room for the largest box with a frame of one.
    """
    for label in range(1, len(boxes)):
        box = boxes[label]
        rows, pitch = box[BOTTOM] - box[TOP] + 2, box[RIGHT] - box[LEFT] + 2
        if box[AREA] < 4:  # nothing is enclosed by three
            continue
        solid[: rows * pitch] = 0
        for y in range(box[TOP], box[BOTTOM]):
            line = solid[(y - box[TOP] + 1) * pitch + 1 :]
            for x in range(box[LEFT], box[RIGHT]):
                if labels[y, x] == label:
                    line[x - box[LEFT]] = 1
        _mark_outside(solid, rows, pitch, stack)
        for y in range(box[TOP], box[BOTTOM]):
            line = solid[(y - box[TOP] + 1) * pitch + 1 :]
            for x in range(box[LEFT], box[RIGHT]):
                if line[x - box[LEFT]] == 0:
                    labels[y, x] = label
