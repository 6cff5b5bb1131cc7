"""The order of grey levels inside objects: ranks for rank-weighted colocalisation, quartiles for intensity."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hts.stages.measure.shared import _kernels_ranks as kernels
from hts.stages.measure.shared.runs import Runs, over_objects, read_only

Order = kernels.Order
LOWER, MEDIAN, UPPER, MAD = kernels.LOWER, kernels.MEDIAN, kernels.UPPER, kernels.MAD

LINEAR, CUMULATIVE = 0, 1
"""Third index of ``Order.statistics``: quantile q of n pixels is at q (n - 1), as numpy has it, or at q n."""


def order_of(runs: Runs, values: NDArray[Any], *, ranks: bool, threads: int = 1) -> Order:
    """Order the pixels of every object by grey level.

    Parameters
    ----------
    values : (C, N) uint16 or float32, object by object; see :class:`Runs`.
    ranks : whether the rank of each pixel is wanted, which is uint16, or uint32 for images of floats.

    Returns
    -------
    Statistics are NaN and counts 0 for objects without a pixel. What is said of an object with a pixel that is not
    finite means nothing.
    """
    channels, pixels = values.shape
    count = runs.offset.size - 1
    real = values.dtype == np.float32
    order = Order(
        distinct=np.zeros((count, channels), np.int64),
        statistics=np.full((count, channels, 2, kernels.STATISTICS), np.nan),
        ranks=np.empty((channels, pixels if ranks else 0), np.uint32 if real else np.uint16),
    )
    kernel = kernels.order_floats if real else kernels.order_integers
    over_objects(kernel, runs, read_only(values), order, threads=threads)
    return order
