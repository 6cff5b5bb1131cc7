"""Sums over objects of products of Chebyshev polynomials of the pixels' place in the enclosing circle.

Inside the circle ``y`` and ``x`` go from -1 to 1, and a Zernike polynomial up to degree d is a combination of the
(d + 1)(d + 2) / 2 products T_q(y) T_p(x), p + q <= d. A product is separable: first every column of an object's box
sums value times T_q(y), which is one multiplication and addition a pixel and q in a loop over neighbouring columns,
then the columns are summed times T_p(x). Of the shape (all values 1) a run adds T_q(y) where it begins and takes it
away where it ends, and the columns are the running sums.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray


class Discs(NamedTuple):
    """The enclosing circles of objects 0 … n - 1, and who may lie on them.

    circles : (n, 3) float64 row, column and radius.
    first, row, column : corners of the hulls, see :class:`Hulls`.
    origin : row and column to add to pixels before comparing them with circles.
    degree : highest degree.
    """

    circles: NDArray[np.float64]
    first: NDArray[np.int64]
    row: NDArray[np.int32]
    column: NDArray[np.int32]
    origin: tuple[int, int]
    degree: int


class _Box(NamedTuple):
    """Working memory for the largest object: Chebyshev polynomials by row and by column, and sums by column."""

    by_row: NDArray[np.float64]
    by_column: NDArray[np.float64]
    sums: NDArray[np.float64]
    values: NDArray[np.float64]


@njit(cache=True, nogil=True)
def _columns(runs: Any, i: Any) -> Any:
    """First column and number of columns of an object."""
    low, high = runs.start[runs.first[i]], runs.stop[runs.first[i]]
    for run in range(runs.first[i], runs.first[i + 1]):
        low, high = min(low, runs.start[run]), max(high, runs.stop[run])
    return np.int64(low), np.int64(high - low)


@njit(cache=True, nogil=True)
def _rows(runs: Any, i: Any) -> Any:
    """First row and number of rows of an object."""
    top = np.int64(runs.row[runs.first[i]])
    return top, np.int64(runs.row[runs.first[i + 1] - 1]) + 1 - top


@njit(cache=True, nogil=True)
def _boxes(first: Any, stop: Any, runs: Any, degree: Any) -> Any:
    """Working memory for objects ``first <= i < stop``."""
    height = width = 0
    for i in range(first, stop):
        if runs.first[i] < runs.first[i + 1]:
            height = max(height, _rows(runs, i)[1])
            width = max(width, _columns(runs, i)[1])
    return _Box(
        np.empty((height, degree + 1)),
        np.empty((degree + 1, width)),
        np.empty((degree + 1, width + 1)),
        np.empty(width),
    )


@njit(cache=True, nogil=True)
def _tabulate(runs: Any, i: Any, discs: Any, box: Any) -> Any:
    """T_q of the rows and T_p of the columns of an object; first row, first column, number of columns."""
    top, height = _rows(runs, i)
    left, width = _columns(runs, i)
    row, column, radius = discs.circles[i]
    by_row, by_column = box.by_row, box.by_column
    for k in range(height):
        by_row[k, 0] = 1.0
        if discs.degree > 0:
            by_row[k, 1] = (top + k + discs.origin[0] - row) / radius
        for q in range(2, discs.degree + 1):
            by_row[k, q] = 2 * by_row[k, 1] * by_row[k, q - 1] - by_row[k, q - 2]
    for k in range(width):
        by_column[0, k] = 1.0
        if discs.degree > 0:
            by_column[1, k] = (left + k + discs.origin[1] - column) / radius
    for p in range(2, discs.degree + 1):
        for k in range(width):
            by_column[p, k] = 2 * by_column[1, k] * by_column[p - 1, k] - by_column[p - 2, k]
    return top, left, width


@njit(cache=True, nogil=True)
def _outside(discs: Any, i: Any, corner: Any) -> Any:
    """Whether rounding puts a corner of the hull outside the circle; the order of operations is centrosome's."""
    y = (discs.row[corner] + discs.origin[0] - discs.circles[i, 0]) / discs.circles[i, 2]
    x = (discs.column[corner] + discs.origin[1] - discs.circles[i, 1]) / discs.circles[i, 2]
    return x * x + y * y > 1


@njit(cache=True, nogil=True)
def _value_at(runs: Any, i: Any, values: Any, row: Any, column: Any) -> Any:
    """The grey level of one pixel of an object."""
    place = runs.offset[i]
    for run in range(runs.first[i], runs.first[i + 1]):
        if runs.row[run] == row and runs.start[run] <= column < runs.stop[run]:
            return np.float64(values[place + column - runs.start[run]])
        place += runs.stop[run] - runs.start[run]
    return 0.0


@njit(cache=True, nogil=True)
def _combine(box: Any, width: Any, degree: Any, found: Any) -> None:
    """Sum the columns times T_p: the products with q = 0, then q = 1, …"""
    k = 0
    for q in range(degree + 1):
        for p in range(degree + 1 - q):
            total = 0.0
            for x in range(width):
                total += box.sums[q, x] * box.by_column[p, x]
            found[k] = total
            k += 1


@njit(cache=True, nogil=True)
def disc_sums(first: Any, stop: Any, runs: Any, discs: Discs, found: Any) -> None:
    """Sum the products T_q(y) T_p(x) over the pixels of objects ``first <= i < stop`` that are inside their circles.

    Parameters
    ----------
    found : (n, K) float64, K = (degree + 1)(degree + 2) / 2; objects of radius 0, and without a pixel, are left alone.
    """
    box = _boxes(first, stop, runs, discs.degree)
    for i in range(first, stop):
        if not discs.circles[i, 2] > 0:
            continue
        top, left, width = _tabulate(runs, i, discs, box)
        box.sums[:, : width + 1] = 0
        for run in range(runs.first[i], runs.first[i + 1]):
            here = box.by_row[runs.row[run] - top]
            for q in range(discs.degree + 1):
                box.sums[q, runs.start[run] - left] += here[q]
                box.sums[q, runs.stop[run] - left] -= here[q]
        for q in range(discs.degree + 1):
            for x in range(1, width):
                box.sums[q, x] += box.sums[q, x - 1]
        for corner in range(discs.first[i], discs.first[i + 1]):
            if _outside(discs, i, corner):
                box.sums[:, discs.column[corner] - left] -= box.by_row[discs.row[corner] - top]
        _combine(box, width, discs.degree, found[i])


@njit(cache=True, nogil=True)
def weighted_disc_sums(first: Any, stop: Any, runs: Any, discs: Discs, values: Any, found: Any) -> None:
    """The same with every pixel times its grey level.

    Parameters
    ----------
    values : (N,) uint16 or float32, object by object.
    found : (n, K) float64.
    """
    box = _boxes(first, stop, runs, discs.degree)
    for i in range(first, stop):
        if not discs.circles[i, 2] > 0:
            continue
        top, left, width = _tabulate(runs, i, discs, box)
        box.sums[:, :width] = 0
        place = runs.offset[i]
        for run in range(runs.first[i], runs.first[i + 1]):
            length = np.int64(runs.stop[run] - runs.start[run])
            levels = box.values[:length]
            for x in range(length):
                levels[x] = values[place + x]
            place += length
            begin = runs.start[run] - left
            for q in range(discs.degree + 1):
                factor = box.by_row[runs.row[run] - top, q]
                into = box.sums[q, begin : begin + length]
                for x in range(length):
                    into[x] += factor * levels[x]
        for corner in range(discs.first[i], discs.first[i + 1]):
            if _outside(discs, i, corner):
                level = _value_at(runs, i, values, discs.row[corner], discs.column[corner])
                box.sums[:, discs.column[corner] - left] -= level * box.by_row[discs.row[corner] - top]
        _combine(box, width, discs.degree, found[i])
