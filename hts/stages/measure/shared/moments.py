"""Sums over the pixels of every labelled object of a field, from one pass: what all feature families start from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hts.errors import StageError
from hts.stages.measure.shared import _kernels_moments as kernels
from hts.stages.measure.shared.runs import read_only as _read_only

MAX_SIDE_PX = 32_768
"""Largest height and width of a field: up to here every integer sum, of a field that is one object, fits 63 bits."""

SPARSE_LABELS = 1_000_000
"""Labels up to here may number fewer pixels than labels; memory grows with the largest label."""

_IMAGE_DTYPES = (np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.float32))


@dataclass(frozen=True)
class ObjectMoments:
    """Sums over the pixels of objects 1 … n; row ``i`` belongs to label ``i + 1``, C channels.

    Coordinates are pixel indices. Sums of unsigned images are exact int64. Sums of float32 images are float64 of
    grey levels less ``shift``; an object with a pixel that is not finite has NaN in that channel. Objects
    without a pixel have zeros throughout; ask :attr:`pixels` for a count that makes quotients NaN there.
    """

    area: NDArray[np.int64]
    """(n,) pixels"""
    bbox: NDArray[np.int64]
    """(n, 4) first row, first column, last row + 1, last column + 1"""
    sum_y: NDArray[np.int64]
    sum_x: NDArray[np.int64]
    sum_yy: NDArray[np.int64]
    sum_xx: NDArray[np.int64]
    sum_xy: NDArray[np.int64]
    perimeter_px: NDArray[np.float64]
    """(n,) length of the outline through the border pixels"""
    total: NDArray[Any]
    """(n, C) sum of grey levels less shift"""
    squares: NDArray[Any]
    """(n, C) sum of squared grey levels less shift"""
    lowest: NDArray[Any]
    """(n, C) smallest grey level"""
    highest: NDArray[Any]
    """(n, C) largest grey level"""
    shift: NDArray[Any]
    """(n, C) subtracted from each grey level before summing; 0 for unsigned images"""

    @property
    def pixels(self) -> NDArray[np.float64]:
        """(n,) area as float64, NaN for objects without a pixel."""
        return np.where(self.area > 0, self.area.astype(np.float64), np.nan)

    def integrated(self, channel: int) -> NDArray[np.float64]:
        """(n,) sum of grey levels; NaN for objects without a pixel."""
        return np.asarray(self.shift[:, channel] * self.pixels + self.total[:, channel], dtype=np.float64)

    def mean(self, channel: int) -> NDArray[np.float64]:
        """(n,) mean grey level; NaN for objects without a pixel."""
        return np.asarray(self.shift[:, channel] + self.total[:, channel] / self.pixels, dtype=np.float64)

    def squared_deviations(self, channel: int) -> NDArray[np.float64]:
        """(n,) sum of squared deviations from the mean grey level; NaN for objects without a pixel."""
        total = self.total[:, channel]
        return np.maximum(self._centred(total, total, self.squares[:, channel]), 0.0)

    def spread(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Variance of y, variance of x and covariance of the pixels, each (n,) in px²; NaN without a pixel."""
        return (
            self._centred(self.sum_y, self.sum_y, self.sum_yy) / self.pixels,
            self._centred(self.sum_x, self.sum_x, self.sum_xx) / self.pixels,
            self._centred(self.sum_x, self.sum_y, self.sum_xy) / self.pixels,
        )

    def moved(self, rows_px: int, columns_px: int) -> ObjectMoments:
        """The same objects with the origin of the coordinates moved: what a part of a field is to the whole field."""
        y, x, area = rows_px, columns_px, self.area
        return replace(
            self,
            bbox=np.where(area[:, None] > 0, self.bbox + np.array([y, x, y, x]), self.bbox),
            sum_y=self.sum_y + y * area,
            sum_x=self.sum_x + x * area,
            sum_yy=self.sum_yy + 2 * y * self.sum_y + y * y * area,
            sum_xx=self.sum_xx + 2 * x * self.sum_x + x * x * area,
            sum_xy=self.sum_xy + y * self.sum_x + x * self.sum_y + y * x * area,
        )

    def _centred(self, sum_a: NDArray[Any], sum_b: NDArray[Any], sum_ab: NDArray[Any]) -> NDArray[np.float64]:
        return centred(self.area, sum_a, sum_b, sum_ab)


def centred(
    count: NDArray[np.int64], sum_a: NDArray[Any], sum_b: NDArray[Any], sum_ab: NDArray[Any]
) -> NDArray[np.float64]:
    """Sum of (a - mean a)(b - mean b), from sums over ``count`` pixels; NaN where there is none.

    Integers are first centred on the nearest integers to their means, which is exact (also modulo 2**64,
    should a product wrap around); what is left, at most half of a sum of squares, is one subtraction of doubles.
    """
    pixels = np.where(count > 0, count.astype(np.float64), np.nan)
    if not np.issubdtype(sum_ab.dtype, np.integer):
        return np.asarray(sum_ab - sum_a * (sum_b / pixels), dtype=np.float64)
    count = np.maximum(count, 1)
    near_a, near_b = (2 * sum_a + count) // (2 * count), (2 * sum_b + count) // (2 * count)
    rest_a, rest_b = sum_a - near_a * count, sum_b - near_b * count
    about_near = sum_ab - near_a * sum_b - near_b * rest_a
    return np.asarray(about_near - rest_a * (rest_b / pixels), dtype=np.float64)


def object_moments(
    labels: NDArray[np.int32],
    images: NDArray[Any],
    count: int | None = None,
) -> ObjectMoments:
    """Sum coordinates, outline and grey levels of all objects in one raster pass.

    Parameters
    ----------
    labels : (Y, X) int32; 0 is background. Ids may have gaps; the rows of missing ids are zero.
    images : (C, Y, X) uint8, uint16 or float32; C may be 0.
    count : number of rows, when it is not the largest label.

    Raises
    ------
    StageError
        when dtypes or shapes do not fit, or a label is negative or above ``count``.
    """
    largest = largest_label(labels)
    check_field(labels, images)
    rows = largest if count is None else count
    if largest > rows:
        raise StageError(
            f"labels from 0 to {rows}",
            found=f"label {largest}",
            fix="count the largest label of all object sets of the field",
        )
    sums = _empty_sums(rows, images)
    run = kernels.float_moments if images.dtype == np.float32 else kernels.integer_moments
    run(_read_only(labels), _read_only(images), sums)
    return _unpack(sums)


def check_field(labels: NDArray[np.int32], images: NDArray[Any]) -> None:
    """Refuse (raise StageError) images (C, Y, X) of another type or shape than the labels (Y, X), or too large."""
    if images.dtype not in _IMAGE_DTYPES:
        raise StageError(
            "images of type uint8, uint16 or float32",
            found=str(images.dtype),
            fix="convert the images before measuring, floats with images.astype('float32')",
        )
    if images.ndim != 3 or images.shape[1:] != labels.shape:
        raise StageError(
            f"images of shape (C, {labels.shape[0]}, {labels.shape[1]}), as the labels are",
            found=f"shape {images.shape}",
            cause="labels and images belong to different fields or pyramid levels",
        )
    if max(labels.shape) > MAX_SIDE_PX:
        raise StageError(
            f"a field of at most {MAX_SIDE_PX} pixels a side", found=f"{labels.shape}", fix="measure it in blocks"
        )


def largest_label(labels: NDArray[np.int32]) -> int:
    """The largest label of a field, (Y, X) int32.

    Raises
    ------
    StageError
        when the array is another one, a label is negative, or numbers are so high that they cost more than the field.
    """
    if labels.ndim != 2 or labels.dtype != np.int32:
        raise StageError(
            "labels of shape (Y, X) and type int32",
            found=f"{labels.dtype} of shape {labels.shape}",
            fix="convert with labels.astype('int32'); measure planes and time points one by one",
        )
    # As unsigned numbers negative labels are the largest: one look at the data finds both.
    largest = int(labels.view(np.uint32).max(initial=0))
    if largest > np.iinfo(np.int32).max:
        raise StageError("labels of 0 (background) or above", found=f"label {int(labels.min())}")
    if largest > max(labels.size, SPARSE_LABELS):
        raise StageError(
            f"labels up to the number of pixels, {labels.size}, or {SPARSE_LABELS}",
            found=f"label {largest}",
            fix="renumber the objects from 1, for example with skimage.segmentation.relabel_sequential",
        )
    return largest


def _empty_sums(rows: int, images: NDArray[Any]) -> kernels.Sums:
    real = images.dtype == np.float32
    sum_dtype = np.float64 if real else np.int64
    geometry = np.zeros((rows + 1, kernels.GEOMETRY_COLUMNS), dtype=np.int64)
    geometry[:, [kernels.Y_MIN, kernels.X_MIN]] = MAX_SIDE_PX
    intensity = np.zeros((rows + 1, images.shape[0], 5 if real else 4), dtype=sum_dtype)
    intensity[..., kernels.LOWEST] = np.inf if real else np.iinfo(images.dtype).max
    intensity[..., kernels.HIGHEST] = -np.inf if real else 0
    border = np.zeros((3, images.shape[2] + 2), dtype=np.int32)
    return kernels.Sums(geometry, intensity, border)


def _unpack(sums: kernels.Sums) -> ObjectMoments:
    geometry, intensity = sums.geometry[1:], sums.intensity[1:]
    without_pixel = geometry[:, kernels.AREA] == 0
    geometry[without_pixel] = 0
    intensity[without_pixel] = 0
    if intensity.dtype == np.float64:
        intensity[~np.isfinite(intensity[..., kernels.SQUARES])] = np.nan
        shift = intensity[..., kernels.SHIFT]
    else:
        shift = np.zeros(intensity.shape[:2], dtype=np.int64)
    return ObjectMoments(
        area=geometry[:, kernels.AREA],
        bbox=geometry[:, kernels.Y_MIN : kernels.X_STOP + 1],
        sum_y=geometry[:, kernels.SUM_Y],
        sum_x=geometry[:, kernels.SUM_X],
        sum_yy=geometry[:, kernels.SUM_YY],
        sum_xx=geometry[:, kernels.SUM_XX],
        sum_xy=geometry[:, kernels.SUM_XY],
        perimeter_px=geometry[:, kernels.BORDER :] @ np.array(kernels.BORDER_LENGTHS_PX),
        total=intensity[..., kernels.TOTAL],
        squares=intensity[..., kernels.SQUARES],
        lowest=intensity[..., kernels.LOWEST],
        highest=intensity[..., kernels.HIGHEST],
        shift=shift,
    )
