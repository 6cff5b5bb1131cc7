"""Shape and intensity features of one field: `hts` beside scikit-image's ``regionprops_table``.

One 2048 x 2048 field, 5 channels, 1,050 touching cells, one process, one thread, CPU time, medians; the values are
compared before anything is printed. Run ``python benchmarks/bench_measure.py [--small] [--dtype uint16]``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for tests.reference, when run as a script

from hts.stages.measure import measure_field, warm_up
from hts.stages.measure.families.intensity import IntensityFeatures
from hts.stages.measure.families.shape import ShapeFeatures
from tests.reference.rows import KernelRow
from tests.reference.table import KERNELS

RELATIVE_TOLERANCE = 1e-9


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


def our_features(row: KernelRow, labels: NDArray[np.int32], images: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    channels = tuple(f"c{channel}" for channel in range(len(images)))
    moments = row.call(labels, images)
    return {**ShapeFeatures().compute(moments, channels), **IntensityFeatures().compute(moments, channels)}


def cpu_seconds(call: Callable[[], Any], repeats: int) -> list[float]:
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return times


def largest_difference(ours: dict[str, NDArray[np.float64]], peer: dict[str, NDArray[np.float64]]) -> float:
    """Largest relative difference over the features of the peer; angles are compared modulo 180 degrees."""
    worst = 0.0
    for name, theirs in peer.items():
        difference = np.abs(ours[name] - theirs)
        if name.endswith("Orientation"):
            difference = np.minimum(difference, 180 - difference)
        worst = max(worst, float(np.max(difference / np.maximum(np.abs(theirs), 1e-3))))
    return worst


def compare(spec: FieldSpec, repeats: int, peer_repeats: int) -> dict[str, Any]:
    row = next(row for row in KERNELS if np.dtype(spec.dtype) in [np.dtype(dtype) for dtype in row.dtypes])
    labels, images = make_field(spec)
    images_last = np.ascontiguousarray(np.moveaxis(images, 0, -1))
    start = time.perf_counter()
    warm_up()
    warm_up_s = time.perf_counter() - start
    # The peer sums floats in their own precision, so values are compared in float64 and timed as they are.
    exact = images_last if images.dtype.kind == "u" else images_last.astype(np.float64)
    difference = largest_difference(our_features(row, labels, images), row.peer(labels, exact))
    ours = cpu_seconds(lambda: our_features(row, labels, images), repeats)
    peer = cpu_seconds(lambda: row.peer(labels, images_last), peer_repeats)
    sets = {"nuclei": labels, "cells": labels, "cytoplasm": labels}
    planes = {f"c{channel}": image for channel, image in enumerate(images)}
    table = cpu_seconds(lambda: measure_field(sets, planes), repeats)
    return {
        "benchmark": "measure",
        "kernel": row.kernel,
        "peer": row.peer_name,
        "field": {"side_px": spec.side_px, "channels": spec.channels, "cells": spec.cells, "dtype": spec.dtype},
        "ours_s": statistics.median(ours),
        "ours_n": repeats,
        "peer_s": statistics.median(peer),
        "peer_n": peer_repeats,
        "ratio": statistics.median(peer) / statistics.median(ours),
        "largest_relative_difference": difference,
        "equal": difference <= RELATIVE_TOLERANCE,
        "table_of_3_object_sets_with_correlations_s": statistics.median(table),
        "warm_up_s": warm_up_s,
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--small", action="store_true", help="a 256 x 256 field, to see that the benchmark works")
    parser.add_argument("--dtype", choices=("uint8", "uint16", "float32"), default="uint16")
    chosen = parser.parse_args(arguments)
    spec = FieldSpec(side_px=256, cells=20, dtype=chosen.dtype) if chosen.small else FieldSpec(dtype=chosen.dtype)
    result = compare(spec, repeats=3 if chosen.small else 15, peer_repeats=1 if chosen.small else 5)
    print(json.dumps(result))
    print(
        f"{result['ratio']:.0f} times {result['peer']}: {result['ours_s'] * 1e3:.1f} ms (n = {result['ours_n']}) "
        f"against {result['peer_s'] * 1e3:.0f} ms (n = {result['peer_n']}); "
        f"largest relative difference {result['largest_relative_difference']:.1e}"
    )
    return 0 if result["equal"] else 1


if __name__ == "__main__":
    sys.exit(main())
