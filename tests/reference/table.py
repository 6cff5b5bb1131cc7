"""Every kernel with its slow twin and its peer: one table for the tests and for the benchmarks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from hts.stages.measure.moments import object_moments
from tests.reference import measure


@dataclass(frozen=True)
class KernelRow:
    """A kernel, by name; the call that allocates and checks for it; its twin; who else computes the same."""

    kernel: str
    call: Callable[..., Any]
    twin: Callable[..., Any]
    peer_name: str
    peer: Callable[..., Any]
    dtypes: tuple[type[np.generic], ...]


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
)
