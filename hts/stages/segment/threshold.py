"""Nuclei by threshold and a watershed on the distance to the edge."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from hts.arrays import array_module, ndimage, to_numpy
from hts.stages.segment import Images, Labels

LOCAL_BOUNDS = (0.7, 1.5)
"""A local threshold stays within these multiples of the global one, so that empty regions stay empty."""


class ThresholdParams(BaseModel):
    """Settings of ``method: threshold``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["threshold"] = "threshold"
    channel: str = Field("dna", description="role of the channel to segment")
    threshold: Literal["otsu", "local"] = Field(
        "otsu", description="one Otsu threshold a field, or one that follows the local mean (uneven light)"
    )
    correction: float = Field(
        1.0, gt=0, description="factor on the threshold's height above the background; below 1 takes in dimmer objects"
    )
    min_contrast: float = Field(
        4.0,
        ge=0,
        description="a field whose bright pixels are fewer background SDs above the dark ones than this is empty",
    )
    smooth_px: float = Field(1.0, ge=0, description="sigma of the Gaussian before the threshold")
    diameter_px: float = Field(20.0, gt=1, description="typical diameter of an object")
    min_area_px: int = Field(30, ge=1, description="smaller objects are dropped")
    max_area_px: int | None = Field(None, ge=1, description="larger objects are dropped")

    @property
    def roles(self) -> tuple[str, ...]:
        return (self.channel,)

    @property
    def needs(self) -> tuple[str, ...]:
        return ()


class ThresholdSegmenter:
    """Otsu (1979) or locally adapted threshold, then a watershed seeded at the peaks of the distance transform.

    Otsu's method always finds two classes; in a field of nothing but noise they are its darker and its
    brighter half. ``min_contrast`` is what tells an empty field from one with objects.
    """

    version = 1
    Params = ThresholdParams

    def segment(self, images: Images, labels: Labels, params: ThresholdParams) -> NDArray[np.int32]:
        """Label image (Y, X) int32 of the bright objects of one plane, numbered 1…n from top to bottom."""
        image = smooth(images[params.channel], params.smooth_px)
        if contrast(image) < params.min_contrast:
            return np.zeros(image.shape, np.int32)
        mask = foreground(image, params.threshold, params.correction, 4 * params.diameter_px)
        return _keep_valid(split_touching(mask, params.diameter_px), params)

    def working_bytes(self, params: ThresholdParams, shape: tuple[int, int]) -> int:
        return 64 * shape[0] * shape[1]


def finite_plane(plane: Any) -> Any:
    """`plane` with its smallest value in the place of what is no finite number; zeros when nothing is finite."""
    xp = array_module(plane)
    known = xp.isfinite(plane)
    if bool(known.all()):
        return plane
    return xp.where(known, plane, plane[known].min() if bool(known.any()) else xp.float32(0))


def smooth(image: Any, sigma_px: float) -> NDArray[np.float32]:
    """`image` as float32 after a Gaussian of `sigma_px`; runs where the array lives."""
    plane = finite_plane(image.astype(np.float32))
    if sigma_px > 0:
        plane = ndimage(plane).gaussian_filter(plane, sigma_px)
    return to_numpy(plane)


def foreground(
    image: NDArray[np.float32], method: Literal["otsu", "local"], correction: float, window_px: float
) -> NDArray[np.bool_]:
    """Pixels above the threshold, holes filled.

    A constant image has no foreground. Heights are counted from the background, the 5th percentile, so
    that the camera's offset does not matter. ``local`` compares with a Gaussian mean of sigma
    `window_px` / 2, kept within `LOCAL_BOUNDS` of the height of Otsu's threshold.
    """
    from scipy import ndimage as filters
    from skimage.filters import threshold_otsu

    if image.min() == image.max():
        return np.zeros(image.shape, np.bool_)
    base = float(np.percentile(image, 5))
    height: Any = threshold_otsu(image) - base
    if method == "local":
        mean = filters.gaussian_filter(image, window_px / 2)
        height = np.clip(mean - base, LOCAL_BOUNDS[0] * height, LOCAL_BOUNDS[1] * height)
    filled: NDArray[np.bool_] = filters.binary_fill_holes(image > base + correction * height)
    return filled


def contrast(image: NDArray[np.float32]) -> float:
    """Distance of the means of Otsu's two classes in SDs of the dark one.

    Otsu's classes of mere noise lie close together whatever its strength; objects stand apart. A constant image has 0.
    """
    from skimage.filters import threshold_otsu

    if image.min() == image.max():
        return 0.0
    is_bright = image > threshold_otsu(image)
    dark, bright = image[~is_bright], image[is_bright]
    spread = float(dark.std())
    distance = float(bright.mean()) - float(dark.mean())
    return distance / spread if spread > 0 else np.inf


def split_touching(mask: NDArray[np.bool_], diameter_px: float) -> NDArray[np.int32]:
    """Cut a mask at its necks: watershed of the smoothed distance to the edge, one seed per peak.

    Peaks nearer than 0.4 diameters are one object, unless background lies between them.
    """
    from scipy import ndimage as filters
    from skimage.feature import peak_local_max
    from skimage.segmentation import watershed

    if not mask.any():
        return np.zeros(mask.shape, np.int32)
    distance = filters.distance_transform_edt(mask).astype(np.float32)
    distance = filters.gaussian_filter(distance, diameter_px / 12)
    components, count = filters.label(mask)
    reach = max(1, round(0.4 * diameter_px))
    peaks = peak_local_max(distance, min_distance=reach, labels=components, exclude_border=False)
    # The spacing holds across components as well: those that lost their peak to a neighbour get it back.
    lonely = np.setdiff1d(np.arange(1, count + 1), components[tuple(peaks.T)])
    if lonely.size:
        peaks = np.concatenate([peaks, filters.maximum_position(distance, components, lonely)])
    seeds = np.zeros(mask.shape, np.int32)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    result: NDArray[np.int32] = watershed(-distance, seeds, mask=mask).astype(np.int32)
    return result


def _keep_valid(labels: NDArray[np.int32], params: ThresholdParams) -> NDArray[np.int32]:
    """Drop objects by area, number the rest in raster order of their first pixel."""
    area = np.bincount(labels.ravel())
    keep = area >= params.min_area_px
    if params.max_area_px is not None:
        keep &= area <= params.max_area_px
    keep[0] = False
    kept = np.where(keep[labels], labels, 0)
    ids, first = np.unique(kept.ravel(), return_index=True)
    order = ids[np.argsort(first)]
    renumber = np.zeros(len(area), np.int32)
    renumber[order[order > 0]] = np.arange(1, np.count_nonzero(ids) + 1)
    numbered: NDArray[np.int32] = renumber[kept]
    return numbered
