"""Cells grown from nuclei along the image (Jones, Carpenter & Golland 2005)."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from hts.errors import StageError
from hts.stages.segment import Images, Labels
from hts.stages.segment.threshold import foreground, smooth

Buffers = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]


class PropagateParams(BaseModel):
    """Settings of ``method: propagate``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["propagate"] = "propagate"
    channel: str = Field("reporter", description="role of the channel that shows the cell bodies")
    seeds: str = Field("nuclei", description="object set the cells grow from; they keep its numbers")
    threshold: Literal["otsu", "local", "none"] = Field(
        "otsu", description="what is cell at all; none: everything within max_distance_px"
    )
    correction: float = Field(1.0, gt=0, description="factor on the threshold")
    smooth_px: float = Field(1.0, ge=0, description="sigma of the Gaussian before anything else")
    max_distance_px: float = Field(50.0, gt=0, description="cells end at this distance from the nearest nucleus")
    regularization: float = Field(
        0.05, gt=0, description="weight of distance against intensity steps; large values give Voronoi cells"
    )

    @property
    def roles(self) -> tuple[str, ...]:
        return (self.channel,)

    @property
    def needs(self) -> tuple[str, ...]:
        return (self.seeds,)


class PropagateSegmenter:
    """Every pixel of the foreground goes to the nucleus with the cheapest path.

    A path pays for the change of the image along it and, by ``regularization``, for its length:
    T. R. Jones, A. Carpenter and P. Golland, "Voronoi-based segmentation of cells on image
    manifolds", CVBIA 2005. The image is scaled so that its 1st to 99th percentile span 0 to 1.
    """

    version = 1
    Params = PropagateParams

    def segment(self, images: Images, labels: Labels, params: PropagateParams) -> NDArray[np.int32]:
        """Label image (Y, X) int32 with the numbers of the seeds; each cell contains its seed.

        Raises
        ------
        StageError
            when seeds and image differ in shape.
        """
        from scipy.ndimage import distance_transform_edt

        from hts.stages.segment._kernels_propagate import propagate

        seeds = labels[params.seeds]
        image = smooth(images[params.channel], params.smooth_px)
        if seeds.shape != image.shape:
            raise StageError("seeds and image of one shape", found=f"{seeds.shape} and {image.shape}")
        if not seeds.any():
            return np.zeros(seeds.shape, np.int32)
        mask = distance_transform_edt(seeds == 0) <= params.max_distance_px
        if params.threshold != "none":
            mask &= foreground(image, params.threshold, params.correction, 2 * params.max_distance_px)
        cells = seeds.astype(np.int32, copy=True)
        propagate(_unit_range(image), cells, mask, params.regularization, heap_buffers(cells.shape))
        return cells

    def working_bytes(self, params: PropagateParams, shape: tuple[int, int]) -> int:
        return 64 * shape[0] * shape[1]


def heap_buffers(shape: tuple[int, ...]) -> Buffers:
    """Memory the kernel works in, for an image of `shape`."""
    pixels = int(np.prod(shape))
    return np.empty(pixels, np.int32), np.empty(pixels, np.int32), np.empty(pixels, np.float64)


def _unit_range(image: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = np.percentile(image, (1, 99))
    scaled: NDArray[np.float32] = ((image - low) / max(high - low, 1e-12)).astype(np.float32)
    return scaled
