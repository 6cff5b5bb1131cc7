"""Rings and slices of objects, the slow obvious way."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hts.stages.measure.families import _kernels_radial as kernels
from hts.stages.measure.shared._kernels_distance import Frame
from hts.stages.measure.shared.distance import edge_distances
from hts.stages.measure.shared.runs import over_objects, runs_of
from tests.reference import distance, geodesic
from tests.reference.rows import KernelRow

Labels = NDArray[np.int32]


def coded(labels: Labels, count: int, rings: kernels.Rings) -> NDArray[np.uint16]:
    """As the kernel codes pixels, in parts."""
    runs = runs_of(labels, count)
    codes = np.empty(int(runs.offset[-1]), np.uint16)
    frame, edge = Frame(*labels.shape, False), edge_distances(runs, labels.shape)
    over_objects(kernels.code_pixels, runs, frame, rings, edge, codes, threads=3)
    return codes


def codes(labels: Labels, count: int, rings: kernels.Rings) -> NDArray[np.uint16]:
    """The twin: each object on its own, with the twins of both distances."""
    found = [np.zeros(0, np.uint16)]
    for number in range(1, count + 1):
        mask = (labels == number).astype(np.int32)
        pixels = np.argwhere(mask)
        if len(pixels):
            edge = np.sqrt(distance.of_pixels(mask, 1, closed=bool(mask.all())).astype(np.float64))
            centre = int(np.argmax(edge))
            lengths = geodesic.of_graph(mask, 1, np.array([centre]))
            way = lengths + edge + 0.001 if rings.scaled else np.full(len(pixels), rings.maximum_radius_px)
            ring = np.zeros(len(pixels), int)
            reached = np.isfinite(lengths)
            ring[reached] = np.minimum(lengths[reached] / way[reached] * rings.bins, rings.bins).astype(int)
            below, right = (pixels - pixels[centre]).T
            piece = (below > 0) + 2 * (right > 0) + 4 * (np.abs(below) > np.abs(right))
            found.append(np.where(reached, 8 * ring + piece, 8 * (rings.bins + 1)).astype(np.uint16))
    return np.concatenate(found)


def summed(labels: Labels, count: int, values: NDArray[Any]) -> NDArray[np.float64]:
    """As the kernel sums values by code, in parts; the codes are 0 … 4 in turn."""
    runs = runs_of(labels, count)
    sums = np.zeros((count, 5))
    over_objects(kernels.sum_by_code, runs, _in_turn(len(values)), values, sums, threads=3)
    return sums


def sums(labels: Labels, count: int, values: NDArray[Any]) -> NDArray[np.float64]:
    """The twin."""
    owner = np.sort(labels[labels > 0]) - 1
    found = np.zeros((count, 5))
    np.add.at(found, (owner, _in_turn(len(values))), values)
    return found


def _in_turn(size: int) -> NDArray[np.uint16]:
    return (np.arange(size) % 5).astype(np.uint16)


def _row(name: str, call: Any, twin: Any, *dtypes: type[np.generic]) -> KernelRow:
    return KernelRow(f"hts.stages.measure.families._kernels_radial.{name}", call, twin, "none", twin, dtypes)


KERNELS = (
    _row("code_pixels", coded, codes, np.int32),
    _row("sum_by_code", summed, sums, np.uint16, np.float32),
)
