"""Granularity: how much of an object's brightness vanishes with structures of each size, as CellProfiler defines it."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hts.stages.measure.families import _kernels_granularity as kernels
from hts.stages.measure.features import BuiltInFamily, FamilyParams, FeatureInfo, channel_token
from hts.stages.measure.shared.runs import read_only

if TYPE_CHECKING:
    from hts.stages.measure.shared.objects import Objects

_SOURCE = "CellProfiler 4 MeasureGranularity; Ravkin and Temov 1988; Vincent 2000, Fundam. Inform. 41, 57"


class GranularityParams(FamilyParams):
    """Settings of the granularity features; CellProfiler's names of them in brackets."""

    subsample: float = Field(
        0.25, gt=0, le=1, description="the image is sampled by this factor before anything else [Subsampling factor]"
    )
    background_subsample: float = Field(
        0.25, gt=0, le=1, description="once more by this factor to find the background [Subsampling factor, background]"
    )
    background_radius_px: int = Field(
        10,
        ge=1,
        le=1000,
        description="radius of the disk that opens the background, in its pixels [structuring element]",
    )
    scales: int = Field(
        16, ge=1, le=256, description="sizes that are measured, in pixels of the sampled image [granular spectrum]"
    )


class GranularityFeatures(BuiltInFamily):
    """The granular spectrum of every channel."""

    name = "granularity"
    version = 1
    needs = ("moments", "runs")
    bytes_px = 4.0
    cost_ns = 11.0
    approximate_in_blocks = "granularity (blocks are sampled from their own first pixel, and spots end at their edges)"
    Params = GranularityParams

    def catalogue(self, channels: tuple[str, ...]) -> tuple[FeatureInfo, ...]:
        """One feature a channel and scale."""
        return tuple(
            FeatureInfo(
                f"Granularity_{scale}_{channel_token(role)}",
                self.name,
                "1",
                role,
                _definition(role, self.params.subsample),
                _SOURCE,
            )
            for role in channels
            for scale in range(1, self.params.scales + 1)
        )

    def compute(self, objects: Objects) -> dict[str, NDArray[np.float64]]:
        """(n,) values by name; NaN for objects with a pixel that is not finite, which is 0 to its neighbours."""
        sums = self._sums(objects)
        columns: dict[str, NDArray[np.float64]] = {}
        for channel, role in enumerate(objects.channels):
            start = objects.moments.mean(channel)
            start = np.where(objects.finite[:, channel] & (start > 0), start, np.nan)
            means = np.vstack([start, sums[channel] / objects.moments.pixels])
            lost = -100 * np.diff(means, axis=0) / start
            columns.update({f"Granularity_{k + 1}_{channel_token(role)}": lost[k] for k in range(self.params.scales)})
        return columns

    def _sums(self, objects: Objects) -> NDArray[np.float64]:
        """(C, scales, n) sums over the objects of the images after each scale.

        The images do not depend on the objects, and are too many to keep: the objects of all sets are summed at once.
        """
        key = f"granularity {self.params!r}"
        known: dict[Objects, NDArray[np.float64]] = objects.field.shared.setdefault(key, {})
        if objects not in known:
            together = list(dict.fromkeys([*objects.field.sets.values(), objects]))
            known.update(zip(together, sums_after_scales(together, self.params), strict=True))
        return known[objects]


def sums_after_scales(sets: list[Objects], params: GranularityParams) -> list[NDArray[np.float64]]:
    """By object set the (C, scales, n) sums of the images from which structures up to each scale have been taken.

    NaN when the sampled field is narrower than 2 px. A part of a field is sampled from its own first pixel.

    Parameters
    ----------
    sets : object sets of one field.
    """
    first = sets[0]
    shape = first.labels.shape
    size = (int(shape[0] * params.subsample), int(shape[1] * params.subsample))
    sums = [np.full((len(first.channels), params.scales, each.count), np.nan) for each in sets]
    if min(size) >= 2:
        axes = [_axis(np.arange(shape[k]) * ((size[k] - 1) / (shape[k] - 1)), size[k]) for k in (0, 1)]
        weights = [_weights(each, axes, size) for each in sets]
        channels = range(len(first.channels))
        tasks: list[Callable[[], Any]] = [
            partial(_sum_channel, image, size, params, weights, [each[channel] for each in sums])
            for channel, image in zip(channels, first.field.images, strict=True)
        ]
        first.in_threads(tasks)
    return sums


def _sum_channel(
    image: NDArray[Any],
    size: tuple[int, int],
    params: GranularityParams,
    weights: list[kernels.Weights],
    sums: list[NDArray[np.float64]],
) -> None:
    """Fill by object set the (scales, n) ``sums`` of a channel.

    An opening by a larger shape is at most the one by a smaller: what a scale leaves is all the next can spread in.
    """
    left = structures(image, size, params)
    eroded, smaller, opened = left.copy(), np.empty_like(left), np.empty_like(left)
    queue, waiting = np.empty(left.size, np.int32), np.zeros(left.size, np.uint8)
    cross = np.array([1, 0])
    for scale in range(params.scales):
        kernels.erode(eroded, cross, smaller)
        eroded, smaller = smaller, eroded
        opened[:] = eroded
        kernels.reconstruct(left, opened, queue, waiting)
        left, opened = opened, left
        for each, found in zip(weights, sums, strict=True):
            kernels.weighted_sums(each, left, found[scale])


def structures(image: NDArray[Any], size: tuple[int, int], params: GranularityParams) -> NDArray[np.float64]:
    """The image (Y, X), sampled to ``size``, less its background, nowhere below 0."""
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        image = np.where(np.isfinite(image), image, image.dtype.type(0))
    sampled = _sampled(image, [_axis(np.arange(size[k]) / params.subsample, image.shape[k]) for k in (0, 1)])
    factor = params.background_subsample
    back_size = [math.ceil(side * factor) for side in size]
    back = _sampled(sampled, [_axis(np.arange(back_size[k]) / factor, size[k]) for k in (0, 1)])
    back = _opened(back, params.background_radius_px)
    steps = [(side * factor - 1) / (side - 1) for side in size]
    background = _sampled(back, [_axis(np.arange(size[k]) * steps[k], back_size[k]) for k in (0, 1)])
    return np.maximum(sampled - background, 0.0)


def _opened(image: NDArray[np.float64], radius_px: int) -> NDArray[np.float64]:
    """Erosion, then dilation, with a disk."""
    reach = np.array([math.isqrt(radius_px**2 - y**2) for y in range(radius_px + 1)])
    eroded, opened = np.empty_like(image), np.empty_like(image)
    kernels.erode(image, reach, eroded)
    kernels.erode(-eroded, reach, opened)
    return -opened


def _sampled(image: NDArray[Any], axes: list[kernels.Axis]) -> NDArray[np.float64]:
    sampled = np.empty((axes[0].below.size, axes[1].below.size))
    kernels.sample(read_only(image), *axes, sampled)
    return sampled


def _axis(place: NDArray[np.float64], size: int) -> kernels.Axis:
    """Samples at ``place`` on a grid of ``size``; one that rounding puts beyond the last grid point lies outside."""
    inside = (place >= 0) & (place <= size - 1)
    below = np.where(inside, np.floor(place), -1).astype(np.int32)
    return kernels.Axis(below, np.minimum(below + 1, size - 1).astype(np.int32), np.where(inside, place - below, 0.0))


def _weights(objects: Objects, axes: list[kernels.Axis], size: tuple[int, int]) -> kernels.Weights:
    """How much each pixel of the sampled image counts in the sum over the pixels of each object, interpolated."""
    offset = np.zeros(objects.count + 1, np.int64)
    objects.over(kernels.count_weights, *axes, size, offset[1:])
    np.cumsum(offset, out=offset)
    weights = kernels.Weights(offset, np.empty(offset[-1], np.int32), np.empty(offset[-1]))
    objects.over(kernels.list_weights, *axes, size, weights)
    return weights


def _definition(role: str, subsample: float) -> str:
    return (
        f"Percentage of the mean grey level of channel {role} that is lost when, after smaller ones, structures of "
        f"this radius in px, after sampling by {subsample:g}, are taken from the image less its background; "
        "approximate in blocks of a field, undefined where the mean is not above 0 or the sampled field is narrower "
        "than 2 px"
    )
