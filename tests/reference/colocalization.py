"""Sums over pairs of channels, and Costes' threshold, the slow obvious way."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hts.stages.measure.families import _kernels_correlation as correlation
from hts.stages.measure.families import _kernels_costes as kernels_costes
from hts.stages.measure.shared.ranks import order_of
from hts.stages.measure.shared.runs import over_objects, runs_of
from tests.reference.ranks import order
from tests.reference.rows import KernelRow
from tests.reference.runs import gather

Sums = tuple[NDArray[Any], NDArray[Any]]
PAIRS = ((0, 1), (0, 2), (1, 2))


def correlated(labels: NDArray[np.int32], images: NDArray[Any], threshold: NDArray[Any]) -> Sums:
    """Sums of bright pixels (n, C) and of pairs (n, P, 8), as the kernels find them, about 0; threshold (n, C)."""
    count, channels = threshold.shape
    runs, values = runs_of(labels, count), np.stack([gather(labels, image, count) for image in images])
    ranked = order_of(runs, values, ranks=True)
    shift = np.zeros((count, channels), threshold.dtype)
    compared = correlation.Compared(values, ranked.ranks, ranked.distinct, threshold, shift)
    joint = correlation.Joint(np.zeros_like(threshold), np.zeros((count, len(PAIRS), 8), threshold.dtype))
    real = images.dtype == np.float32
    kernel = correlation.correlate_floats if real else correlation.correlate_integers
    over_objects(kernel, runs, np.array(PAIRS), compared, joint, threads=3)
    return joint.bright, joint.pairs


def correlate(labels: NDArray[np.int32], images: NDArray[Any], threshold: NDArray[Any]) -> Sums:
    """The twin."""
    bright = np.zeros_like(threshold)
    pairs = np.zeros((len(threshold), len(PAIRS), 8), threshold.dtype)
    for i in range(len(threshold)):
        mask = (labels == i + 1).astype(np.int32)
        values = images[:, mask > 0].astype(threshold.dtype)
        ranks = [order(mask, image, 1) for image in images]
        over = values >= threshold[i][:, None]
        bright[i] = (values * over).sum(axis=1)
        for p, (a, b) in enumerate(PAIRS):
            levels = max(ranks[a][0][0], ranks[b][0][0])
            weight = levels - np.abs(ranks[a][2].astype(int) - ranks[b][2].astype(int))
            both = over[a] & over[b]
            one, two = values[a], values[b]
            terms = (one, two, one * one, two * two, one * two, one * weight, two * weight)
            pairs[i, p] = [(one * two).sum(), *(term[both].sum() for term in terms)]
    return bright, pairs


def costes_shares(
    labels: NDArray[np.int32], images: NDArray[Any], count: int, scales: tuple[float, float], steps: int
) -> NDArray[np.float64]:
    """(n, 2) coefficients of two channels, as the kernel finds them, in three parts."""
    runs, (one, two) = runs_of(labels, count), (gather(labels, image, count) for image in images)
    number = np.float64 if images.dtype == np.float32 else np.int64
    shift, shares = np.zeros((count, 2), number), np.empty((count, 2))
    pair = kernels_costes.Pair(one, two, *scales, steps)
    over_objects(kernels_costes.costes, runs, pair, shift, np.ones(count, np.bool_), shares, threads=3)
    return shares


def costes(
    labels: NDArray[np.int32], images: NDArray[Any], count: int, scales: tuple[float, float], steps: int
) -> NDArray[np.float64]:
    """The twin: every candidate looks at every pixel."""
    found = np.full((count, 2), np.nan)
    for i in range(count):
        one, two = (image[labels == i + 1] / scale for image, scale in zip(images.astype(float), scales, strict=True))
        found[i] = _costes_of_one(one, two, steps)
    return found


def doubtful(
    labels: NDArray[np.int32], images: NDArray[Any], count: int, scales: tuple[float, float], steps: int
) -> NDArray[np.bool_]:
    """(n,) whether a background correlation is 0 but for rounding, so that the search may take another branch."""
    doubt = np.zeros(count, np.bool_)
    for i in range(count):
        seen: list[float] = []
        one, two = (image[labels == i + 1] / scale for image, scale in zip(images.astype(float), scales, strict=True))
        _costes_of_one(one, two, steps, seen)
        doubt[i] = any(abs(each) < 1e-12 for each in seen)
    return doubt


def _costes_of_one(
    one: NDArray[np.float64], two: NDArray[np.float64], steps: int, seen: list[float] | None = None
) -> tuple[float, float]:
    """The two coefficients; the correlations of the backgrounds that were looked at are added to ``seen``."""
    nothing = (math.nan, math.nan)
    lit = (one > 0) | (two > 0)
    if lit.sum() < 3 or np.ptp(one[lit]) == 0 or np.ptp(two[lit]) == 0:
        return nothing
    (x, xy), (_, y) = np.cov(one[lit], two[lit])
    if abs(xy) <= kernels_costes.ROUNDING * max(x, y):
        return nothing
    slope = (y - x + math.sqrt((y - x) ** 2 + 4 * xy**2)) / (2 * xy)
    offset = two[lit].mean() - slope * one[lit].mean()

    def background(step: int) -> float:
        chosen = (one < step / steps) | (two < slope * (step / steps) + offset)
        if chosen.sum() < 3 or np.ptp(one[chosen]) == 0 or np.ptp(two[chosen]) == 0:
            return math.nan
        found = float(np.corrcoef(one[chosen], two[chosen])[0, 1])
        if seen is not None:
            seen.append(found)
        return found

    step = _bisect(background, steps)
    if step is None or math.isnan(background(step)):
        return nothing
    first, second = step / steps, slope * (step / steps) + offset
    both = (one > first) & (two > second)
    totals = one[one >= first].sum(), two[two >= second].sum()
    return (one[both].sum() / totals[0], two[both].sum() / totals[1]) if min(totals) > 0 else nothing


def _bisect(background: Any, steps: int) -> int | None:
    left, right, before, found = 1, steps, 0, None
    candidate = (right - left) * 5 // 6 + left
    for _ in range(256):
        if background(candidate) >= 0:
            right, found = candidate + 1, candidate
        else:
            left = candidate - 1
        before, candidate = candidate, left + ((right - left) * 5 // 6 if right - left > 6 else (right - left) // 2)
        if candidate == before:
            return None if found is None else found - 1
    return None


_CORRELATION = "hts.stages.measure.families._kernels_correlation"
KERNELS = (
    KernelRow(f"{_CORRELATION}.correlate_integers", correlated, correlate, "none", correlate, (np.uint16,)),
    KernelRow(f"{_CORRELATION}.correlate_floats", correlated, correlate, "none", correlate, (np.float32,)),
    KernelRow(
        "hts.stages.measure.families._kernels_costes.costes",
        costes_shares,
        costes,
        "none",
        costes,
        (np.uint16, np.float32),
    ),
)
