"""Costes' automatic threshold of two channels inside each object, by bisection with running sums.

A threshold t of the first channel comes with a t + b of the second, where b and a are those of the line through the
object's pixels. Background are the pixels with first < t or second < a t + b. As t goes up, a pixel turns background
once (a > 0), or leaves and comes back (a < 0): these are its events. The events of an object are kept by step of the
threshold, with the sums that the correlation of the background needs, so that going from one candidate to the next
costs the steps between the two, and never a look at all pixels.

Which pixels are background is decided as cp_measure does, in doubles of channels from 0 to 1.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hts.stages.measure.shared._kernels_ranks import sort_keys

# Sums over pixels: their number, grey levels, squares, and products, less the object's shift.
COUNT, A, B, AA, BB, AB = range(6)
SUMS = 6

SPARSE = 8
"""Events that spread over more than so many times as many steps are sorted, not counted."""

MOST_STEPS = 256
"""Bisection that has not ended after so many candidates is given up."""

ROUNDING = 8 * 2.220446049250313e-16
"""A covariance below so much of the larger variance is none."""

NOTHING = 1e-12
"""A correlation of less is 0."""


class Pair(NamedTuple):
    """A pair of channels.

    one, two : (N,) uint16 or float32, grey levels of all objects.
    scale_one, scale_two : grey level that is 1.
    steps : number of steps of the threshold from 0 to 1.
    """

    one: NDArray[Any]
    two: NDArray[Any]
    scale_one: float
    scale_two: float
    steps: int


class Room(NamedTuple):
    """Working memory for the events of one object.

    enter, leave : (n,) int32, the step from which a pixel is background, and that from which it is not.
    keys, spare : (2 n,) uint64, for events that are sorted.
    sums : (S, 6) int64 or float64, sums of the background after each step or event; the first row is before any.
    """

    enter: NDArray[np.int32]
    leave: NDArray[np.int32]
    keys: NDArray[np.uint64]
    spare: NDArray[np.uint64]
    sums: NDArray[Any]


class Line(NamedTuple):
    """second = slope first + offset, for channels from 0 to 1."""

    slope: float
    offset: float


@njit(cache=True, nogil=True)
def _deviations(sums: Any, first: Any, second: Any, both: Any) -> Any:
    """Sum of products of the deviations of two channels, from sums."""
    return np.float64(sums[both]) - np.float64(sums[first]) * (np.float64(sums[second]) / np.float64(sums[COUNT]))


@njit(cache=True, nogil=True)
def _spread(sums: Any, first: Any, squares: Any) -> Any:
    """Sum of squared deviations; 0 where all that is left is rounding: the grey levels are equal."""
    found = _deviations(sums, first, first, squares)
    return found if found > 1e-13 * np.float64(sums[squares]) else 0.0


@njit(cache=True, nogil=True)
def _correlation(sums: Any) -> Any:
    """Pearson's correlation of the pixels; NaN for fewer than 3, and where a channel is constant.

    What is 0 but for rounding is 0: its sign decides where the search goes on.
    """
    if sums[COUNT] < 3:
        return np.nan
    scale = np.sqrt(_spread(sums, A, AA)) * np.sqrt(_spread(sums, B, BB))
    if scale == 0:
        return np.nan
    together = _deviations(sums, A, B, AB)
    return together / scale if abs(together) > NOTHING * scale else 0.0


@njit(cache=True, nogil=True)
def _add(record: Any, a: Any, b: Any, pixels: Any) -> None:
    """Add so many pixels of grey levels ``a`` and ``b``; fewer than none are taken away."""
    record[COUNT] += pixels
    record[A] += pixels * a
    record[B] += pixels * b
    record[AA] += pixels * a * a
    record[BB] += pixels * b * b
    record[AB] += pixels * a * b


@njit(cache=True, nogil=True)
def _line(sums: Any, shift: Any, pair: Pair) -> Line:
    """Through the pixels with the least distance from it (as CellProfiler); slope NaN where there is none.

    None is, too, where the threshold of the second channel moves less from step to step than it is rounded.
    """
    if sums[COUNT] < 3:
        return Line(np.nan, np.nan)
    freedom = np.float64(sums[COUNT]) - 1
    x_variance = _spread(sums, A, AA) / freedom / (pair.scale_one * pair.scale_one)
    y_variance = _spread(sums, B, BB) / freedom / (pair.scale_two * pair.scale_two)
    covariance = _deviations(sums, A, B, AB) / freedom / (pair.scale_one * pair.scale_two)
    if min(x_variance, y_variance) <= 0 or abs(covariance) <= ROUNDING * max(x_variance, y_variance):
        return Line(np.nan, np.nan)
    wider = y_variance - x_variance
    longer = abs(wider) + np.sqrt(wider * wider + 4 * covariance * covariance)
    slope = longer / (2 * covariance) if wider > 0 else 2 * covariance / longer
    x_mean = (shift[0] + sums[A] / np.float64(sums[COUNT])) / pair.scale_one
    y_mean = (shift[1] + sums[B] / np.float64(sums[COUNT])) / pair.scale_two
    offset = y_mean - slope * x_mean
    return Line(slope if abs(slope) > 1.6e-14 * pair.steps * (1 + abs(offset)) else np.nan, offset)


@njit(cache=True, nogil=True)
def _settle(level: Any, step: Any, line: Line, steps: Any) -> Any:
    """The first step, near ``step``, at which the comparison itself turns."""
    rising = line.slope > 0
    while step > 0 and (level < line.slope * ((step - 1) / steps) + line.offset) == rising:
        step -= 1
    while step <= steps and (level < line.slope * (step / steps) + line.offset) != rising:
        step += 1
    return step


@njit(cache=True, nogil=True)
def _turning_steps(values: Any, scale: Any, line: Line, steps: Any, turns: Any) -> None:
    """The first step, from 0 on, at which a pixel's threshold is above its grey level (slope > 0) or not (slope < 0).

    ``steps + 1`` is never. Where the place is too near a step for the rounding of its computation, the comparison
    itself decides.

    values : (n,) grey levels.
    line : threshold of the channel from that of the first one.
    turns : (n,) int32, filled.
    """
    factor, start = steps / (line.slope * scale), -line.offset * steps / line.slope
    unsure = max(1e-6, 4e-15 * steps * (1 + abs(line.offset)) / abs(line.slope))
    unsettled = np.int64(0)
    for k in range(values.size):
        place = values[k] * factor + start
        place = place if place > -0.5 else -0.5
        place = place if place < steps + 0.5 else steps + 0.5
        low = np.floor(place)
        turns[k] = np.int32(low) + 1
        unsettled += np.int64((place - low < unsure) | (place - low > 1 - unsure))
    if unsettled == 0:
        return
    for k in range(values.size):
        place = values[k] * factor + start
        if abs(place - np.rint(place)) <= unsure:
            turns[k] = _settle(values[k] / scale, np.int64(turns[k]), line, steps)


@njit(cache=True, nogil=True)
def _list_events(one: Any, two: Any, pair: Pair, line: Line, room: Room) -> Any:
    """Fill ``enter`` and ``leave`` (the step after the last: never) of all pixels; first and last step of any event."""
    never = np.int32(pair.steps + 1)
    enter, leave = room.enter[: one.size], room.leave[: one.size]
    if np.float64(pair.steps) == pair.scale_one and one.dtype.type(0.5) == one.dtype.type(0):
        for k in range(one.size):  # whole grey levels and steps are the same
            enter[k] = np.int32(one[k]) + 1
    else:
        _turning_steps(one, pair.scale_one, Line(1.0, 0.0), pair.steps, enter)
    _turning_steps(two, pair.scale_two, line, pair.steps, leave)
    rising = line.slope > 0
    lowest, highest = never, np.int32(0)
    for k in range(one.size):
        first, second = enter[k], leave[k]
        if rising:
            first = second if second < first else first
            second = never
        elif second >= first:
            first = second = never
        enter[k], leave[k] = first, second
        lowest = first if first < lowest else lowest
        lowest = second if second < lowest else lowest
        highest = first if (first > highest) & (first < never) else highest
        highest = second if (second > highest) & (second < never) else highest
    return np.int64(lowest), np.int64(highest)


@njit(cache=True, nogil=True)
def _sum_by_step(one: Any, two: Any, shift: Any, steps: Any, lowest: Any, room: Room, size: Any) -> None:
    """Fill ``sums``: row ``k + 1`` is the background at step ``lowest + k``."""
    sums = room.sums
    number = sums.dtype.type
    sums[1 : size + 1] = number(0)
    for k in range(one.size):
        a, b = number(one[k]) - shift[0], number(two[k]) - shift[1]
        if room.enter[k] <= steps:
            _add(sums[room.enter[k] - lowest + 1], a, b, number(1))
        if room.leave[k] <= steps:
            _add(sums[room.leave[k] - lowest + 1], a, b, number(-1))
    for row in range(1, size + 1):
        for column in range(SUMS):
            sums[row, column] += sums[row - 1, column]


@njit(cache=True, nogil=True)
def _sum_by_event(one: Any, two: Any, shift: Any, steps: Any, room: Room) -> Any:
    """Fill ``sums``: row ``k + 1`` is the background after event ``k`` of the sorted ``keys``; the number of events."""
    sums, size = room.sums, 0
    number = sums.dtype.type
    for k in range(one.size):
        for comes, step in ((1, room.enter[k]), (0, room.leave[k])):
            if step <= steps:
                room.keys[size] = (np.uint64(step) << np.uint64(32)) | np.uint64(2 * k + comes)
                size += 1
    sort_keys(room.keys[:size], room.spare[:size], 32)
    for event in range(size):
        which = np.int64(room.keys[event] & np.uint64(0xFFFFFFFF))
        pixel, sign = which // 2, number(2 * (which % 2) - 1)
        sums[event + 1] = sums[event]
        _add(sums[event + 1], number(one[pixel]) - shift[0], number(two[pixel]) - shift[1], sign)
    return size


@njit(cache=True, nogil=True)
def _row_of(step: Any, keys: Any) -> Any:
    """Number of sorted events up to and with ``step``."""
    low, high = 0, keys.size
    while low < high:
        middle = (low + high) // 2
        if np.int64(keys[middle] >> np.uint64(32)) <= step:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def _background(step: Any, lowest: Any, size: Any, events: Any, room: Room) -> Any:
    """Sums over the background at a step; ``events`` is 0 where they are kept by step."""
    if events > 0:
        return room.sums[_row_of(step, room.keys[:events])]
    return room.sums[min(max(step - lowest + 1, 0), size)]


@njit(cache=True, nogil=True)
def _search(steps: Any, lowest: Any, size: Any, events: Any, room: Room) -> Any:
    """The lowest step at which the background correlates, by cp_measure's bisection; -1 where it finds none."""
    left, right = 1, steps
    candidate = 5 * (right - left) // 6 + left
    before, found = 0, -1
    for turn in range(MOST_STEPS + 1):
        if candidate == before:
            break
        if turn == MOST_STEPS:
            return -1
        if _correlation(_background(candidate, lowest, size, events, room)) >= 0:
            right, found = candidate + 1, candidate
        else:
            left = candidate - 1
        before = candidate
        candidate = (5 * (right - left) // 6 if right - left > 6 else (right - left) // 2) + left
    if found < 0 or np.isnan(_correlation(_background(found - 1, lowest, size, events, room))):
        return -1
    return found - 1


@njit(cache=True, nogil=True)
def _cut(threshold: Any, scale: Any, whole: Any, strict: Any) -> Any:
    """The lowest stored grey level at or (strict) above a threshold from 0 to 1."""
    if not whole:
        cut = threshold * scale
        return np.nextafter(cut, np.inf) if strict else cut
    threshold = min(threshold, 2.0)  # no grey level is above 1
    level = np.floor(max(threshold * scale, 0.0)) - 1
    while level / scale < threshold or (strict and level / scale == threshold):
        level += 1
    return level


@njit(cache=True, nogil=True)
def _shares(one: Any, two: Any, cuts: Any, zero: Any) -> Any:
    """Sums above both thresholds over sums from the channel's own on; NaN where either of these is 0.

    cuts : lowest grey levels at and above the threshold of the first channel, and of the second.
    zero : 0 of the type of the sums.
    """
    one_from, one_above, two_from, two_above = cuts
    total_one = total_two = both_one = both_two = zero
    for k in range(one.size):
        a, b = one[k] + zero, two[k] + zero
        both = (a >= one_above) & (b >= two_above)
        total_one += a if a >= one_from else zero
        total_two += b if b >= two_from else zero
        both_one += a if both else zero
        both_two += b if both else zero
    if total_one <= 0 or total_two <= 0:
        return np.nan, np.nan
    return both_one / total_one, both_two / total_two


@njit(cache=True, nogil=True)
def _cuts(line: Line, step: Any, pair: Pair, number: Any) -> Any:
    """The four cuts of :func:`_shares`, as stored grey levels."""
    whole = number(0.5) == number(0)
    first = step / pair.steps
    second = line.slope * first + line.offset
    return (
        number(_cut(first, pair.scale_one, whole, False)),
        number(_cut(first, pair.scale_one, whole, True)),
        number(_cut(second, pair.scale_two, whole, False)),
        number(_cut(second, pair.scale_two, whole, True)),
    )


@njit(cache=True, nogil=True)
def _prepare(one: Any, two: Any, shift: Any, lit: Any, everything: Any) -> None:
    """Sums over all pixels, and over those that are not 0 in both channels."""
    number = everything.dtype.type
    everything[:] = number(0)
    dark = np.int64(0)
    for k in range(one.size):
        _add(everything, number(one[k]) - shift[0], number(two[k]) - shift[1], number(1))
        dark += np.int64((one[k] == 0) & (two[k] == 0))
    lit[:] = everything
    _add(lit, -shift[0], -shift[1], -number(dark))


@njit(cache=True, nogil=True)
def _costes(one: Any, two: Any, shift: Any, pair: Pair, room: Room) -> Any:
    """The two coefficients of one object."""
    number = room.sums.dtype.type
    lit, everything = np.empty(SUMS, room.sums.dtype), np.empty(SUMS, room.sums.dtype)
    _prepare(one, two, shift, lit, everything)
    line = _line(lit, shift, pair)
    if not (np.isfinite(line.slope) and np.isfinite(line.offset)):
        return np.nan, np.nan
    lowest, highest = _list_events(one, two, pair, line, room)
    room.sums[0] = number(0)
    if line.slope < 0:
        room.sums[0] = everything
    size, events = max(highest - lowest + 1, 0), 0
    if size <= SPARSE * one.size:
        _sum_by_step(one, two, shift, pair.steps, lowest, room, size)
    else:
        events = _sum_by_event(one, two, shift, pair.steps, room)
    step = _search(pair.steps, lowest, size, events, room)
    if step < 0:
        return np.nan, np.nan
    return _shares(one, two, _cuts(line, step, pair, number), number(0))


@njit(cache=True, nogil=True)
def costes(first: Any, stop: Any, runs: Any, pair: Pair, shift: Any, usable: Any, shares: Any) -> None:
    """Fill ``shares`` of objects ``first <= i < stop``.

    Parameters
    ----------
    pair : see :class:`Pair`.
    shift : (n, 2) int64 or float64, a grey level near the mean of each object.
    usable : (n,) bool, whether all grey levels are finite.
    shares : (n, 2) float64; rows where nothing is defined become NaN.
    """
    largest = 1
    for i in range(first, stop):
        largest = max(largest, runs.offset[i + 1] - runs.offset[i])
    rows = max(min(SPARSE * largest, pair.steps + 2), min(2 * largest, 2 * (pair.steps + 2) // SPARSE)) + 2
    room = Room(
        np.empty(largest, np.int32),
        np.empty(largest, np.int32),
        np.empty(2 * largest, np.uint64),
        np.empty(2 * largest, np.uint64),
        np.empty((rows, SUMS), shift.dtype),
    )
    for i in range(first, stop):
        shares[i] = np.nan
        begin, end = runs.offset[i], runs.offset[i + 1]
        if usable[i] and end - begin >= 3:
            shares[i] = _costes(pair.one[begin:end], pair.two[begin:end], shift[i], pair, room)
