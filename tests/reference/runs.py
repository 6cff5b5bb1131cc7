"""Objects as runs, the slow obvious way."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hts.stages.measure.shared import _kernels_runs as kernels
from hts.stages.measure.shared.runs import Runs, over_objects, runs_of
from tests.reference.rows import KernelRow


def counted(labels: NDArray[np.int32], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Runs and pixels of each number, as the kernel counts them."""
    first, offset = np.zeros(count + 1, np.int64), np.zeros(count + 1, np.int64)
    kernels.count_runs(labels, first, offset)
    return first, offset


def count_runs(labels: NDArray[np.int32], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The twin."""
    numbers = range(1, count + 1)
    before = np.pad(labels, ((0, 0), (1, 0)))[:, :-1]
    runs = [np.count_nonzero((labels == number) & (before != number)) for number in numbers]
    return np.array([0, *runs]), np.array([0, *(np.count_nonzero(labels == number) for number in numbers)])


def listed(labels: NDArray[np.int32], count: int) -> list[tuple[int, int, int, int]]:
    """(object, row, start, stop) of each run, as the kernel lists them."""
    runs = runs_of(labels, count)
    owner = np.repeat(np.arange(count), np.diff(runs.first))
    return [tuple(map(int, each)) for each in zip(owner, runs.row, runs.start, runs.stop, strict=True)]


def list_runs(labels: NDArray[np.int32], count: int) -> list[tuple[int, int, int, int]]:
    """The twin."""
    found = []
    for i in range(count):
        for y, row in enumerate(labels == i + 1):
            edges = np.flatnonzero(np.diff(np.concatenate([[False], row, [False]]).astype(int)))
            found += [(i, y, int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]
    return found


def gathered(labels: NDArray[np.int32], image: NDArray[Any], count: int) -> NDArray[Any]:
    """Values by object, as the kernel gathers them, in parts."""
    runs = runs_of(labels, count)
    values = np.empty(int(runs.offset[-1]), image.dtype)
    over_objects(kernels.gather, runs, image, values, threads=3)
    return values


def gather(labels: NDArray[np.int32], image: NDArray[Any], count: int) -> NDArray[Any]:
    """The twin."""
    return np.concatenate([image[labels == number] for number in range(1, count + 1)] or [image[:0, 0]])


def _row(name: str, call: Any, twin: Any, *dtypes: type[np.generic]) -> KernelRow:
    return KernelRow(f"hts.stages.measure.shared._kernels_runs.{name}", call, twin, "none", twin, dtypes)


KERNELS = (
    _row("count_runs", counted, count_runs, np.int32),
    _row("list_runs", listed, list_runs, np.int32),
    _row("gather", gathered, gather, np.uint16, np.float32),
)

__all__ = ["KERNELS", "Runs"]
