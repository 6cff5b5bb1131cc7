"""Sums of products of powers of the pixels' coordinates, by run: no work a pixel."""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

POWERS = 4
"""Powers 0 … 3 of either coordinate."""


@njit(cache=True, nogil=True)
def _whole_sums(run_sums: Any, start: Any, stop: Any) -> None:
    """Sums of 1, x, x^2, x^3 over ``start <= x < stop``: differences of the sums from 0, exact up to 2**15 columns."""
    below, above = start * (start - 1) // 2, stop * (stop - 1) // 2
    run_sums[0] = stop - start
    run_sums[1] = above - below
    run_sums[2] = (above * (2 * stop - 1) - below * (2 * start - 1)) // 3
    run_sums[3] = above * above - below * below


@njit(cache=True, nogil=True)
def _centred_sums(run_sums: Any, middle: Any, length: Any) -> None:
    """The same about a centre at distance ``middle`` of the run's middle: nothing large is subtracted."""
    spread = length * (length * length - 1.0) / 12
    run_sums[0] = length
    run_sums[1] = length * middle
    run_sums[2] = length * middle * middle + spread
    run_sums[3] = (length * middle * middle + 3 * spread) * middle


@njit(cache=True, nogil=True)
def _add_run(sums: Any, y: Any, run_sums: Any) -> None:
    """Add y^p times the sums of a run."""
    power = 1.0
    for p in range(POWERS):
        for q in range(POWERS):
            sums[p, q] += power * run_sums[q]
        power *= y


@njit(cache=True, nogil=True)
def power_sums(first: Any, stop: Any, runs: Any, raw: Any, central: Any) -> None:
    """Sum y^p x^q, p and q to 3, over the pixels of objects ``first <= i < stop``.

    Parameters
    ----------
    raw, central : (n, 4, 4) float64, from the first row and column of the object and from its mean pixel;
        objects without a pixel are left alone.
    """
    whole, centred = np.empty(POWERS, np.int64), np.empty(POWERS)
    for i in range(first, stop):
        begin, end = runs.first[i], runs.first[i + 1]
        if begin == end:
            continue
        top, left = np.int64(runs.row[begin]), np.int64(runs.start[begin])
        for run in range(begin, end):
            left = min(left, np.int64(runs.start[run]))
        raw[i], central[i] = 0, 0
        for run in range(begin, end):
            _whole_sums(whole, runs.start[run] - left, runs.stop[run] - left)
            _add_run(raw[i], np.float64(runs.row[run] - top), whole)
        row, column = raw[i, 1, 0] / raw[i, 0, 0], raw[i, 0, 1] / raw[i, 0, 0]
        for run in range(begin, end):
            middle = (runs.start[run] + runs.stop[run] - 1 - 2 * left) / 2 - column
            _centred_sums(centred, middle, np.float64(runs.stop[run] - runs.start[run]))
            _add_run(central[i], runs.row[run] - top - row, centred)
