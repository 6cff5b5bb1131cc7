"""Haralick's texture features of labelled objects, from counts of pairs of grey levels.

An object is copied into a small buffer in which everything else is 0, so that no pair needs a test. Its levels start
at 1 there, which keeps the square of pairs small; where that is large for an object, the cells that are counted are
listed, so that nobody sweeps it. Most features follow from the histograms of the sum and of the difference of the two
levels: variance and covariance from their variances, which are 2 (variance ± covariance).
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hts.stages.measure.shared._kernels_runs import Runs

FEATURES = (
    "AngularSecondMoment",
    "Contrast",
    "Correlation",
    "Variance",
    "InverseDifferenceMoment",
    "SumAverage",
    "SumVariance",
    "SumEntropy",
    "Entropy",
    "DifferenceVariance",
    "DifferenceEntropy",
    "InfoMeas1",
    "InfoMeas2",
)
"""Order of the last axis of what :func:`haralick` fills."""

STEPS = ((0, 1), (1, 1), (1, 0), (1, -1))
"""(y, x) of directions 0 … 3: along the row, down to the right, along the column, down to the left."""

_STEPS = np.array(STEPS, np.int64)
_LEVELS = 256
_TABLED = 4096  # c log2 c comes from a table below this count


class _Counts(NamedTuple):
    """Working memory of one thread; all but ``logs`` and ``cells`` are zeros between two directions.

    cells : (65536 + 1,) uint32, cells of the square that are not 0.
    pairs : (65536,) uint32, the square: pairs by the level of the first pixel and that of the one a step further.
    sums, differences, levels : (512,) int64, pairs by sum and by difference of their levels, and levels of all pairs.
    logs : (4096,) float64, c log2 c.
    """

    cells: NDArray[np.uint32]
    pairs: NDArray[np.uint32]
    sums: NDArray[np.int64]
    differences: NDArray[np.int64]
    levels: NDArray[np.int64]
    logs: NDArray[np.float64]


@njit(cache=True, nogil=True)
def to_levels(values: Any, table: Any, levels: Any) -> None:
    """``levels`` (N,) uint8 of ``values`` (N,) uint16 through ``table`` (65536,) uint8."""
    for place in range(values.size):
        levels[place] = table[values[place]]


@njit(cache=True, nogil=True)
def haralick(first: Any, stop: Any, runs: Runs, levels: Any, scale_px: Any, found: Any) -> None:
    """Fill the texture features of objects ``first <= i < stop``.

    Parameters
    ----------
    levels : (N,) uint8, the level of every pixel, object by object; level 0 takes part in no pair.
    scale_px : distance of the two pixels of a pair, in rows and columns.
    found : (n, 4, 13) float64, by direction (:data:`STEPS`) and feature (:data:`FEATURES`); NaN for an object that
        has no pair in one of the directions.
    """
    counts = _counts()
    buffer = np.zeros(_largest_buffer(first, stop, runs, scale_px), np.uint8)
    for i in range(first, stop):
        found[i] = np.nan
        top, left, height, width = _box(i, runs)
        lowest, highest = _extremes(levels[runs.offset[i] : runs.offset[i + 1]])
        if height <= scale_px or width <= scale_px or highest == 0:
            continue
        stride = width + scale_px
        start = top * stride + left
        shift = _bits(highest - lowest + 1)
        _copy(i, runs, levels, lowest, (buffer, start, stride))
        for direction in range(4):
            step = scale_px * (_STEPS[direction, 0] * stride + _STEPS[direction, 1])
            if runs.offset[i + 1] - runs.offset[i] < np.int64(1) << (2 * shift):
                cells = _count_and_list(i, runs, (buffer, start, stride), step, shift, counts)
            else:
                cells = _count(i, runs, (buffer, start, stride), step, shift, counts)
            pairs = _collect(cells, shift, counts, found[i, direction])
            if pairs == 0:
                found[i] = np.nan
                break
            _features(pairs, lowest, highest, counts, found[i, direction])
        _clear(i, runs, (buffer, start, stride))


@njit(cache=True, nogil=True)
def _counts() -> _Counts:
    logs = np.zeros(_TABLED)
    for count in range(2, _TABLED):
        logs[count] = count * np.log2(count)
    cells, pairs = np.empty(_LEVELS**2 + 1, np.uint32), np.zeros(_LEVELS**2, np.uint32)
    return _Counts(
        cells,
        pairs,
        np.zeros(2 * _LEVELS, np.int64),
        np.zeros(2 * _LEVELS, np.int64),
        np.zeros(2 * _LEVELS, np.int64),
        logs,
    )


@njit(cache=True, nogil=True)
def _box(i: Any, runs: Runs) -> tuple[Any, Any, Any, Any]:
    """First row, first column, height and width of an object; four zeros without a pixel."""
    first, stop = runs.first[i], runs.first[i + 1]
    if first == stop:
        return 0, 0, 0, 0
    left, right = np.int64(runs.start[first]), np.int64(runs.stop[first])
    for run in range(first + 1, stop):
        left, right = min(left, runs.start[run]), max(right, runs.stop[run])
    top = np.int64(runs.row[first])
    return top, left, runs.row[stop - 1] + 1 - top, right - left


@njit(cache=True, nogil=True)
def _largest_buffer(first: Any, stop: Any, runs: Runs, scale_px: Any) -> Any:
    """Room for the box of any of the objects that have pairs, with zeros on the right and below."""
    largest: Any = 0
    for i in range(first, stop):
        height, width = _box(i, runs)[2:]
        if height > scale_px and width > scale_px:
            largest = max(largest, (height + scale_px) * (width + scale_px))
    return largest


@njit(cache=True, nogil=True)
def _extremes(levels: Any) -> tuple[Any, Any]:
    """Smallest and largest level above 0; 256 and 0 when there is none."""
    lowest: Any = 256
    highest: Any = 0
    for level in levels:
        if level != 0:
            lowest, highest = min(lowest, np.int64(level)), max(highest, np.int64(level))
    return lowest, highest


@njit(cache=True, nogil=True)
def _bits(largest: Any) -> Any:
    """Binary digits of ``largest``."""
    bits = 0
    while largest >> bits:
        bits += 1
    return np.uint32(bits)


@njit(cache=True, nogil=True)
def _copy(i: Any, runs: Runs, levels: Any, lowest: Any, place: Any) -> None:
    """Write the object into the buffer, ``lowest`` as 1; level 0 stays 0. ``place``: buffer, first pixel, stride."""
    buffer, start, stride = place
    less = np.uint8(lowest - 1)
    source = runs.offset[i]
    for run in range(runs.first[i], runs.first[i + 1]):
        target = runs.row[run] * stride + runs.start[run] - start
        for x in range(runs.stop[run] - runs.start[run]):
            level = levels[source + x]
            buffer[target + x] = np.uint8(level - less) if level != 0 else np.uint8(0)
        source += runs.stop[run] - runs.start[run]


@njit(cache=True, nogil=True)
def _clear(i: Any, runs: Runs, place: Any) -> None:
    """Make the object's pixels 0 again: as much work as the object has pixels, however far apart they are."""
    buffer, start, stride = place
    for run in range(runs.first[i], runs.first[i + 1]):
        target = runs.row[run] * stride - start
        buffer[target + runs.start[run] : target + runs.stop[run]] = 0


@njit(cache=True, nogil=True)
def _count_and_list(i: Any, runs: Runs, place: Any, step: Any, shift: Any, counts: _Counts) -> Any:
    """Count each pixel with the one a step further, and list the cells; how many they are."""
    buffer, start, stride = place
    cells, pairs = counts.cells, counts.pairs
    listed = 0
    for run in range(runs.first[i], runs.first[i + 1]):
        target = runs.row[run] * stride - start
        for here in range(target + runs.start[run], target + runs.stop[run]):
            cell = np.uint32(np.uint32(buffer[here]) << shift) | np.uint32(buffer[here + step])
            before = pairs[cell]
            cells[listed] = cell  # without a branch: the next cell overwrites one that was met before
            listed += before == 0
            pairs[cell] = before + np.uint32(1)
    return listed


@njit(cache=True, nogil=True)
def _count(i: Any, runs: Runs, place: Any, step: Any, shift: Any, counts: _Counts) -> Any:
    """The same for an object with more pixels than the square has cells, which are listed after."""
    buffer, start, stride = place
    cells, pairs = counts.cells, counts.pairs
    for run in range(runs.first[i], runs.first[i + 1]):
        target = runs.row[run] * stride - start
        for here in range(target + runs.start[run], target + runs.stop[run]):
            cell = np.uint32(np.uint32(buffer[here]) << shift) | np.uint32(buffer[here + step])
            pairs[cell] += np.uint32(1)
    listed = 0
    for number in range(1 << (2 * shift)):
        cells[listed] = number
        listed += pairs[number] != 0
    return listed


@njit(cache=True, nogil=True)
def _collect(listed: Any, shift: Any, counts: _Counts, found: Any) -> Any:
    """Empty the square into histograms; the number of pairs inside the object.

    Until :func:`_features` is done with them, ``found[0]`` is the sum of squared and ``found[8]`` the sum of
    c log2 c of the cells of the symmetric matrix, in which a pair is counted a second time the other way round.
    """
    total: Any = 0
    squares: Any = 0
    logs: Any = 0.0
    below = (np.uint32(1) << shift) - np.uint32(1)
    for number in range(listed):
        cell = counts.cells[number]
        count = np.int64(counts.pairs[cell])
        counts.pairs[cell] = 0
        one, other = np.int64(cell >> shift), np.int64(cell & below)
        if one == 0 or other == 0:
            continue  # one of the two pixels is outside, or of level 0
        if one == other:
            squares += 4 * count * count
            logs += _log(2 * count, counts.logs)
        else:
            mirror = np.uint32(other << shift) | np.uint32(one)
            count += np.int64(counts.pairs[mirror])
            counts.pairs[mirror] = 0  # when its turn comes there is nothing left to add
            squares += 2 * count * count
            logs += 2.0 * _log(count, counts.logs)
        total += count
        counts.sums[one + other] += count
        counts.differences[abs(one - other)] += count
        counts.levels[one] += count
        counts.levels[other] += count
    found[0], found[8] = squares, logs
    return total


@njit(cache=True, nogil=True)
def _log(count: Any, logs: Any) -> Any:
    """c log2 c."""
    return logs[count] if count < logs.size else count * np.log2(count)


@njit(cache=True, nogil=True)
def _features(pairs: Any, lowest: Any, highest: Any, counts: _Counts, found: Any) -> None:
    """The 13 features of one direction from the histograms, which are zeros after."""
    span = highest - lowest + 1
    whole = 2 * pairs
    joint = _entropy(found[8], whole, counts.logs)
    sum_entropy = _entropy(_sum_of_logs(counts.sums[: 2 * span + 1], counts.logs), pairs, counts.logs)
    difference_entropy = _entropy(_sum_of_logs(counts.differences[:span], counts.logs), pairs, counts.logs)
    single = _entropy(_sum_of_logs(counts.levels[: span + 1], counts.logs), whole, counts.logs)
    sum_average, sum_variance = _mean_and_variance(counts.sums[: 2 * span + 1], pairs)
    contrast, homogeneity, unevenness = _of_differences(counts.differences[:span], pairs, highest + 1)
    counts.sums[: 2 * span + 1] = 0
    counts.differences[:span] = 0
    counts.levels[: span + 1] = 0
    constant = sum_variance + contrast == 0.0
    information = max(2.0 * single - joint, 0.0)
    found[0] = found[0] / (np.float64(whole) * np.float64(whole))
    found[1] = contrast
    found[2] = np.nan if constant else (sum_variance - contrast) / (sum_variance + contrast)
    found[3] = (sum_variance + contrast) / 4.0
    found[4] = homogeneity
    found[5] = sum_average + 2 * (lowest - 1)
    found[6] = sum_variance
    found[7] = sum_entropy
    found[8] = joint
    found[9] = unevenness
    found[10] = difference_entropy
    found[11] = np.nan if constant else -information / single
    found[12] = np.sqrt(-np.expm1(-2.0 * information))


@njit(cache=True, nogil=True)
def _sum_of_logs(histogram: Any, logs: Any) -> Any:
    total = 0.0
    for count in histogram:
        total += _log(count, logs)
    return total


@njit(cache=True, nogil=True)
def _entropy(sum_of_logs: Any, total: Any, logs: Any) -> Any:
    """Bits, from the sum of c log2 c and the sum of c; exactly 0 where there is but one c."""
    return max((_log(total, logs) - sum_of_logs) / total, 0.0)


@njit(cache=True, nogil=True)
def _mean_and_variance(histogram: Any, total: Any) -> tuple[Any, Any]:
    summed: Any = 0
    for value in range(histogram.size):
        summed += value * histogram[value]
    mean = summed / total
    squares = 0.0
    for value in range(histogram.size):
        squares += histogram[value] * (value - mean) ** 2
    return mean, squares / total


@njit(cache=True, nogil=True)
def _of_differences(histogram: Any, total: Any, bins: Any) -> tuple[Any, Any, Any]:
    """Mean square, mean of 1 / (1 + square), and variance of the probabilities of ``bins`` differences."""
    squares: Any = 0
    inverse: Any = 0.0
    spread: Any = 0
    for value in range(histogram.size):
        count = histogram[value]
        squares += value * value * count
        inverse += count / (1 + value * value)
        spread += count * count
    uneven = np.float64(bins * spread - total * total)  # integers: nothing is lost where all bins are nearly equal
    return squares / total, inverse / total, uneven / (np.float64(bins * total) ** 2)
