"""Convex hulls and smallest enclosing circles of objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hts.stages.measure.shared import _kernels_circles as kernels_circles
from hts.stages.measure.shared import _kernels_hulls as kernels

if TYPE_CHECKING:
    from hts.stages.measure.shared.objects import Objects

Hulls = kernels.Hulls


def hulls_of(objects: Objects) -> Hulls:
    """The corners of the convex hull of each object's pixel centres; see :class:`Hulls`."""
    runs = objects.runs
    corners, counts = np.empty((2 * runs.row.size, 2), np.int32), np.zeros(objects.count, np.int64)
    objects.over(kernels.hull_corners, corners, counts)
    first = np.concatenate([[0], np.cumsum(counts)])
    place = np.arange(first[-1]) + np.repeat(2 * runs.first[:-1] - first[:-1], counts)
    row, column = np.ascontiguousarray(corners[place].T)
    return Hulls(first, row, column)


def circles_of(objects: Objects) -> NDArray[np.float64]:
    """(n, 3) row, column and radius of the smallest circle around each object's pixel centres; NaN without a pixel.

    Rows and columns are those of the whole field, so that a part of a field rounds as the whole does.
    """
    circles = np.full((objects.count, 3), np.nan)
    objects.over(kernels_circles.enclosing_circles, objects.hulls, objects.field.origin, circles)
    return circles
