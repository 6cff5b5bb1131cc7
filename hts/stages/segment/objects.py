"""Object sets of one field, linked: the same number is the same cell in all of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

STRIP_ROWS = 256
"""Label images are looked through in strips, so that no copy of a whole one in a wider type is made."""


def link(labels: NDArray[np.int32], partner: NDArray[np.int32], above: int = 0) -> NDArray[np.int32]:
    """Number the objects of one set after their partners in another.

    Two objects belong together when they share at least half of the pixels of the smaller one. Pairs are made one to
    one, those with the most pixels in common first; of equal ones that with the lower number in `labels`, then in
    `partner`.

    Parameters
    ----------
    labels, partner : (Y, X) int32, 0 outside; numbers may have gaps.
    above : numbers up to here are taken by other object sets of the field.

    Returns
    -------
    `labels` with new numbers: those of the partners, and for objects without one numbers above all of
    `labels`, `partner` and `above`, in the order of the old ones. No pixel is gained or lost.
    """
    areas = object_areas(labels)
    ids = np.flatnonzero(areas)
    numbers = np.zeros(areas.size, np.int32)
    first, second = _best_pairs(labels, partner, areas)
    numbers[first] = second
    orphans = ids[numbers[ids] == 0]
    start = max(areas.size - 1, int(partner.max(initial=0)), above) + 1
    numbers[orphans] = np.arange(start, start + orphans.size)
    return numbers[labels]


def object_areas(labels: NDArray[np.int32]) -> NDArray[np.int64]:
    """(largest label + 1,) pixels of every number; 0 for the background and for numbers that do not occur."""
    areas = np.zeros(int(labels.max(initial=0)) + 1, np.int64)
    for rows in _strips(labels):
        areas += np.bincount(labels[rows].ravel(), minlength=areas.size)
    areas[0] = 0
    return areas


def touching_frame(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Numbers of the objects with a pixel in the first or last row or column, ascending."""
    if not labels.size:
        return np.zeros(0, np.int32)
    found = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    touching: NDArray[np.int32] = found[found > 0]
    return touching


def without(labels: NDArray[np.int32], ids: NDArray[np.int32]) -> NDArray[np.int32]:
    """`labels` less the objects of these numbers; the others keep theirs."""
    kept = np.arange(int(labels.max(initial=0)) + 1, dtype=np.int32)
    kept[ids[ids < kept.size]] = 0
    return kept[labels]


def renumbered(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """`labels` with the numbers 1…n, in the order of the old ones."""
    numbers = np.cumsum(object_areas(labels) > 0, dtype=np.int32)
    numbers[0] = 0
    return numbers[labels]


def outside_others(labels: NDArray[np.int32], partner: NDArray[np.int32]) -> NDArray[np.int32]:
    """`labels` without the pixels that `partner` gives to another number: a nucleus lies in no cell but its own."""
    foreign = (partner > 0) & (labels > 0) & (labels != partner)
    return np.where(foreign, 0, labels).astype(np.int32, copy=False)


def numbered_above(labels: NDArray[np.int32], above: int) -> NDArray[np.int32]:
    """`labels` with every number raised by `above`."""
    return np.where(labels > 0, labels + np.int32(above), 0).astype(np.int32, copy=False)


def _best_pairs(
    labels: NDArray[np.int32], partner: NDArray[np.int32], areas: NDArray[np.int64]
) -> tuple[list[int], list[int]]:
    """Pairs one to one, largest overlap first."""
    first, second, shared = _overlaps(labels, partner)
    enough = 2 * shared >= np.minimum(areas[first], object_areas(partner)[second])
    first, second, shared = first[enough], second[enough], shared[enough]
    order = np.lexsort((second, first, -shared))
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for one, other in zip(first[order].tolist(), second[order].tolist(), strict=True):
        if one not in pairs and other not in taken:
            pairs[one] = other
            taken.add(other)
    return list(pairs), list(pairs.values())


def _overlaps(
    labels: NDArray[np.int32], partner: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Numbers in `labels`, numbers in `partner`, and the pixels they share, for all that share some."""
    width = int(partner.max(initial=0)) + 1
    keys, counts = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for rows in _strips(labels):
        both = (labels[rows] > 0) & (partner[rows] > 0)
        found, pixels = np.unique(labels[rows][both].astype(np.int64) * width + partner[rows][both], return_counts=True)
        keys.append(found)
        counts.append(pixels.astype(np.int64))
    pairs, place = np.unique(np.concatenate(keys), return_inverse=True)
    shared = np.zeros(pairs.size, np.int64)
    np.add.at(shared, place, np.concatenate(counts))
    return pairs // width, pairs % width, shared


def _strips(labels: NDArray[np.int32]) -> Iterator[slice]:
    for top in range(0, labels.shape[0], STRIP_ROWS):
        yield slice(top, top + STRIP_ROWS)
