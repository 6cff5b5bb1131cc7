"""Segmentation: images of one field in, one label image per object set out.

A segmenter is a class with a name, a version (raised when its numbers change), a frozen parameter
model ``Params`` and one pure function. Others add theirs through the entry-point group
``hts.segmenters``; ours are registered the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Images = Mapping[str, NDArray[Any]]
Labels = Mapping[str, NDArray[np.int32]]


class Segmenter(Protocol):
    """What the engine needs of a segmenter.

    ``Params`` is a frozen pydantic model with a ``method`` key and the properties ``roles`` (channel
    roles it reads) and ``needs`` (object sets it starts from).
    """

    version: int
    Params: type[Any]

    def segment(self, images: Images, labels: Labels, params: Any) -> NDArray[np.int32]:
        """Label image (Y, X), int32: 0 outside, objects numbered from 1.

        Parameters
        ----------
        images : planes (Y, X) by channel role.
        labels : label images (Y, X) of the object sets already made.
        params : an instance of ``Params``.
        """
        ...

    def working_bytes(self, params: Any, shape: tuple[int, int]) -> int:
        """Most memory `segment` needs beyond its input, for a field of `shape`."""
        ...


def segment_field(images: Images, steps: Mapping[str, tuple[Segmenter, Any]]) -> dict[str, NDArray[np.int32]]:
    """Run the steps in order; each sees the images and the object sets made before it.

    Parameters
    ----------
    images : planes (Y, X) by channel role.
    steps : by object set its segmenter and parameters, in an order that satisfies ``needs``.
    """
    labels: dict[str, NDArray[np.int32]] = {}
    for name, (segmenter, params) in steps.items():
        labels[name] = segmenter.segment(images, labels, params)
    return labels


def warm_up() -> None:
    """Compile the kernels, or load them from the cache, before any clock runs."""
    from hts.stages.segment import normalize
    from hts.stages.segment._kernels_propagate import propagate
    from hts.stages.segment.flows import masks
    from hts.stages.segment.propagate import heap_buffers
    from hts.stages.segment.stitch import block_grid, stitch

    normalize.warm_up()
    labels = np.zeros((4, 4), np.int32)
    labels[1, 1] = 1
    propagate(np.zeros((4, 4), np.float32), labels, np.ones((4, 4), np.bool_), 0.1, heap_buffers(labels.shape))
    masks.warm_up()
    stitch(block_grid((4, 4), 2, 2), [np.ones((3, 3), np.int32)] * 4)
