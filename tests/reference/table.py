"""Every kernel with its slow twin and its peer: one table for the tests and for the benchmarks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hts.stages.measure.moments import object_moments
from hts.stages.segment._kernels_propagate import propagate
from hts.stages.segment.propagate import heap_buffers
from hts.stages.segment.stitch import _kernels_stitch as kernels_stitch
from tests.reference import measure, segment, stitch


@dataclass(frozen=True)
class KernelRow:
    """A kernel, by name; the call that allocates and checks for it; its twin; who else computes the same."""

    kernel: str
    call: Callable[..., Any]
    twin: Callable[..., Any]
    peer_name: str
    peer: Callable[..., Any]
    dtypes: tuple[type[np.generic], ...]


def grown(
    image: NDArray[np.float32], seeds: NDArray[np.int32], mask: NDArray[np.bool_], regularization: float
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Labels and costs of the propagation kernel; `seeds` stay as they are."""
    labels = seeds.copy()
    buffers = heap_buffers(labels.shape)
    propagate(image, labels, mask, regularization, buffers)
    return labels, buffers[2].reshape(labels.shape)


KERNELS: tuple[KernelRow, ...] = (
    KernelRow(
        kernel="hts.stages.measure._kernels_moments.integer_moments",
        call=object_moments,
        twin=measure.sums,
        peer_name="scikit-image regionprops_table",
        peer=measure.scikit_image,
        dtypes=(np.uint8, np.uint16),
    ),
    KernelRow(
        kernel="hts.stages.measure._kernels_moments.float_moments",
        call=object_moments,
        twin=measure.sums,
        peer_name="scikit-image regionprops_table",
        peer=measure.scikit_image,
        dtypes=(np.float32,),
    ),
    KernelRow(
        kernel="hts.stages.segment._kernels_propagate.propagate",
        call=grown,
        twin=segment.propagate,
        peer_name="scikit-image expand_labels",
        peer=segment.voronoi,
        dtypes=(np.float32,),
    ),
    *(
        KernelRow(
            kernel=f"hts.stages.segment.stitch._kernels_stitch.{name}",
            call=getattr(kernels_stitch, name),
            twin=getattr(stitch, name),
            peer_name="none",
            peer=getattr(stitch, name),
            dtypes=(np.int32,),
        )
        for name in ("number_in_raster_order", "object_sums", "border_runs", "run_overlaps", "paint_runs")
    ),
)
