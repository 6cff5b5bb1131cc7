"""Ranks and quantiles of grey levels, the slow obvious way."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hts.stages.measure.shared import _kernels_ranks as kernels
from hts.stages.measure.shared.ranks import order_of
from hts.stages.measure.shared.runs import runs_of
from tests.reference.rows import KernelRow
from tests.reference.runs import gather

Ordered = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[Any]]


def sorted_keys(keys: NDArray[np.uint64], low_bit: int = 0) -> NDArray[np.uint64]:
    """As the kernel sorts them; `keys` stay as they are."""
    found = keys.copy()
    kernels.sort_keys(found, np.empty_like(found), low_bit)
    return found


def sort_keys(keys: NDArray[np.uint64], low_bit: int = 0) -> NDArray[np.uint64]:
    """The twin."""
    return np.array(sorted(keys.tolist()), np.uint64)


def ordered(labels: NDArray[np.int32], image: NDArray[Any], count: int, *, ranks: bool = True) -> Ordered:
    """Number of grey levels, statistics and ranks of one channel, as the kernels find them, in three parts."""
    runs = runs_of(labels, count)
    order = order_of(runs, gather(labels, image, count)[None], ranks=ranks, threads=3)
    return order.distinct[:, 0], order.statistics[:, 0], order.ranks[0]


def order(labels: NDArray[np.int32], image: NDArray[Any], count: int) -> Ordered:
    """The twin: NumPy object by object."""
    distinct, statistics, ranks = np.zeros(count, np.int64), np.full((count, 2, 4), np.nan), []
    for i in range(count):
        values = image[labels == i + 1].astype(np.float64)
        levels, rank = np.unique(values, return_inverse=True)
        distinct[i] = levels.size
        ranks.append(rank.ravel())
        for convention in range(2 if values.size else 0):
            found = [_quantile(values, q, convention) for q in (0.25, 0.5, 0.75)]
            statistics[i, convention] = *found, _quantile(np.abs(values - found[1]), 0.5, convention)
    return distinct, statistics, np.concatenate([*ranks, np.zeros(0, np.int64)])


def _quantile(values: NDArray[np.float64], q: float, convention: int) -> float:
    return float(np.interp(q * (values.size - 1 + convention), np.arange(values.size), np.sort(values)))


def _row(name: str, call: Any, twin: Any, *dtypes: type[np.generic]) -> KernelRow:
    return KernelRow(f"hts.stages.measure.shared._kernels_ranks.{name}", call, twin, "none", twin, dtypes)


KERNELS = (
    _row("sort_keys", sorted_keys, sort_keys, np.uint64),
    _row("order_integers", ordered, order, np.uint16),
    _row("order_floats", ordered, order, np.float32),
)
