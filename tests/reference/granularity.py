"""Granularity, the slow obvious way: SciPy and scikit-image for images, whole resampled images for means."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import reconstruction

from hts.stages.measure.families import _kernels_granularity as kernels
from hts.stages.measure.families.granularity import _axis
from hts.stages.measure.shared.runs import over_objects, read_only, runs_of
from tests.reference.rows import KernelRow

Image = NDArray[Any]


def sampled(image: Image, rows: NDArray[np.float64], columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values of ``image`` at fractional rows and columns, as the kernel interpolates them."""
    values = np.full((rows.size, columns.size), np.nan)
    kernels.sample(read_only(image), _axis(rows, image.shape[0]), _axis(columns, image.shape[1]), values)
    return values


def sample(image: Image, rows: NDArray[np.float64], columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """The twin."""
    places = np.meshgrid(rows, columns, indexing="ij")
    return ndimage.map_coordinates(image.astype(np.float64), places, order=1)


def eroded(image: NDArray[np.float64], reach: NDArray[np.int64]) -> NDArray[np.float64]:
    """Smallest values as the kernel finds them."""
    result = np.empty_like(image)
    kernels.erode(image, reach, result)
    return result


def erode(image: NDArray[np.float64], reach: NDArray[np.int64]) -> NDArray[np.float64]:
    """The twin."""
    rows = np.abs(np.arange(-reach.size + 1, reach.size))
    shape = np.abs(np.arange(-reach[0], reach[0] + 1)) <= reach[rows][:, None]
    return ndimage.minimum_filter(image, footprint=shape, mode="constant", cval=np.inf)


def reconstructed(mask: NDArray[np.float64], image: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the kernel lets spread; its working memory is as it found it."""
    result, waiting = image.copy(), np.zeros(image.size, np.uint8)
    kernels.reconstruct(mask, result, np.empty(image.size, np.int32), waiting)
    return np.full_like(result, np.nan) if waiting.any() else result


def reconstruct(mask: NDArray[np.float64], image: NDArray[np.float64]) -> NDArray[np.float64]:
    """The twin."""
    cross = ndimage.generate_binary_structure(2, 1)
    return np.asarray(reconstruction(image, mask, method="dilation", footprint=cross))


def counted(labels: NDArray[np.int32], size: tuple[int, int], count: int) -> NDArray[np.int64]:
    """Pixels of the coarse plane below each object, as the kernel counts them."""
    counts = np.zeros(count, np.int64)
    over_objects(kernels.count_weights, runs_of(labels, count), *_axes(labels, size), size, counts, threads=2)
    return counts


def count_weights(labels: NDArray[np.int32], size: tuple[int, int], count: int) -> NDArray[np.int64]:
    """The twin."""
    return np.count_nonzero(list_weights(labels, size, count), axis=(1, 2))


def listed(labels: NDArray[np.int32], size: tuple[int, int], count: int) -> NDArray[np.float64]:
    """(count, Y, X) the weight of every coarse pixel, as the kernel lists them."""
    weights, planes = _weights(labels, size, count), np.zeros((count, *size))
    for i in range(count):
        stretch = slice(weights.offset[i], weights.offset[i + 1])
        np.add.at(planes[i].reshape(-1), weights.place[stretch], weights.weight[stretch])
    return planes


def list_weights(labels: NDArray[np.int32], size: tuple[int, int], count: int) -> NDArray[np.float64]:
    """The twin: the coarse pixel's share in the sum over each object of the image that is 1 there alone."""
    planes = np.zeros((count, *size))
    for place in np.ndindex(size):
        one = np.zeros(size)
        one[place] = 1
        planes[(slice(None), *place)] = _sums(labels, one, count)
    return planes


def summed(labels: NDArray[np.int32], plane: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Sums over objects of the plane resampled to the field, as the kernels make them."""
    sums = np.empty(count)
    kernels.weighted_sums(_weights(labels, plane.shape, count), plane, sums)
    return sums


def _sums(labels: NDArray[np.int32], plane: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """The twin."""
    fine = sample(plane, *(axis for axis in _places(labels.shape, plane.shape)))
    return np.array([fine[labels == number].sum() for number in range(1, count + 1)])


def _places(shape: tuple[int, ...], size: tuple[int, ...]) -> list[NDArray[np.float64]]:
    return [np.arange(side) * ((coarse - 1) / (side - 1)) for side, coarse in zip(shape, size, strict=True)]


def _axes(labels: NDArray[np.int32], size: tuple[int, ...]) -> list[kernels.Axis]:
    return [_axis(place, side) for place, side in zip(_places(labels.shape, size), size, strict=True)]


def _weights(labels: NDArray[np.int32], size: tuple[int, ...], count: int) -> kernels.Weights:
    offset = np.concatenate([[0], np.cumsum(counted(labels, size, count))])
    weights = kernels.Weights(offset, np.empty(offset[-1], np.int32), np.empty(offset[-1]))
    over_objects(kernels.list_weights, runs_of(labels, count), *_axes(labels, size), size, weights, threads=2)
    return weights


def _row(name: str, call: Any, twin: Any, *dtypes: type[np.generic]) -> KernelRow:
    return KernelRow(f"hts.stages.measure.families._kernels_granularity.{name}", call, twin, "none", twin, dtypes)


KERNELS = (
    _row("sample", sampled, sample, np.uint16, np.float32, np.float64),
    _row("erode", eroded, erode, np.float64),
    _row("reconstruct", reconstructed, reconstruct, np.float64),
    _row("count_weights", counted, count_weights, np.int32),
    _row("list_weights", listed, list_weights, np.int32),
    _row("weighted_sums", summed, _sums, np.int32),
)
