"""Grey levels of objects in ascending order: ranks, quartiles and median absolute deviation from one sort.

Each object becomes a table of ascending grey levels with the number of its pixels up to each level. Whole numbers
whose range is not much larger than the object are counted; anything else is sorted as keys of 64 bits, the grey level
above the place of the pixel. Every quantile is then a binary search.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

LOWER, MEDIAN, UPPER, MAD = range(4)
STATISTICS = 4

SPARSE = 8
"""An object whose range of grey levels is more than so many times its pixels is sorted, not counted."""

SMALL = 48
"""Up to so many pixels insertion sort is faster than radix sort."""


class Order(NamedTuple):
    """What a pass fills; row ``i`` belongs to object ``i``, C channels, N pixels of all objects.

    distinct : (n, C) int64, number of different grey levels.
    statistics : (n, C, 2, 4) float64: quartiles and MAD, at positions q (n - 1) and at positions q n.
    ranks : (C, N) uint16 or uint32, rank of each pixel's grey level among those of its object; (C, 0) when not wanted.
    """

    distinct: NDArray[np.int64]
    statistics: NDArray[np.float64]
    ranks: NDArray[Any]


@njit(cache=True, nogil=True)
def _largest(first: Any, stop: Any, runs: Any) -> Any:
    """Pixels of the largest of the objects."""
    largest = 1
    for i in range(first, stop):
        largest = max(largest, runs.offset[i + 1] - runs.offset[i])
    return largest


@njit(cache=True, nogil=True)
def sort_keys(keys: Any, spare: Any, low_bit: Any) -> None:
    """Sort unsigned integers of 64 bits, in place.

    Parameters
    ----------
    keys : (n,) uint64, already in order where the bits from ``low_bit`` on are equal.
    spare : (n,) uint64 working memory.
    low_bit : what is below this bit need not be looked at.
    """
    count = keys.size
    if count <= SMALL:
        for k in range(1, count):
            key, place = keys[k], k
            while place > 0 and keys[place - 1] > key:
                keys[place] = keys[place - 1]
                place -= 1
            keys[place] = key
        return
    differ = np.uint64(0)
    for k in range(1, count):
        differ |= keys[k] ^ keys[0]
    starts = np.empty(257, np.int64)
    source, target, moved = keys, spare, False
    for bit in range(low_bit, 64, 8):
        shift = np.uint64(bit)
        if (differ >> shift) & np.uint64(255) == 0:
            continue
        starts[:] = 0
        for k in range(count):
            starts[((source[k] >> shift) & np.uint64(255)) + 1] += 1
        for digit in range(256):
            starts[digit + 1] += starts[digit]
        for k in range(count):
            digit = (source[k] >> shift) & np.uint64(255)
            target[starts[digit]] = source[k]
            starts[digit] += 1
        source, target, moved = target, source, not moved
    if moved:
        keys[:] = source


@njit(cache=True, nogil=True)
def _at(levels: Any, up_to: Any, size: Any, place: Any) -> Any:
    """The grey level at ``place`` among an object's pixels in ascending order."""
    low, high = 0, size - 1
    while low < high:
        middle = (low + high) // 2
        if up_to[middle] > place:
            high = middle
        else:
            low = middle + 1
    return levels[low]


@njit(cache=True, nogil=True)
def _quantile(levels: Any, up_to: Any, size: Any, position: Any) -> Any:
    """Grey level at a position between places, in proportion; no further than the last place."""
    last = up_to[size - 1] - 1
    low = min(np.int64(position), last)
    part = position - low
    below = _at(levels, up_to, size, low)
    above = _at(levels, up_to, size, min(low + 1, last))
    return below * (1.0 - part) + above * part


@njit(cache=True, nogil=True)
def _deviation(levels: Any, up_to: Any, size: Any, median: Any, position: Any) -> Any:
    """Quantile of the distances from the median.

    The distances below the median and those above are both in order, so that how many of the smallest lie below is a
    binary search.
    """
    count = up_to[size - 1]
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        if levels[middle] <= median:
            low = middle + 1
        else:
            high = middle
    below = up_to[low - 1] if low > 0 else 0
    place = min(np.int64(position), count - 1)
    low, high = max(0, place - (count - below)), min(place, below)
    while low < high:
        taken = (low + high) // 2
        from_below = median - _at(levels, up_to, size, below - 1 - taken)
        from_above = _at(levels, up_to, size, below + place - taken - 1) - median
        if from_below < from_above:
            low = taken + 1
        else:
            high = taken
    part = position - place
    left, right = low, place - low
    found = 0.0
    for turn in range(2 if place < count - 1 else 1):
        from_below = median - _at(levels, up_to, size, below - 1 - left) if left < below else np.inf
        from_above = _at(levels, up_to, size, below + right) - median if below + right < count else np.inf
        weight = 1.0 if place == count - 1 else (part if turn else 1.0 - part)
        if from_below < from_above:
            left += 1
        else:
            right += 1
        found += weight * min(from_below, from_above)
    return found


@njit(cache=True, nogil=True)
def _describe(levels: Any, up_to: Any, size: Any, statistics: Any) -> None:
    """Fill the (2, 4) statistics of an object."""
    count = up_to[size - 1]
    for convention in range(2):
        span = float(count - 1 + convention)
        row = statistics[convention]
        row[LOWER] = _quantile(levels, up_to, size, 0.25 * span)
        row[MEDIAN] = _quantile(levels, up_to, size, 0.5 * span)
        row[UPPER] = _quantile(levels, up_to, size, 0.75 * span)
        row[MAD] = _deviation(levels, up_to, size, row[MEDIAN], 0.5 * span)


@njit(cache=True, nogil=True)
def _count_levels(values: Any, lowest: Any, levels: Any, up_to: Any, rank_of: Any) -> Any:
    """Fill the table of an object from counts, one entry for each number from ``lowest`` on; the number of ranks.

    ``up_to`` is as long as the range; levels without a pixel do no harm, as nothing is found there.
    """
    up_to[:] = 0
    for k in range(values.size):
        up_to[np.int64(values[k]) - lowest] += 1
    rank, total = np.int64(0), np.int64(0)
    for k in range(up_to.size):
        count = up_to[k]
        rank_of[k] = rank
        rank += np.int64(count > 0)
        total += count
        up_to[k] = total
        levels[k] = lowest + k
    return rank


@njit(cache=True, nogil=True)
def _list_levels(values: Any, keys: Any, levels: Any, up_to: Any, ranks: Any) -> Any:
    """Fill the table of an object from its sorted keys; the number of ranks. ``ranks`` may be empty."""
    rank = -1
    for k in range(keys.size):
        if k == 0 or keys[k] >> np.uint64(32) != keys[k - 1] >> np.uint64(32):
            rank += 1
        place = np.int64(keys[k] & np.uint64(0xFFFFFFFF))
        levels[rank] = values[place]
        up_to[rank] = k + 1
        if ranks.size > 0:
            ranks[place] = rank
    return rank + 1


@njit(cache=True, nogil=True)
def order_integers(first: Any, stop: Any, runs: Any, values: Any, order: Order) -> None:
    """Order the grey levels of objects ``first <= i < stop``.

    Parameters
    ----------
    values : (C, N) uint16.
    order : see :class:`Order`; rows of objects without a pixel are left alone.
    """
    largest = _largest(first, stop, runs)
    room = max(largest, min(SPARSE * largest, 65536))
    levels, up_to, rank_of = np.empty(room, np.float64), np.empty(room, np.int64), np.empty(room, np.int64)
    keys, spare = np.empty(min(largest, 65536 // SPARSE), np.uint64), np.empty(min(largest, 65536 // SPARSE), np.uint64)
    for i in range(first, stop):
        begin, end = runs.offset[i], runs.offset[i + 1]
        if begin == end:
            continue
        for channel in range(values.shape[0]):
            here = values[channel, begin:end]
            ranks = order.ranks[channel, begin:end]
            lowest = highest = here[0]
            for k in range(here.size):
                lowest = here[k] if here[k] < lowest else lowest
                highest = here[k] if here[k] > highest else highest
            size = np.int64(highest) - np.int64(lowest) + 1
            if size <= SPARSE * here.size:
                distinct = _count_levels(here, np.int64(lowest), levels, up_to[:size], rank_of)
                for k in range(ranks.size):
                    ranks[k] = rank_of[np.int64(here[k]) - np.int64(lowest)]
            else:
                for k in range(here.size):
                    keys[k] = (np.uint64(here[k]) << np.uint64(32)) | np.uint64(k)
                sort_keys(keys[: here.size], spare[: here.size], 32)
                size = distinct = _list_levels(here, keys[: here.size], levels, up_to, ranks)
            order.distinct[i, channel] = distinct
            _describe(levels, up_to, size, order.statistics[i, channel])


@njit(cache=True, nogil=True)
def order_floats(first: Any, stop: Any, runs: Any, values: Any, order: Order) -> None:
    """As :func:`order_integers` for (C, N) float32; where a value is not finite the statistics mean nothing.

    The bits of a float are in the order of its values once those of negative numbers are inverted and the sign of
    the others is set.
    """
    largest = _largest(first, stop, runs)
    levels, up_to = np.empty(largest, np.float64), np.empty(largest, np.int64)
    keys, spare = np.empty(largest, np.uint64), np.empty(largest, np.uint64)
    sign = np.uint64(0x80000000)
    for i in range(first, stop):
        begin, end = runs.offset[i], runs.offset[i + 1]
        if begin == end:
            continue
        for channel in range(values.shape[0]):
            here = values[channel, begin:end]
            bits = here.view(np.uint32)
            for k in range(here.size):
                key = np.uint64(bits[k])
                if key == sign:  # minus zero is zero
                    key = np.uint64(0)
                key = key ^ np.uint64(0xFFFFFFFF) if key & sign else key | sign
                keys[k] = (key << np.uint64(32)) | np.uint64(k)
            sort_keys(keys[: here.size], spare[: here.size], 32)
            size = _list_levels(here, keys[: here.size], levels, up_to, order.ranks[channel, begin:end])
            order.distinct[i, channel] = size
            _describe(levels, up_to, size, order.statistics[i, channel])
