"""Sums over the pixels of an object that two channels are compared by: one pass for each pair of channels."""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

# Last axis of ``Joint.pairs``. BOTH_…: over the pixels that are bright in both channels.
PRODUCTS, BOTH_A, BOTH_B, BOTH_AA, BOTH_BB, BOTH_AB, RANKED_A, RANKED_B = range(8)
COLUMNS = 8


class Joint(NamedTuple):
    """What a pass fills; row ``i`` belongs to object ``i``; int64, or float64 for images of floats.

    bright : (n, C) sum of the grey levels from the channel's threshold on.
    pairs : (n, P, 8) sums for each pair of channels. RANKED_… are of grey levels times (R - difference of the two
        ranks), where R is the larger number of different grey levels.
    """

    bright: NDArray[Any]
    pairs: NDArray[Any]


class Compared(NamedTuple):
    """What is compared.

    values : (C, N) uint16 or float32.
    ranks : (C, N) uint16 or uint32.
    distinct : (n, C) int64, number of different grey levels.
    threshold : (n, C) int64 or float64, the lowest grey level that is bright.
    shift : (n, C) int64 zeros or float64, subtracted from the grey levels of PRODUCTS.
    """

    values: NDArray[Any]
    ranks: NDArray[Any]
    distinct: NDArray[np.int64]
    threshold: NDArray[Any]
    shift: NDArray[Any]


@njit(cache=True, nogil=True)
def _bright(values: Any, threshold: Any, number: Any) -> Any:
    total = number(0)
    for k in range(values.size):
        level = number(values[k])
        total += level if level >= threshold else number(0)
    return total


@njit(cache=True, nogil=True)
def correlate_integers(first: Any, stop: Any, runs: Any, pairs: Any, compared: Compared, joint: Joint) -> None:
    """Fill ``joint`` of objects ``first <= i < stop``; the sums are exact.

    Parameters
    ----------
    pairs : (P, 2) int64, channels.
    compared : see :class:`Compared`; grey levels and ranks are uint16, which keeps every product within 32 bits.
    """
    values, ranks = compared.values, compared.ranks
    for i in range(first, stop):
        begin, end = runs.offset[i], runs.offset[i + 1]
        for channel in range(values.shape[0]):
            joint.bright[i, channel] = _bright(values[channel, begin:end], compared.threshold[i, channel], np.int64)
        for pair in range(pairs.shape[0]):
            a, b = pairs[pair]
            a_from, b_from = compared.threshold[i, a], compared.threshold[i, b]
            levels = max(compared.distinct[i, a], compared.distinct[i, b])
            products = both_a = both_b = both_aa = both_bb = both_ab = ranked_a = ranked_b = np.int64(0)
            for k in range(begin, end):
                one, two = np.int64(values[a, k]), np.int64(values[b, k])
                weight = levels - abs(np.int64(ranks[a, k]) - np.int64(ranks[b, k]))
                products += one * two
                both = (one >= a_from) & (two >= b_from)
                one, two = one if both else np.int64(0), two if both else np.int64(0)
                both_a += one
                both_b += two
                both_aa += one * one
                both_bb += two * two
                both_ab += one * two
                ranked_a += one * weight
                ranked_b += two * weight
            joint.pairs[i, pair] = (products, both_a, both_b, both_aa, both_bb, both_ab, ranked_a, ranked_b)


@njit(cache=True, nogil=True)
def correlate_floats(first: Any, stop: Any, runs: Any, pairs: Any, compared: Compared, joint: Joint) -> None:
    """As :func:`correlate_integers`, for grey levels of float32 and ranks of 32 bits."""
    values, ranks = compared.values, compared.ranks
    for i in range(first, stop):
        begin, end = runs.offset[i], runs.offset[i + 1]
        for channel in range(values.shape[0]):
            joint.bright[i, channel] = _bright(values[channel, begin:end], compared.threshold[i, channel], np.float64)
        for pair in range(pairs.shape[0]):
            a, b = pairs[pair]
            a_from, b_from = compared.threshold[i, a], compared.threshold[i, b]
            a_shift, b_shift = compared.shift[i, a], compared.shift[i, b]
            levels = max(compared.distinct[i, a], compared.distinct[i, b])
            products = both_a = both_b = both_aa = both_bb = both_ab = ranked_a = ranked_b = np.float64(0)
            for k in range(begin, end):
                one, two = np.float64(values[a, k]), np.float64(values[b, k])
                products += (one - a_shift) * (two - b_shift)
                if one >= a_from and two >= b_from:
                    weight = np.float64(levels - abs(np.int64(ranks[a, k]) - np.int64(ranks[b, k])))
                    both_a += one
                    both_b += two
                    both_aa += one * one
                    both_bb += two * two
                    both_ab += one * two
                    ranked_a += one * weight
                    ranked_b += two * weight
            joint.pairs[i, pair] = (products, both_a, both_b, both_aa, both_bb, both_ab, ranked_a, ranked_b)
