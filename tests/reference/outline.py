"""Hulls, circles, outlines, holes, radii and moments of objects, the slow obvious way: pixel by pixel."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations
from math import dist
from typing import Any

import numpy as np
from numpy.polynomial.chebyshev import chebval
from numpy.typing import NDArray
from scipy import ndimage

from hts.stages.measure.families import _kernels_outline as kernels
from hts.stages.measure.families._kernels_power_sums import power_sums
from hts.stages.measure.shared import _kernels_zernike as kernels_zernike
from hts.stages.measure.shared.objects import FieldData, Objects
from hts.stages.measure.shared.runs import read_only
from tests.reference.distance import of_pixels
from tests.reference.rows import KernelRow

Labels = NDArray[np.int32]
Point = tuple[int, int]
DEGREE = 4


def objects_of(
    labels: Labels, count: int, image: NDArray[Any] | None = None, origin: tuple[int, int] = (3, 5)
) -> Objects:
    """A field of which three threads share the work, somewhere in a larger one."""
    images = np.zeros((0, *labels.shape), np.uint16) if image is None else image[None]
    shape = (labels.shape[0] + 50, labels.shape[1] + 70)
    field = FieldData({"cells": labels}, images, ("dna",) * len(images), count, origin, shape, (1.0,) * len(images), 3)
    return field.sets["cells"]


def pixels_of(labels: Labels, count: int) -> list[list[Point]]:
    """(row, column) of each object's pixels."""
    return [[(int(y), int(x)) for y, x in np.argwhere(labels == number)] for number in range(1, count + 1)]


def side_of(a: Point, b: Point, c: Point) -> int:
    """Twice the area of a triangle; positive when ``c`` is to the right of the way from ``a`` to ``b``."""
    return (b[1] - a[1]) * (c[0] - a[0]) - (b[0] - a[0]) * (c[1] - a[1])


def wrapped(points: list[Point]) -> list[Point]:
    """Corners of the hull by gift wrapping, by the top, from the leftmost, upper one."""
    if not points:
        return []
    ring = [min(points, key=lambda point: (point[1], point[0]))]
    while len(set(points)) > 1:
        here = ring[-1]
        following = next(point for point in points if point != here)
        for point in points:
            turn = side_of(here, following, point)
            if turn < 0 or (turn == 0 and dist(here, point) > dist(here, following)):
                following = point
        if following == ring[0]:
            break
        ring.append(following)
    return ring


def corners_found(labels: Labels, count: int) -> list[list[Point]]:
    hulls = objects_of(labels, count).hulls
    corners = list(zip(hulls.row.tolist(), hulls.column.tolist(), strict=True))
    return [corners[hulls.first[i] : hulls.first[i + 1]] for i in range(count)]


def corners(labels: Labels, count: int) -> list[list[Point]]:
    return [wrapped(points) for points in pixels_of(labels, count)]


def circles_found(labels: Labels, count: int) -> NDArray[np.float64]:
    return objects_of(labels, count).circles


def circles(labels: Labels, count: int) -> NDArray[np.float64]:
    """The smallest of all circles through two or three corners that hold all."""
    found = np.full((count, 3), np.nan)
    for i, points in enumerate(corners(labels, count)):
        candidates = [(*map(float, points[0]), 0.0)] if len(points) == 1 else []
        for a, b in combinations(points, 2):
            candidates.append(((a[0] + b[0]) / 2, (a[1] + b[1]) / 2, dist(a, b) / 2))
        for a, b, c in combinations(points, 3):
            matrix = np.array([[b[0] - a[0], b[1] - a[1]], [c[0] - a[0], c[1] - a[1]]], float)
            row, column = np.linalg.solve(matrix, (matrix**2).sum(axis=1) / 2)
            candidates.append((row + a[0], column + a[1], float(np.hypot(row, column))))
        holding = [(r, y, x) for y, x, r in candidates if all(dist((y, x), p) <= r + 1e-9 for p in points)]
        if holding:
            radius, row, column = min(holding)
            found[i] = row + 3, column + 5, radius
    return found


def disc_sums_found(labels: Labels, image: NDArray[Any] | None, count: int) -> NDArray[np.float64]:
    objects = objects_of(labels, count, image)
    hulls, found = objects.hulls, np.full((count, (DEGREE + 1) * (DEGREE + 2) // 2), np.nan)
    discs = kernels_zernike.Discs(objects.circles, hulls.first, hulls.row, hulls.column, objects.field.origin, DEGREE)
    if image is None:
        objects.over(kernels_zernike.disc_sums, discs, found)
    else:
        objects.over(kernels_zernike.weighted_disc_sums, discs, read_only(objects.values[0]), found)
    return found


def disc_sums(labels: Labels, image: NDArray[Any] | None, count: int) -> NDArray[np.float64]:
    """Both twins: pixels count 1 without an image."""
    found = []
    for circle, points in zip(circles_found(labels, count), pixels_of(labels, count), strict=True):
        row, column, radius = circle
        sums = np.zeros((DEGREE + 1, DEGREE + 1))
        for point in points if radius > 0 else []:
            y, x = (point[0] + 3 - row) / radius, (point[1] + 5 - column) / radius
            if x * x + y * y <= 1:
                weight = 1.0 if image is None else float(image[point])
                one = np.eye(DEGREE + 1)
                sums += weight * np.outer(chebval(y, one), chebval(x, one))
        kept = [sums[q, p] for q in range(DEGREE + 1) for p in range(DEGREE + 1 - q)]
        found.append(kept if radius > 0 else [np.nan] * len(kept))
    return np.array(found).reshape(count, -1)


def power_sums_found(labels: Labels, count: int) -> NDArray[np.float64]:
    """(2, n, 4, 4) about the first row and column, and about the mean pixel."""
    found = np.full((2, count, 4, 4), np.nan)
    objects_of(labels, count).over(power_sums, *found)
    return found


def power_sums_exact(labels: Labels, count: int) -> NDArray[np.float64]:
    """The twin, in fractions."""
    found = np.full((2, count, 4, 4), np.nan)
    for i, points in enumerate(pixels_of(labels, count)):
        if points:
            first = [Fraction(min(each)) for each in zip(*points, strict=True)]
            mean = [Fraction(sum(each), len(points)) for each in zip(*points, strict=True)]
            for part, (row, column) in zip(found, (first, mean), strict=True):
                for p in range(4):
                    for q in range(4):
                        part[i, p, q] = sum((y - row) ** p * (x - column) ** q for y, x in points)
    return found


def neighbourhoods_found(labels: Labels, count: int) -> NDArray[np.int64]:
    found = np.zeros((count, kernels.NEIGHBOURHOODS), np.int64)
    objects_of(labels, count).over(kernels.neighbourhoods, found)
    return found


def neighbourhoods(labels: Labels, count: int) -> NDArray[np.int64]:
    found = np.zeros((count, kernels.NEIGHBOURHOODS), np.int64)
    for i in range(count):
        mask = np.pad(labels == i + 1, 1).astype(int)
        parts = (
            (kernels.UPPER_LEFT, mask[:-1, :-1]),
            (kernels.UPPER_RIGHT, mask[:-1, 1:]),
            (kernels.LOWER_LEFT, mask[1:, :-1]),
            (kernels.LOWER_RIGHT, mask[1:, 1:]),
        )
        kinds = sum(number * part for number, part in parts)
        found[i] = np.bincount(np.ravel(kinds), minlength=kernels.NEIGHBOURHOODS)
        found[i, 0] = 0
    return found


def hole_areas_found(labels: Labels, count: int) -> NDArray[np.int64]:
    found = np.zeros(count, np.int64)
    objects_of(labels, count).over(kernels.hole_areas, found)
    return found


def hole_areas(labels: Labels, count: int) -> NDArray[np.int64]:
    """Background pieces of the padded mask, connected over corners, other than the one of its first pixel."""
    found = []
    for number in range(1, count + 1):
        pieces, _ = ndimage.label(np.pad(labels != number, 1, constant_values=True), np.ones((3, 3)))
        found.append(np.count_nonzero((pieces > 0) & (pieces != pieces[0, 0])))
    return np.array(found, np.int64)


def hull_sizes_found(labels: Labels, count: int) -> NDArray[np.float64]:
    objects, found = objects_of(labels, count), np.full((count, 4), np.nan)
    objects.over(kernels.hull_sizes, objects.hulls, found)
    return found


def hull_sizes(labels: Labels, count: int) -> NDArray[np.float64]:
    """Pixels in the hull of the middles of all pixels' edges, in halves of pixels; lengths from all corners."""
    found = np.full((count, 4), np.nan)
    for i, points in enumerate(pixels_of(labels, count)):
        if not points:
            continue
        halves = [(2 * y + dy, 2 * x + dx) for y, x in points for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0))]
        outer, ring = _sides(wrapped(halves)), wrapped(points)
        inside = [
            all(side_of(a, b, (2 * int(y), 2 * int(x))) >= 0 for a, b in outer) for y, x in np.ndindex(labels.shape)
        ]
        sides = _sides(ring) if len(ring) > 1 else []
        widths = [max(abs(side_of(a, b, c)) for c in ring) / dist(a, b) for a, b in sides]
        lengths = [dist(a, b) for a in ring for b in ring]
        found[i] = sum(inside), sum(dist(a, b) for a, b in sides), min(widths, default=0), max(lengths)
    return found


def _sides(ring: list[Point]) -> list[tuple[Point, Point]]:
    return list(zip(ring, ring[1:] + ring[:1], strict=True))


def radii_found(labels: Labels, count: int) -> NDArray[np.float64]:
    objects, found = objects_of(labels, count), np.full((count, 3), np.nan)
    objects.over(kernels.radii, objects.edge_distance, found)
    return found


def radii(labels: Labels, count: int) -> NDArray[np.float64]:
    areas = [np.count_nonzero(labels == number) for number in range(1, count + 1)]
    parts = np.split(np.sqrt(of_pixels(labels, count)), np.cumsum(areas)[:-1])
    return np.array([[p.max(), p.mean(), np.median(p)] if p.size else [np.nan] * 3 for p in parts]).reshape(count, 3)


def _row(name: str, call: Any, twin: Any, *dtypes: type[np.generic]) -> KernelRow:
    return KernelRow(f"hts.stages.measure.{name}", call, twin, "none", twin, dtypes or (np.int32,))


KERNELS = (
    _row("shared._kernels_hulls.hull_corners", corners_found, corners),
    _row("shared._kernels_circles.enclosing_circles", circles_found, circles),
    _row("families._kernels_power_sums.power_sums", power_sums_found, power_sums_exact),
    _row("families._kernels_outline.neighbourhoods", neighbourhoods_found, neighbourhoods),
    _row("families._kernels_outline.hole_areas", hole_areas_found, hole_areas),
    _row("families._kernels_outline.hull_sizes", hull_sizes_found, hull_sizes),
    _row("families._kernels_outline.radii", radii_found, radii),
    _row("shared._kernels_zernike.disc_sums", disc_sums_found, disc_sums),
    _row("shared._kernels_zernike.weighted_disc_sums", disc_sums_found, disc_sums, np.uint16, np.float32),
)
