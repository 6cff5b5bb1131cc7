"""Slow, obvious twins of the measure kernels and of the features built on them: one object at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_WEIGHTS = {
    1.0: {(2, 0), (3, 0), (2, 1), (3, 1), (2, 2), (3, 2)},
    2**0.5: {(0, 2), (1, 3)},
    (1 + 2**0.5) / 2: {(1, 1), (1, 2)},
}
_STRAIGHT = ((-1, 0), (1, 0), (0, -1), (0, 1))
_DIAGONAL = ((-1, -1), (-1, 1), (1, -1), (1, 1))


def sums(labels: NDArray[np.int32], images: NDArray[Any], count: int) -> dict[str, NDArray[Any]]:
    """Every sum of ``ObjectMoments`` by its name, about zero (no shift): integers for integer images."""
    rows = [_sums_of_one(labels == label, images) for label in range(1, count + 1)]
    return {name: np.array([row[name] for row in rows]) for name in _sums_of_one(labels < 0, images)}


def _sums_of_one(mask: NDArray[np.bool_], images: NDArray[Any]) -> dict[str, Any]:
    y, x = (axis.tolist() for axis in np.nonzero(mask))
    values = [image[mask].tolist() for image in images]
    return {
        "area": len(y),
        "bbox": [min(y), min(x), max(y) + 1, max(x) + 1] if y else [0, 0, 0, 0],
        "sum_y": sum(y),
        "sum_x": sum(x),
        "sum_yy": sum(a * a for a in y),
        "sum_xx": sum(a * a for a in x),
        "sum_xy": sum(a * b for a, b in zip(x, y, strict=True)),
        "perimeter_px": perimeter(mask),
        "total": [sum(v) for v in values],
        "squares": [sum(a * a for a in v) for v in values],
        "lowest": [min(v, default=0) for v in values],
        "highest": [max(v, default=0) for v in values],
    }


def perimeter(mask: NDArray[np.bool_]) -> float:
    """Benkrid and Crookes' estimate, pixel by pixel."""
    inside = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    border = {(y, x) for y, x in inside if any((y + dy, x + dx) not in inside for dy, dx in _STRAIGHT)}
    length = 0.0
    for y, x in border:
        straight = sum((y + dy, x + dx) in border for dy, dx in _STRAIGHT)
        diagonal = sum((y + dy, x + dx) in border for dy, dx in _DIAGONAL)
        length += sum(weight for weight, neighbours in _WEIGHTS.items() if (straight, diagonal) in neighbours)
    return length


def features(labels: NDArray[np.int32], images: NDArray[Any], count: int) -> dict[str, NDArray[np.float64]]:
    """Features by name, with channels called C0, C1 …: straight from the pixels, NaN where there are none."""
    rows = [_features_of_one(labels == label, images) for label in range(1, count + 1)]
    return {name: np.array([row.get(name, np.nan) for row in rows]) for name in rows[0] | rows[-1]}


def _features_of_one(mask: NDArray[np.bool_], images: NDArray[Any]) -> dict[str, float]:
    row: dict[str, float] = {"AreaShape_Area": float(mask.sum()) if mask.any() else np.nan}
    if not mask.any():
        return row
    y, x = np.nonzero(mask)
    large, small = np.linalg.eigvalsh(np.cov(np.stack([y, x]), bias=True))[::-1].clip(0)
    outline = perimeter(mask)
    row["AreaShape_Center_Y"], row["AreaShape_Center_X"] = y.mean(), x.mean()
    row["AreaShape_MajorAxisLength"], row["AreaShape_MinorAxisLength"] = 4 * large**0.5, 4 * small**0.5
    row["AreaShape_Perimeter"] = outline
    row["AreaShape_FormFactor"] = 4 * np.pi * y.size / outline**2 if outline else np.nan
    row["AreaShape_Compactness"] = outline**2 / (4 * np.pi * y.size)
    for channel, image in enumerate(images):
        values = image[mask].astype(np.float64)
        row[f"Intensity_MeanIntensity_C{channel}"] = values.mean()
        row[f"Intensity_StdIntensity_C{channel}"] = values.std()
        row[f"Intensity_MinIntensity_C{channel}"] = values.min()
        row[f"Intensity_MaxIntensity_C{channel}"] = values.max()
        row[f"Intensity_IntegratedIntensity_C{channel}"] = values.sum()
        for other in range(channel):
            row[f"Correlation_Correlation_C{other}_C{channel}"] = _pearson(images[other][mask], image[mask])
    return row


def _pearson(first: NDArray[Any], second: NDArray[Any]) -> float:
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(np.corrcoef(first.astype(np.float64), second.astype(np.float64))[0, 1])


def scikit_image(labels: NDArray[np.int32], images_last: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    """The peer: the same features by ``regionprops_table``, for (Y, X, C) images; channels are called C0, C1 …"""
    from skimage.measure import regionprops_table

    shape = ("area", "bbox", "area_bbox", "centroid", "axis_major_length", "axis_minor_length", "eccentricity")
    shape += ("orientation", "extent", "perimeter", "equivalent_diameter_area")
    grey = ("intensity_mean", "intensity_std", "intensity_min", "intensity_max")
    table = regionprops_table(labels, images_last, properties=shape + grey)
    return _named_as_ours(table, images_last.shape[-1])


def _named_as_ours(table: dict[str, NDArray[Any]], channels: int) -> dict[str, NDArray[np.float64]]:
    names = {
        "AreaShape_Area": "area",
        "AreaShape_BoundingBoxMinimum_Y": "bbox-0",
        "AreaShape_BoundingBoxMinimum_X": "bbox-1",
        "AreaShape_BoundingBoxMaximum_Y": "bbox-2",
        "AreaShape_BoundingBoxMaximum_X": "bbox-3",
        "AreaShape_BoundingBoxArea": "area_bbox",
        "AreaShape_Center_Y": "centroid-0",
        "AreaShape_Center_X": "centroid-1",
        "AreaShape_MajorAxisLength": "axis_major_length",
        "AreaShape_MinorAxisLength": "axis_minor_length",
        "AreaShape_Eccentricity": "eccentricity",
        "AreaShape_Extent": "extent",
        "AreaShape_Perimeter": "perimeter",
        "AreaShape_EquivalentDiameter": "equivalent_diameter_area",
    }
    for channel in range(channels):
        for name, peer in (("Mean", "mean"), ("Std", "std"), ("Min", "min"), ("Max", "max")):
            names[f"Intensity_{name}Intensity_C{channel}"] = f"intensity_{peer}-{channel}"
    columns = {name: np.asarray(table[peer], dtype=np.float64) for name, peer in names.items()}
    columns["AreaShape_Orientation"] = np.degrees(table["orientation"])
    for channel in range(channels):
        total = columns["AreaShape_Area"] * columns[f"Intensity_MeanIntensity_C{channel}"]
        columns[f"Intensity_IntegratedIntensity_C{channel}"] = total
    return columns
