"""Length of the shortest path inside an object from one of its pixels, over its 8 neighbours: steps of 1 and sqrt(2).

Rows are swept from that pixel to the bottom and to the top, which reaches everything in objects without dents. Where
the result is not yet settled (a pixel is further than a neighbour and a step), the object is swept up and down, and
when a few times did not do, as in spirals, its pixels are visited in the order of their distance.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

DIAGONAL = 2.0**0.5
_ROUNDING = 1e-9  # sums of steps in another order; path lengths that differ do so by more
_ROUNDS = 3


class Lines(NamedTuple):
    """The rows of an object: line ``k`` has the runs ``run[k] : run[k + 1]``; places count from its first pixel.

    run, place : (L + 1,) int64
    row : (L,) int64
    """

    run: NDArray[np.int64]
    place: NDArray[np.int64]
    row: NDArray[np.int64]


@njit(cache=True, nogil=True)
def _list_lines(span: Any, runs: Any, lines: Lines) -> Any:
    """Fill ``lines`` with the rows of the runs ``span[0] <= run < span[1]``; how many rows there are."""
    count, place, row = 0, 0, -1
    for run in range(span[0], span[1]):
        if runs.row[run] != row:
            row = runs.row[run]
            lines.run[count], lines.place[count], lines.row[count] = run, place, row
            count += 1
        place += runs.stop[run] - runs.start[run]
    lines.run[count], lines.place[count] = span[1], place
    return count


@njit(cache=True, nogil=True)
def _blank(runs: Any, first: Any, last: Any, row: Any, value: Any) -> None:
    for run in range(first, last):
        row[runs.start[run] + 1 : runs.stop[run] + 1] = value


@njit(cache=True, nogil=True)
def _relax_run(before: Any, here: Any, distance: Any) -> None:
    """Shorten the distances of a run by steps from the row swept before it, then along the run.

    before, here : (L + 2,) float64, the two rows with a column more at either end; ``here`` receives the distances.
    """
    length = distance.size
    for x in range(length):
        straight, diagonal = before[x + 1] + 1.0, min(before[x], before[x + 2]) + DIAGONAL
        here[x + 1] = min(distance[x], min(straight, diagonal))
    last = here[0]
    for x in range(1, length + 1):
        last = min(here[x], last + 1.0)
        here[x] = last
    for x in range(length, 0, -1):
        last = min(here[x], last + 1.0)
        here[x] = last
        distance[x - 1] = last


@njit(cache=True, nogil=True)
def _sweep(runs: Any, lines: Lines, first: Any, last: Any, step: Any, rows: Any, distance: Any) -> None:
    """Relax lines ``first``, ``first + step`` … before ``last``, each from the one before it.

    rows : (2, X + 2) float64, infinite everywhere before and after.
    """
    for line in range(first, last, step):
        before, here = rows[line % 2], rows[(line + 1) % 2]
        if line != first:
            previous = line - step
            if abs(lines.row[line] - lines.row[previous]) > 1:
                _blank(runs, lines.run[previous], lines.run[previous + 1], before, np.inf)
        place = lines.place[line]
        for run in range(lines.run[line], lines.run[line + 1]):
            start, stop = runs.start[run], runs.stop[run]
            _relax_run(before[start : stop + 2], here[start : stop + 2], distance[place : place + stop - start])
            place += stop - start
        if line != first:
            _blank(runs, lines.run[previous], lines.run[previous + 1], before, np.inf)
    end = last - step
    _blank(runs, lines.run[end], lines.run[end + 1], rows[(end + 1) % 2], np.inf)


@njit(cache=True, nogil=True)
def _too_far(before: Any, distance: Any) -> Any:
    """Whether two neighbours, in a run or between it and the row before it, differ by more than the step between them.

    before : (L + 2,) float64, NaN where the object is not, as no comparison with NaN is true.
    """
    found = 0
    straight, diagonal = 1.0 + _ROUNDING, DIAGONAL + _ROUNDING
    for x in range(distance.size):
        found += abs(distance[x] - before[x + 1]) > straight
        found += abs(distance[x] - before[x]) > diagonal
        found += abs(distance[x] - before[x + 2]) > diagonal
    for x in range(1, distance.size):
        found += abs(distance[x] - distance[x - 1]) > straight
    return found > 0


@njit(cache=True, nogil=True)
def _settled(runs: Any, lines: Lines, count: Any, row: Any, distance: Any) -> Any:
    """Whether no step shortens a distance. ``row`` : (X + 2,) float64, NaN everywhere before and after."""
    settled = True
    for line in range(count):
        if not settled:
            break
        adjacent = line > 0 and lines.row[line] - lines.row[line - 1] == 1
        if adjacent:
            _copy_line(runs, lines, line - 1, row, distance)
        place = lines.place[line]
        for run in range(lines.run[line], lines.run[line + 1]):
            start, stop = runs.start[run], runs.stop[run]
            if _too_far(row[start : stop + 2], distance[place : place + stop - start]):
                settled = False
            place += stop - start
        if adjacent:
            _blank(runs, lines.run[line - 1], lines.run[line], row, np.nan)
    return settled


@njit(cache=True, nogil=True)
def _copy_line(runs: Any, lines: Lines, line: Any, row: Any, distance: Any) -> None:
    place = lines.place[line]
    for run in range(lines.run[line], lines.run[line + 1]):
        length = runs.stop[run] - runs.start[run]
        row[runs.start[run] + 1 : runs.stop[run] + 1] = distance[place : place + length]
        place += length


@njit(cache=True, nogil=True)
def _list_neighbours(runs: Any, lines: Lines, count: Any, width: Any) -> Any:
    """(n, 8) int32 places of the neighbours of each pixel, -1 for none: four straight ones, then four diagonal ones."""
    near = np.full((lines.place[count], 8), -1, np.int32)
    rows = np.full((2, width + 2), -1, np.int32)
    for line in range(count):
        above, here = rows[line % 2], rows[(line + 1) % 2]
        here[:] = -1
        if line > 0 and lines.row[line] - lines.row[line - 1] > 1:
            above[:] = -1
        pixel = lines.place[line]
        for run in range(lines.run[line], lines.run[line + 1]):
            for x in range(runs.start[run] + 1, runs.stop[run] + 1):
                here[x] = pixel
                others = (here[x - 1], above[x], above[x - 1], above[x + 1])
                for k in range(4):
                    if others[k] >= 0:
                        near[pixel, 2 * k] = others[k]
                        near[others[k], 2 * k + 1] = pixel
                pixel += 1
    return near


@njit(cache=True, nogil=True)
def _spread(near: Any, centre: Any, distance: Any) -> None:
    """Visit pixels in the order of their distance: a list for each whole pixel of distance, three in use at a time.

    A step is at least 1, so that nothing in a list changes once it is its turn (Dial's algorithm).
    """
    lists = np.empty((3, distance.size), np.int32)
    sizes = np.zeros(3, np.int64)
    distance[:] = np.inf
    distance[centre] = 0.0
    lists[0, 0] = centre
    sizes[0] = 1
    whole = 0
    while sizes.sum() > 0:
        turn = whole % 3
        for k in range(sizes[turn]):
            pixel = lists[turn, k]
            if distance[pixel] < whole:
                continue  # it was reached on a shorter way since
            for way in range(8):
                other = near[pixel, way]
                if other < 0:
                    continue
                reached = distance[pixel] + (1.0 if way < 4 else DIAGONAL)
                known = distance[other]
                if reached < known - _ROUNDING:
                    distance[other] = reached
                    if known == np.inf or int(known) != int(reached):
                        slot = int(reached) % 3
                        lists[slot, sizes[slot]] = other
                        sizes[slot] += 1
        sizes[turn] = 0
        whole += 1


@njit(cache=True, nogil=True)
def _line_buffers(first: Any, stop: Any, runs: Any, width: Any) -> Any:
    """Working memory for objects ``first <= i < stop``: lines, two infinite rows, a row of NaN."""
    most = 1
    for i in range(first, stop):
        most = max(most, runs.first[i + 1] - runs.first[i])
    lines = Lines(np.empty(most + 1, np.int64), np.empty(most + 1, np.int64), np.empty(most + 1, np.int64))
    return lines, np.full((2, width + 2), np.inf), np.full(width + 2, np.nan)


@njit(cache=True, nogil=True)
def _geodesic_of_object(span: Any, runs: Any, centre: Any, buffers: Any, distance: Any) -> None:
    """Write the distances of an object's pixels from pixel ``centre``; infinite where no path leads.

    span : its first run, and one past its last.
    distance : (n,) float64.
    """
    lines, rows, blank = buffers
    count = _list_lines(span, runs, lines)
    middle = 0
    while lines.place[middle + 1] <= centre:
        middle += 1
    distance[:] = np.inf
    distance[centre] = 0.0
    _sweep(runs, lines, middle, count, 1, rows, distance)
    _sweep(runs, lines, middle, -1, -1, rows, distance)
    tries = 0
    while not _settled(runs, lines, count, blank, distance):
        if tries == _ROUNDS:
            _spread(_list_neighbours(runs, lines, count, blank.size), centre, distance)
            break
        _sweep(runs, lines, 0, count, 1, rows, distance)
        _sweep(runs, lines, count - 1, -1, -1, rows, distance)
        tries += 1


@njit(cache=True, nogil=True)
def geodesic_distances(first: Any, stop: Any, runs: Any, width: Any, centre: Any, distance: Any) -> None:
    """Length of the shortest path inside objects ``first <= i < stop`` from one of their pixels.

    Parameters
    ----------
    width : columns of the field.
    centre : (n,) int64, which of the object's pixels, in raster order; what it is for objects without pixels is no
        matter.
    distance : (N,) float64, filled at the objects' stretches; infinite where no path leads.
    """
    buffers = _line_buffers(first, stop, runs, width)
    for i in range(first, stop):
        begin, end = runs.offset[i], runs.offset[i + 1]
        if end > begin:
            _geodesic_of_object((runs.first[i], runs.first[i + 1]), runs, centre[i], buffers, distance[begin:end])
