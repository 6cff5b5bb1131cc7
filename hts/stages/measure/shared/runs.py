"""Objects as runs, and work on objects shared among threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hts.stages.measure.shared import _kernels_runs as kernels

Runs = kernels.Runs

PARTS_PER_THREAD = 4
"""More parts than threads, so that an object which costs more than others holds nobody up."""


def runs_of(labels: NDArray[np.int32], count: int) -> Runs:
    """List the pixels of labels 1 … ``count`` of (Y, X) int32; see :class:`Runs`."""
    first, offset = np.zeros(count + 1, np.int64), np.zeros(count + 1, np.int64)
    kernels.count_runs(read_only(labels), first, offset)
    np.cumsum(first, out=first)
    np.cumsum(offset, out=offset)
    row, start, stop = np.empty((3, int(first[-1])), np.int32)
    runs = Runs(first, row, start, stop, offset)
    kernels.list_runs(read_only(labels), first.copy(), runs)
    return runs


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """The array as kernels take their input.

    Numba compiles anew for read-only arrays, such as those of a store; always read-only is one kernel a dtype.
    """
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def over_objects(kernel: Callable[..., None], runs: Runs, *arguments: Any, threads: int = 1) -> None:
    """Call ``kernel(first, stop, runs, *arguments)`` until every object has had its turn, in several threads at once.

    The parts have about the same number of pixels. A kernel writes only what belongs to its own objects, so that the
    result does not depend on the number of threads.
    """
    count = runs.offset.size - 1
    parts = 1 if threads == 1 else threads * PARTS_PER_THREAD
    marks = np.searchsorted(runs.offset, np.linspace(0, runs.offset[-1], parts + 1)[1:-1])
    bounds = np.unique([0, *marks.clip(0, count), count])
    spans = [(int(first), int(stop)) for first, stop in pairwise(bounds)]
    in_threads([partial(kernel, *span, runs, *arguments) for span in spans], threads)


def in_threads(tasks: list[Callable[[], Any]], threads: int) -> list[Any]:
    """The results of ``tasks`` in their order, run in up to so many threads at once."""
    if threads == 1 or len(tasks) < 2:
        return [task() for task in tasks]
    with ThreadPoolExecutor(threads) as pool:
        return [future.result() for future in [pool.submit(task) for task in tasks]]
