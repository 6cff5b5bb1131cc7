"""Outline, hull, moments and Zernike moments, beside cp_measure (which has scikit-image and centrosome inside).

A moment that vanishes by symmetry is rounding in both; it is left out here below a part of the size that it would
have without cancellation, and compared on that size in ``test_measure_outline.py``.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from centrosome.cpmorphology import minimum_enclosing_circle
from cp_measure.core.measureobjectintensitydistribution import get_radial_zernikes
from cp_measure.core.measureobjectsizeshape import get_feret, get_sizeshape, get_zernike
from cp_measure.primitives._moments import inertia_2d, moment_feature_dict, spatial_moments_2d
from numpy.typing import NDArray

from hts.stages.measure import channel_token
from tests.reference.features.peers import Columns, ParityField, PeerRow
from tests.reference.outline import objects_of

MOMENTS = ("SpatialMoment", "CentralMoment", "NormalizedMoment", "HuMoment", "InertiaTensor")
ROUNDING = 1e-5
"""Part of the size without cancellation below which a moment is not compared: there 1e-9 of it is 1e-14 of the size."""


def _named(found: Columns) -> Columns:
    return {f"AreaShape_{name}": np.asarray(value, np.float64) for name, value in found.items()}


def outline(field: ParityField) -> Columns:
    """Everything but moments; orientation means nothing where an object is round, and is tested elsewhere."""
    with np.errstate(all="ignore"):
        found = get_sizeshape(field.labels, None, calculate_advanced=False)
    return {k: v for k, v in _named(found).items() if not k.endswith("_Orientation")}


def feret(field: ParityField) -> Columns:
    """Smallest and largest diameter."""
    return _named(get_feret(field.labels, None))


def moments(field: ParityField) -> Columns:
    """The 53 moments, as cp_measure's size and shape compute them."""
    with np.errstate(all="ignore"):
        raw, central, normalized, hu = spatial_moments_2d(field.labels)
        return _named(moment_feature_dict(raw, central, normalized, hu, inertia_2d(central)))


def zernike(field: ParityField) -> Columns:
    """Of the shape, to degree 9."""
    return _named(get_zernike(field.labels, None))


def radial_zernike(field: ParityField) -> Columns:
    """Of the grey levels as stored, to degree 9: magnitudes and phases."""
    found: Columns = {}
    for name, image in zip(field.channels, field.images, strict=True):
        for column, values in get_radial_zernikes(field.labels, image.astype(np.float64)).items():
            kind, _, rest = column.removeprefix("RadialDistribution_").partition("_")
            found[f"RadialDistribution_{kind}_{channel_token(name)}_{rest}"] = values
    return found


def no_perimeter(field: ParityField, name: str, theirs: NDArray[np.float64]) -> NDArray[np.bool_]:
    """A form factor over a perimeter of 0 is infinite there and undefined here."""
    return np.isinf(theirs) if name.endswith("FormFactor") else np.zeros(theirs.shape, np.bool_)


def cancelled(field: ParityField, name: str, theirs: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Moments that are rounding."""
    return np.abs(theirs) < ROUNDING * sizes_of(field)[name.removeprefix("AreaShape_")]


def sizes_of(field: ParityField) -> Columns:
    """(n,) by moment, how large it were if nothing in it cancelled."""
    return _sizes(field.labels.tobytes(), field.labels.shape)


@lru_cache(3)
def _sizes(data: bytes, shape: tuple[int, int]) -> Columns:
    labels = np.frombuffer(data, np.int32).reshape(shape)
    number = labels[labels > 0] - 1
    coordinates = np.argwhere(labels > 0).astype(float)
    area = np.bincount(number).astype(float)
    means = np.stack([np.bincount(number, each) / area for each in coordinates.T], axis=1)
    y, x = np.abs(coordinates - means[number]).T
    central = {(p, q): np.bincount(number, y**p * x**q) for p in range(4) for q in range(4)}
    found: Columns = {}
    for (p, q), size in central.items():
        found[f"SpatialMoment_{p}_{q}"] = np.zeros(len(area))
        found[f"CentralMoment_{p}_{q}"] = size
        found[f"NormalizedMoment_{p}_{q}"] = size / area ** ((p + q) / 2 + 1)
    found |= _hu_sizes(labels, {k: found[f"NormalizedMoment_{k[0]}_{k[1]}"] for k in central})
    variance = (central[2, 0] + central[0, 2]) / area
    return (
        found
        | {f"InertiaTensor_{p}_{q}": variance for p in (0, 1) for q in (0, 1)}
        | {f"InertiaTensorEigenvalues_{k}": variance for k in (0, 1)}
    )


def _hu_sizes(labels: NDArray[np.int32], size: dict[tuple[int, int], NDArray[np.float64]]) -> Columns:
    """The error of an invariant is that of its third moments times what multiplies them, which may be small itself."""
    second = size[2, 0] + size[0, 2]
    third = size[3, 0] + 3 * size[1, 2] + 3 * size[2, 1] + size[0, 3]
    with np.errstate(all="ignore"):
        eta = spatial_moments_2d(labels)[2]
    sums = np.abs([eta[:, 3, 0] + eta[:, 1, 2], eta[:, 3, 0] - 3 * eta[:, 1, 2], eta[:, 2, 1] + eta[:, 0, 3]])
    largest = np.maximum(sums.max(axis=0), np.abs(3 * eta[:, 2, 1] - eta[:, 0, 3])) + 1e-6 * third
    powers = (second, second**2, third * largest, third * largest, third * largest**3, second * third * largest)
    return {f"HuMoment_{k}": each for k, each in enumerate((*powers, third * largest**3))}


def tied(field: ParityField, name: str, theirs: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Objects with four corners or more on their circle of which centrosome measures the radius to another than we.

    Such corners see a side of the hull under the same angle, and centrosome breaks the tie by an unstable sort; by a
    radius that is a rounding larger or smaller, up to four pixels are in or out.
    """
    return _tied(field.labels.tobytes(), field.labels.shape)


@lru_cache(3)
def _tied(data: bytes, shape: tuple[int, int]) -> NDArray[np.bool_]:
    labels = np.frombuffer(data, np.int32).reshape(shape)
    objects = objects_of(labels, int(labels.max()), origin=(0, 0))
    hulls, owner = objects.hulls, np.repeat(np.arange(objects.count), np.diff(objects.hulls.first))
    row, column, radius = objects.circles[owner].T
    on_circle = np.abs(np.hypot(hulls.row - row, hulls.column - column) - radius) < 1e-9
    several = np.bincount(owner[on_circle], minlength=objects.count) >= 4
    _, theirs = minimum_enclosing_circle(labels, np.arange(1, objects.count + 1))
    return several & (theirs != objects.circles[:, 2])


def tied_or_turning(field: ParityField, name: str, theirs: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The same, and phases at half a turn or of a moment that vanishes."""
    left_out = tied(field, name, theirs)
    if "ZernikePhase" in name:
        key = field.labels.tobytes(), field.labels.shape, field.images.tobytes(), field.images.dtype.str, field.channels
        found = _magnitudes(*key)
        token = name.split("_")[2]
        magnitude = found[name.replace("Phase", "Magnitude")]
        mean = found[f"RadialDistribution_ZernikeMagnitude_{token}_0_0"]
        left_out = left_out | (magnitude < ROUNDING * mean) | (np.abs(theirs) > np.pi - 1e-6)
    return left_out


@lru_cache(3)
def _magnitudes(labels: bytes, shape: tuple[int, int], images: bytes, dtype: str, channels: tuple[str, ...]) -> Columns:
    planes = np.frombuffer(images, dtype).reshape(-1, *shape)
    return radial_zernike(ParityField("", np.frombuffer(labels, np.int32).reshape(shape), planes, channels))


PEERS = (
    PeerRow(
        "shape",
        "cp_measure 0.3 get_sizeshape",
        outline,
        atol=1e-7,
        why="roots near 0: axes of lines; the form factor of one pixel is undefined here",
        undefined=no_perimeter,
    ),
    PeerRow("shape", "cp_measure 0.3 get_feret", feret),
    PeerRow(
        "moments",
        "cp_measure 0.3 spatial_moments_2d",
        moments,
        why="moments that cancel to less than 1e-5 of their size are rounding in both",
        undefined=cancelled,
    ),
    PeerRow(
        "zernike",
        "cp_measure 0.3 get_zernike",
        zernike,
        atol=1e-12,
        why="moments that vanish by symmetry; left out: ties of corners on the circle that centrosome breaks by an "
        "unstable sort",
        undefined=tied,
    ),
    PeerRow(
        "radial_zernike",
        "cp_measure 0.3 get_radial_zernikes",
        radial_zernike,
        atol=1e-8,
        why="grey levels or radians, for moments that vanish by symmetry; their phases mean nothing, and a half turn "
        "has two signs; ties as in zernike",
        undefined=tied_or_turning,
    ),
)
