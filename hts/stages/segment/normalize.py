"""Percentile normalisation: the 1st percentile becomes 0, the 99th 1, for one image or for many together.

This is the input the networks of Cellpose were trained on (Stringer et al., Nature Methods 18, 2021). Integers of 8 and
16 bits are counted by grey level, so that percentiles are exact and those of a whole plate cost no more memory than
those of one image; other types are sorted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hts.arrays import array_module, is_on_gpu, to_numpy
from hts.errors import StageError

PERCENTILES = (1.0, 99.0)
LEVELS = 65_536
MIN_RELATIVE_HEIGHT = 1e-6
"""Limits that are nearer than this part of their size are one value, in float32; the image has no contrast."""
SKETCH_POINTS = 4097
"""Quantiles that stand for a float image when several images are pooled."""


class Limits(NamedTuple):
    """The values that become 0 and 1, and how many pixels were NaN or infinite and counted for nothing."""

    low: float
    high: float
    n_invalid: int = 0

    @property
    def is_constant(self) -> bool:
        """Whether the image has no contrast; it is normalised to zeros."""
        return not self.high - self.low > MIN_RELATIVE_HEIGHT * max(abs(self.low), abs(self.high))


@dataclass(frozen=True)
class Distribution:
    """The values of one image or more: ascending ``values`` (float64) with their ``counts`` (int64).

    Exact for integers of 8 and 16 bits. A float image is stood for by `SKETCH_POINTS` quantiles of equal weight.
    """

    values: NDArray[np.float64]
    counts: NDArray[np.int64]
    n_invalid: int = 0


def limits(image: Any) -> Limits:
    """The 1st and 99th percentile of one image, by linear interpolation as in ``numpy.percentile``.

    Parameters
    ----------
    image : array of any shape, of real numbers; NumPy or CuPy. NaN and infinite pixels are left out and counted.

    Raises
    ------
    StageError
        when the pixels are no real numbers.
    """
    _check_real(image)
    if image.size == 0:
        return Limits(0.0, 0.0)
    if image.dtype in (np.uint8, np.uint16):
        return pooled_limits([distribution(image)])
    xp = array_module(image)
    finite, n_invalid = _finite(image)
    if finite.size == 0:
        return Limits(0.0, 0.0, n_invalid)
    low, high = (float(value) for value in xp.percentile(finite, xp.asarray(PERCENTILES)))
    return Limits(low, high, n_invalid)


def spanning_limits(image: Any) -> Limits:
    """`limits`; where the percentiles coincide and the image is not constant, its smallest and largest finite value.

    A few objects on a background of one grey level cover less than 1 % of the pixels, and are there all the same.
    """
    found = limits(image)
    finite, _ = _finite(image) if found.is_constant else (image, 0)
    if not found.is_constant or finite.size == 0:
        return found
    return Limits(float(finite.min()), float(finite.max()), found.n_invalid)


def distribution(image: Any) -> Distribution:
    """The values of `image` in a form that can be pooled with those of other images."""
    _check_real(image)
    if image.dtype in (np.uint8, np.uint16):
        counts = _level_counts(image)
        present = np.flatnonzero(counts)
        return Distribution(present.astype(np.float64), counts[present])
    finite, n_invalid = _finite(image)
    if finite.size <= SKETCH_POINTS:
        values = np.sort(to_numpy(finite).ravel().astype(np.float64))
        return Distribution(values, np.ones(values.size, np.int64), n_invalid)
    xp = array_module(image)
    points = (np.arange(SKETCH_POINTS) + 0.5) / SKETCH_POINTS
    values = np.asarray(to_numpy(xp.quantile(finite, xp.asarray(points))), np.float64)
    each = max(1, round(finite.size / SKETCH_POINTS))
    return Distribution(values, np.full(SKETCH_POINTS, each, np.int64), n_invalid)


def pooled(distributions: Iterable[Distribution]) -> Distribution:
    """One distribution of all, as if their images were one; equal values are one entry."""
    parts = list(distributions)
    if not parts:
        return Distribution(np.zeros(0), np.zeros(0, np.int64))
    values, place = np.unique(np.concatenate([part.values for part in parts]), return_inverse=True)
    counts = np.zeros(values.size, np.int64)
    np.add.at(counts, place.ravel(), np.concatenate([part.counts for part in parts]))
    return Distribution(values, counts, sum(part.n_invalid for part in parts))


def pooled_limits(distributions: Iterable[Distribution]) -> Limits:
    """The limits of all images together, those of a well or a plate: what `limits` gives for all their pixels."""
    together = pooled(distributions)
    ends = np.cumsum(together.counts)
    if ends.size == 0:
        return Limits(0.0, 0.0, together.n_invalid)
    low, high = (_quantile(together.values, ends, percentile / 100) for percentile in PERCENTILES)
    return Limits(low, high, together.n_invalid)


def normalize(image: Any, given: Limits) -> Any:
    """`image` as float32 with ``given.low`` at 0 and ``given.high`` at 1; values beyond are kept, not cut.

    NaN and infinite pixels become 0, that is `given.low`; a constant image becomes zeros. NumPy in, NumPy out; CuPy in,
    CuPy out.
    """
    _check_real(image)
    xp = array_module(image)
    if given.is_constant:
        return xp.zeros(image.shape, np.float32)
    height = given.high - given.low
    if is_on_gpu(image):
        scaled = ((image - given.low) / height).astype(np.float32)
        return xp.where(xp.isfinite(scaled), scaled, np.float32(0.0))
    from hts.stages.segment._kernels_normalize import scale_finite, scale_pixels

    out = np.empty(image.shape, np.float32)
    flat = np.ascontiguousarray(image).reshape(-1)
    if image.dtype.kind == "f":
        flat = flat.astype(np.float32) if image.dtype == np.float16 else flat
        scale_finite(flat, given.low, height, out.reshape(-1))
    else:
        scale_pixels(flat.view(np.uint8) if image.dtype == np.bool_ else flat, given.low, height, out.reshape(-1))
    return out


def warm_up() -> None:
    """Compile the kernels for the types of cameras, or load them from the cache."""
    for kind in (np.uint8, np.uint16, np.float32):
        image = np.arange(4, dtype=kind)
        normalize(image, limits(image))


def _level_counts(image: Any) -> NDArray[np.int64]:
    if is_on_gpu(image):
        return to_numpy(array_module(image).bincount(image.ravel(), minlength=LEVELS)).astype(np.int64)
    from hts.stages.segment._kernels_normalize import count_levels

    counts = np.zeros(LEVELS if image.dtype == np.uint16 else 256, np.int64)
    # The order of the pixels does not matter: an array in Fortran's order is read as it lies.
    flat = image.ravel(order="K")
    count_levels(flat, counts)
    return counts


def _finite(image: Any) -> tuple[Any, int]:
    """The finite pixels as a flat float array, and how many are not finite."""
    xp = array_module(image)
    if image.dtype.kind != "f":
        return image.ravel().astype(np.float64), 0
    valid = xp.isfinite(image)
    n_invalid = int(image.size - xp.count_nonzero(valid))
    flat = image[valid] if n_invalid else image.ravel()
    return flat.astype(np.float32) if image.dtype == np.float16 else flat, n_invalid


def _quantile(values: NDArray[np.float64], ends: NDArray[np.int64], fraction: float) -> float:
    """Linear interpolation between the two pixels around the place, as numpy.percentile does."""
    place = fraction * (int(ends[-1]) - 1)
    before = int(np.floor(place))
    first, second = (
        float(values[np.searchsorted(ends, rank, side="right")])
        for rank in (before, min(before + 1, int(ends[-1]) - 1))
    )
    return first + (second - first) * (place - before)


def _check_real(image: Any) -> None:
    if image.dtype.kind not in "buif":
        raise StageError("an image of real numbers", found=f"pixels of type {image.dtype}")
