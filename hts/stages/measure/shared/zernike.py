"""Zernike moments of objects in their smallest enclosing circles.

The polynomial of degree n and order m is R_nm(r) z^m with z = y + ix, as CellProfiler has it (Boland et al., Cytometry
33, 1998, with rows and columns exchanged). Rows and columns are scaled by centre and radius of the circle.
"""

from __future__ import annotations

from functools import cache
from math import comb, factorial
from typing import TYPE_CHECKING

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from hts.stages.measure.shared import _kernels_zernike as kernels
from hts.stages.measure.shared.runs import read_only

if TYPE_CHECKING:
    from hts.stages.measure.shared.objects import Objects

MAX_DEGREE = 20
"""Up to here the coefficients of the polynomials are exact in double precision."""


def zernike_indices(degree: int) -> tuple[tuple[int, int], ...]:
    """Degree n and order m of the moments up to a degree: m <= n, both even or both odd."""
    return tuple((n, m) for n in range(degree + 1) for m in range(n % 2, n + 1, 2))


def shape_moments(objects: Objects, degree: int) -> NDArray[np.complex128]:
    """(n, Z) sums of the polynomials over the pixels of each object; NaN for one pixel or none.

    Corners of an object that rounding puts outside its circle do not count, as in CellProfiler.
    """
    sums = np.full((objects.count, _products(degree)), np.nan)
    objects.over(kernels.disc_sums, _discs(objects, degree), sums)
    return _moments(sums, degree)


def weighted_moments(objects: Objects, channel: int, degree: int) -> NDArray[np.complex128]:
    """(n, Z) the same with pixels times their grey levels; NaN as well where a pixel is not finite."""
    sums = np.full((objects.count, _products(degree)), np.nan)
    values = read_only(objects.values[channel])
    objects.over(kernels.weighted_disc_sums, _discs(objects, degree), values, sums)
    sums[~objects.finite[:, channel]] = np.nan
    return _moments(sums, degree)


def _discs(objects: Objects, degree: int) -> kernels.Discs:
    hulls = objects.hulls
    return kernels.Discs(objects.circles, hulls.first, hulls.row, hulls.column, objects.field.origin, degree)


def _products(degree: int) -> int:
    return (degree + 1) * (degree + 2) // 2


def _moments(sums: NDArray[np.float64], degree: int) -> NDArray[np.complex128]:
    matrix = zernike_matrix(degree)
    moments = np.empty((len(sums), len(matrix)), np.complex128)
    moments.real, moments.imag = sums @ matrix.real.T, sums @ matrix.imag.T
    return moments


@cache
def zernike_matrix(degree: int) -> NDArray[np.complex128]:
    """(Z, K) the polynomials as combinations of T_q(y) T_p(x), in the kernels' order of the products."""
    powers = np.zeros((degree + 1, degree + 1))  # row k: x^k in Chebyshev polynomials
    powers[0, 0] = 1.0
    for k in range(degree):
        powers[k + 1, : k + 2] = chebyshev.chebmulx(powers[k, : k + 1])  # type: ignore[no-untyped-call]
    rows = []
    for n, m in zernike_indices(degree):
        polynomial = powers.T @ _polynomial(n, m, degree) @ powers
        rows.append(np.concatenate([polynomial[q, : degree + 1 - q] for q in range(degree + 1)]))
    return np.array(rows)


def _polynomial(n: int, m: int, degree: int) -> NDArray[np.complex128]:
    """(degree + 1, degree + 1) coefficients of y^a x^b."""
    found = np.zeros((degree + 1, degree + 1), np.complex128)
    for k in range((n - m) // 2 + 1):
        radial = (-1) ** k * factorial(n - k)
        radial //= factorial(k) * factorial((n + m) // 2 - k) * factorial((n - m) // 2 - k)
        squares = (n - m) // 2 - k  # r^(n - 2k) = (y^2 + x^2)^squares |z|^m
        for i in range(squares + 1):
            for j in range(m + 1):
                term = radial * comb(squares, i) * comb(m, j) * 1j ** (j % 4)
                found[2 * i + m - j, 2 * (squares - i) + j] += term
    return found
