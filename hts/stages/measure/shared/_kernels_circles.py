"""Smallest circles around objects, by Chrystal's method on the corners of their convex hulls.

Begin with one side of the hull. The corner that sees it under the smallest angle decides: if the angle is right or
obtuse, the side is a diameter; if the triangle is acute, its circumcircle is the circle; else that corner replaces
the end with the obtuse angle (Chrystal, Proceedings of the Edinburgh Mathematical Society 3, 1884).

The centre is one division of exact integers, whatever three corners lead to it. The radius is the rounded distance of
one of them, and whether a corner on the circle counts as inside it is decided by that rounding. To decide as
CellProfiler does, the corners are taken in the order and the angles in the arithmetic of centrosome.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def _angle(corner: Any, first: Any, second: Any) -> Any:
    """The angle at ``corner`` between the directions to two other points."""
    u_row, u_column = first[0] - corner[0], first[1] - corner[1]
    v_row, v_column = second[0] - corner[0], second[1] - corner[1]
    lengths = (u_row * u_row + u_column * u_column) * (v_row * v_row + v_column * v_column)
    cosine = (u_row * v_row + u_column * v_column) / math.sqrt(lengths)
    return math.acos(min(max(cosine, -1.0), 1.0))


@njit(cache=True, nogil=True)
def _nearest_view(points: Any, size: Any, s0: Any, s1: Any) -> Any:
    """The corner that sees ``s0`` and ``s1`` under the smallest angle, with the angles there, at ``s0`` and ``s1``."""
    nearest = -1
    smallest = at_0 = at_1 = np.inf
    for v in range(size):
        if v in (s0, s1):
            continue
        angle_1 = _angle(points[s1], points[s0], points[v])
        angle_0 = _angle(points[s0], points[s1], points[v])
        angle = np.pi - angle_1 - angle_0
        if angle < smallest:
            nearest, smallest, at_0, at_1 = v, angle, angle_0, angle_1
    return nearest, smallest, at_0, at_1


@njit(cache=True, nogil=True)
def _diameter(a: Any, b: Any, circle: Any) -> None:
    circle[0], circle[1] = (a[0] + b[0]) / 2, (a[1] + b[1]) / 2
    circle[2] = math.sqrt((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) / 2


@njit(cache=True, nogil=True)
def _circumcircle(a: Any, b: Any, c: Any, circle: Any) -> None:
    """The circle through three points of integer coordinates; its radius is the distance of the first."""
    double_area = 2 * (a[1] * (b[0] - c[0]) + b[1] * (c[0] - a[0]) + c[1] * (a[0] - b[0]))
    aa, bb, cc = a[0] * a[0] + a[1] * a[1], b[0] * b[0] + b[1] * b[1], c[0] * c[0] + c[1] * c[1]
    circle[1] = (aa * (b[0] - c[0]) + bb * (c[0] - a[0]) + cc * (a[0] - b[0])) / double_area
    circle[0] = (aa * (c[1] - b[1]) + bb * (a[1] - c[1]) + cc * (b[1] - a[1])) / double_area
    row, column = a[0] - circle[0], a[1] - circle[1]
    circle[2] = math.sqrt(row * row + column * column)


@njit(cache=True, nogil=True)
def _enclose(points: Any, size: Any, circle: Any) -> None:
    """The circle of a hull of three corners or more; every step makes it smaller, so that the steps end."""
    s0, s1 = 0, 1
    for _ in range(size * size):
        v, angle, at_0, at_1 = _nearest_view(points, size, s0, s1)
        if angle >= np.pi / 2:
            _diameter(points[s0], points[s1], circle)
            return
        if at_0 <= np.pi / 2 and at_1 <= np.pi / 2:
            _circumcircle(points[s0], points[s1], points[v], circle)
            return
        if at_0 > np.pi / 2:
            s0 = v
        else:
            s1 = v


@njit(cache=True, nogil=True)
def enclosing_circles(first: Any, stop: Any, runs: Any, hulls: Any, origin: Any, circles: Any) -> None:
    """Write row, column and radius for objects ``first <= i < stop``; one pixel has radius 0.

    Parameters
    ----------
    origin : row and column to add.
    circles : (n, 3) float64; objects without a corner are left alone.
    """
    most = 0
    for i in range(first, stop):
        most = max(most, hulls.first[i + 1] - hulls.first[i])
    points = np.empty((most, 2), np.float64)
    for i in range(first, stop):
        begin = hulls.first[i]
        size = hulls.first[i + 1] - begin
        for k in range(size):
            points[k, 0] = hulls.row[begin + k] + origin[0]
            points[k, 1] = hulls.column[begin + k] + origin[1]
        if size > 2:
            _enclose(points, size, circles[i])
        elif size > 0:
            _diameter(points[0], points[size - 1], circles[i])
