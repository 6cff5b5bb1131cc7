"""Texture features, the slow obvious way: whole co-occurrence matrices, and the definitions as sums over them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hts.stages.measure.families import _kernels_texture as kernels
from hts.stages.measure.shared.runs import over_objects, read_only, runs_of
from tests.reference.rows import KernelRow


def quantised(values: NDArray[np.uint16], table: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Levels as the kernel looks them up."""
    levels = np.empty(values.size, np.uint8)
    kernels.to_levels(read_only(values), table, levels)
    return levels


def to_levels(values: NDArray[np.uint16], table: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The twin."""
    return table[values]


def textures(labels: NDArray[np.int32], levels: NDArray[np.uint8], count: int, scale_px: int) -> NDArray[np.float64]:
    """(count, 4, 13) as the kernel finds them, in parts; ``levels`` (Y, X)."""
    runs = runs_of(labels, count)
    listed = np.concatenate([levels[labels == number] for number in range(1, count + 1)])
    found = np.zeros((count, 4, 13))
    over_objects(kernels.haralick, runs, read_only(listed), scale_px, found, threads=2)
    return found


def haralick(labels: NDArray[np.int32], levels: NDArray[np.uint8], count: int, scale_px: int) -> NDArray[np.float64]:
    """The twin."""
    found = np.full((count, 4, 13), np.nan)
    for i in range(count):
        inside = np.where(labels == i + 1, levels, 0).astype(int)
        matrices = [pairs_of(inside, scale_px * y, scale_px * x) for y, x in kernels.STEPS]
        if all(matrix.sum() for matrix in matrices):
            found[i] = [features(matrix, inside.max() + 1) for matrix in matrices]
    return found


def pairs_of(inside: NDArray[np.int64], down: int, right: int) -> NDArray[np.int64]:
    """(256, 256) how often a level and another one a step apart occur, in both orders; level 0 is outside."""
    matrix = np.zeros((256, 256), np.int64)
    height, width = inside.shape
    for y in range(height):
        for x in range(width):
            if y + down < height and 0 <= x + right < width:
                here, there = inside[y, x], inside[y + down, x + right]
                if here and there:
                    matrix[here, there] += 1
                    matrix[there, here] += 1
    return matrix


def entropy(probabilities: NDArray[np.float64]) -> float:
    """In bits."""
    some = probabilities[probabilities > 0]
    return float(-(some * np.log2(some)).sum())


def features(matrix: NDArray[np.int64], bins: int) -> list[float]:
    """The 13 features in their order; ``bins`` differences for their variance."""
    p = matrix / matrix.sum()
    i, j = np.indices(p.shape)
    single = p.sum(axis=0)
    mean = (i * p).sum()
    variance = ((i - mean) ** 2 * p).sum()
    sums = np.bincount((i + j).ravel(), p.ravel())
    differences = np.bincount(abs(i - j).ravel(), p.ravel())
    information = 2 * entropy(single) - entropy(p)
    constant = np.count_nonzero(single) == 1
    return [
        (p**2).sum(),
        ((i - j) ** 2 * p).sum(),
        np.nan if constant else ((i - mean) * (j - mean) * p).sum() / variance,
        variance,
        (p / (1 + (i - j) ** 2)).sum(),
        2 * mean,
        ((i + j - 2 * mean) ** 2 * p).sum(),
        entropy(sums),
        entropy(p),
        np.var(differences[:bins]),
        entropy(differences),
        np.nan if constant else -information / entropy(single),
        np.sqrt(max(1 - np.exp(-2 * information), 0)),
    ]


def _row(name: str, call: Any, twin: Any, *dtypes: type[np.generic]) -> KernelRow:
    return KernelRow(f"hts.stages.measure.families._kernels_texture.{name}", call, twin, "none", twin, dtypes)


KERNELS = (_row("to_levels", quantised, to_levels, np.uint16), _row("haralick", textures, haralick, np.uint8))
