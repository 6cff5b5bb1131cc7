"""The field of the benchmarks of measuring and of segmentation: touching cells, textured channels."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


@dataclass(frozen=True)
class FieldSpec:
    """What to measure."""

    side_px: int = 2048
    cells: int = 1050
    channels: int = 5
    dtype: str = "uint16"
    seed: int = 7


def make_field(spec: FieldSpec) -> tuple[NDArray[np.int32], NDArray[Any]]:
    """Touching cells (nearest of seeds on a jittered grid, up to a radius) and textured channels (C, Y, X)."""
    rng = np.random.default_rng(spec.seed)
    shape = (spec.side_px, spec.side_px)
    spacing = spec.side_px / np.sqrt(spec.cells)
    grid = int(np.ceil(np.sqrt(spec.cells)))
    nodes = (np.indices((grid, grid)).reshape(2, -1).T + 0.5) * (spec.side_px / grid)
    nodes = nodes[rng.permutation(len(nodes))[: spec.cells]] + rng.uniform(-0.35, 0.35, (spec.cells, 2)) * spacing
    y, x = nodes.clip(0, spec.side_px - 1).astype(int).T
    seeds = np.zeros(shape, dtype=np.int32)
    seeds[y, x] = np.arange(1, spec.cells + 1)
    distance, nearest = ndimage.distance_transform_edt(seeds == 0, return_indices=True)
    labels = seeds[tuple(nearest)]
    labels[distance > 0.75 * spacing] = 0
    levels = rng.uniform(0.2, 1.0, (spec.channels, spec.cells + 1))
    levels[:, 0] = 0.05
    top = 200.0 if spec.dtype == "uint8" else 5000.0
    images = [rng.poisson(top * level[labels] * np.exp(-distance / spacing)) for level in levels]
    limit = 255 if spec.dtype == "uint8" else 65535
    return labels.astype(np.int32), np.stack([np.minimum(image, limit).astype(spec.dtype) for image in images])


def cpu_seconds(call: Callable[[], Any], repeats: int) -> list[float]:
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return times
