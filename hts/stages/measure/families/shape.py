"""Size, place and outline of objects, as CellProfiler 4 names and defines them, in pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hts.stages.measure.families import _kernels_outline as kernels
from hts.stages.measure.features import BuiltInFamily, FeatureInfo

if TYPE_CHECKING:
    from hts.stages.measure.shared.moments import ObjectMoments
    from hts.stages.measure.shared.objects import Objects

_BOX = "CellProfiler's half-open box: the maximum is one past the last pixel"
_ELLIPSE = "of the ellipse with the second moments of the object (no 1/12 pixel term, as scikit-image)"
_CENTRES = "the centres of the object's pixels"
_RADIUS = "distance of the object's pixels to the nearest pixel that is not of the object; outside the image none is"
_DEFINITIONS = {
    "Area": ("px^2", "Number of pixels"),
    "BoundingBoxMinimum_X": ("px", f"First column of the object; {_BOX}"),
    "BoundingBoxMinimum_Y": ("px", f"First row of the object; {_BOX}"),
    "BoundingBoxMaximum_X": ("px", f"Last column of the object + 1; {_BOX}"),
    "BoundingBoxMaximum_Y": ("px", f"Last row of the object + 1; {_BOX}"),
    "BoundingBoxArea": ("px^2", "Height times width of the bounding box"),
    "Center_X": ("px", "Mean column of the pixels"),
    "Center_Y": ("px", "Mean row of the pixels"),
    "MajorAxisLength": ("px", f"Long axis {_ELLIPSE}"),
    "MinorAxisLength": ("px", f"Short axis {_ELLIPSE}"),
    "Eccentricity": ("1", f"Distance of the foci over the long axis {_ELLIPSE}; 0 is a circle"),
    "Orientation": (
        "degree",
        "Angle of the long axis to the row (y) axis, -90 to 90, positive towards +x +y: scikit-image's radians "
        "times 180/pi; -45 when the object has no direction",
    ),
    "Extent": ("1", "Area over area of the bounding box"),
    "Perimeter": ("px", "Length of the line through the border pixels (Benkrid and Crookes; 4-neighbourhood)"),
    "EquivalentDiameter": ("px", "Diameter of the circle of the same area"),
    "FormFactor": ("1", "4 pi area / perimeter^2; undefined when the perimeter is 0"),
    "Compactness": ("1", "perimeter^2 / (4 pi area)"),
    "MinFeretDiameter": ("px", f"Smallest distance of two parallel lines around {_CENTRES}"),
    "MaxFeretDiameter": ("px", f"Largest distance of {_CENTRES}"),
    "ConvexArea": (
        "px^2",
        "Number of pixels whose centre is in or on the convex hull of the middles of the pixels' edges (scikit-image)",
    ),
    "Solidity": ("1", "Area over convex area"),
    "Convexity": (
        "1",
        f"Perimeter of the convex hull of {_CENTRES}, over the perimeter; undefined when the perimeter is 0",
    ),
    "EulerNumber": ("1", "Number of pieces (8-neighbourhood) less the number of holes (4-neighbourhood)"),
    "FilledArea": (
        "px^2",
        "Number of pixels with the holes filled: what is not connected to the outside, even over corners",
    ),
    "PerimeterCrofton": (
        "px",
        "Length of the outline by Crofton's formula: crossings with lines in 4 directions (scikit-image)",
    ),
    "MaximumRadius": ("px", f"Largest {_RADIUS}"),
    "MeanRadius": ("px", f"Mean {_RADIUS}"),
    "MedianRadius": ("px", f"Median {_RADIUS}"),
}
_CELLPROFILER = "CellProfiler 4 MeasureObjectSizeShape"
_SOURCES = {
    "Convexity": "Russ, The Image Processing Handbook",
    "FilledArea": "scikit-image regionprops",
    "PerimeterCrofton": "scikit-image regionprops",
}
_KINDS = np.arange(kernels.NEIGHBOURHOODS)
_UPPER_LEFT, _UPPER_RIGHT, _LOWER_LEFT, _LOWER_RIGHT = (
    _KINDS & pixel > 0 for pixel in (kernels.UPPER_LEFT, kernels.UPPER_RIGHT, kernels.LOWER_LEFT, kernels.LOWER_RIGHT)
)
# A corner at the lower right of a piece counts 1; one that is missing, or where two pixels only touch there, -1.
_EULER = 1 * (_UPPER_LEFT & ~_UPPER_RIGHT & ~_LOWER_LEFT & ~_LOWER_RIGHT) - 1 * (
    _UPPER_RIGHT & _LOWER_LEFT & ~_LOWER_RIGHT
)
# Where lines in four directions cross the outline one way; diagonals are 1/sqrt(2) px apart.
_CROFTON = (np.pi / 4) * (
    1.0 * (_LOWER_RIGHT & ~_UPPER_RIGHT)
    + 1.0 * (_UPPER_LEFT & ~_UPPER_RIGHT)
    + np.sqrt(0.5) * (_LOWER_RIGHT & ~_UPPER_LEFT)
    + np.sqrt(0.5) * (_UPPER_RIGHT & ~_LOWER_LEFT)
)


class ShapeFeatures(BuiltInFamily):
    """Area, box, centre, axes, outline, hull, holes and distances to the edge."""

    name = "shape"
    version = 2
    needs = ("moments", "runs", "hulls", "edge_distance")
    cost_ns = 27.0

    def catalogue(self, channels: tuple[str, ...]) -> tuple[FeatureInfo, ...]:
        """The features; the same whatever the channels."""
        return tuple(
            FeatureInfo(f"AreaShape_{name}", self.name, unit, None, definition, _SOURCES.get(name, _CELLPROFILER))
            for name, (unit, definition) in _DEFINITIONS.items()
        )

    def compute(self, objects: Objects) -> dict[str, NDArray[np.float64]]:
        """(n,) values by name; NaN for objects without a pixel."""
        m = objects.moments.moved(*objects.field.origin)
        values = {"Area": m.pixels, **_box(m), **_ellipse(m), **_outline(m)}
        values |= {**_hull(objects), **_filled(objects), **_radii(objects)}
        return {f"AreaShape_{name}": values[name] for name in _DEFINITIONS}


def _box(m: ObjectMoments) -> dict[str, NDArray[np.float64]]:
    box = np.where(m.area[:, None] > 0, m.bbox.astype(np.float64), np.nan)
    top, left, bottom, right = box.T
    area = (bottom - top) * (right - left)
    return {
        "BoundingBoxMinimum_X": left,
        "BoundingBoxMinimum_Y": top,
        "BoundingBoxMaximum_X": right,
        "BoundingBoxMaximum_Y": bottom,
        "BoundingBoxArea": area,
        "Extent": m.pixels / area,
        "Center_X": m.sum_x / m.pixels,
        "Center_Y": m.sum_y / m.pixels,
    }


def _ellipse(m: ObjectMoments) -> dict[str, NDArray[np.float64]]:
    """From the eigenvalues of the covariance of the pixels (Jähne, Spatio-Temporal Image Processing, chapter 8)."""
    var_y, var_x, cov = m.spread()
    middle, half = (var_y + var_x) / 2, np.hypot((var_y - var_x) / 2, cov)
    large, small = middle + half, np.maximum(middle - half, 0.0)
    angle = np.arctan2(2 * cov, var_y - var_x) / 2
    # A 45 degree axis, or no axis at all: scikit-image decides by the sign of the covariance.
    angle = np.where(var_y == var_x, np.where(cov > 0, np.pi / 4, -np.pi / 4), angle)
    # 1 - small / large would lose digits in round objects.
    squared = 2 * half / np.where(large > 0, large, 1.0)
    return {
        "MajorAxisLength": 4 * np.sqrt(large),
        "MinorAxisLength": 4 * np.sqrt(small),
        "Eccentricity": np.sqrt(np.minimum(squared, 1.0)),
        "Orientation": np.degrees(angle),
    }


def _outline(m: ObjectMoments) -> dict[str, NDArray[np.float64]]:
    area = m.pixels
    perimeter = np.where(m.area > 0, m.perimeter_px, np.nan)
    return {
        "Perimeter": perimeter,
        "EquivalentDiameter": np.sqrt(4 * area / np.pi),
        "FormFactor": 4 * np.pi * area / np.where(perimeter > 0, perimeter, np.nan) ** 2,
        "Compactness": perimeter**2 / (4 * np.pi * area),
    }


def _hull(objects: Objects) -> dict[str, NDArray[np.float64]]:
    sizes = np.full((objects.count, 4), np.nan)
    objects.over(kernels.hull_sizes, objects.hulls, sizes)
    m = objects.moments
    convex_area, hull_perimeter, min_feret, max_feret = sizes.T.copy()
    return {
        "MinFeretDiameter": min_feret,
        "MaxFeretDiameter": max_feret,
        "ConvexArea": convex_area,
        "Solidity": m.pixels / convex_area,
        "Convexity": hull_perimeter / np.where(m.perimeter_px > 0, m.perimeter_px, np.nan),
    }


def _filled(objects: Objects) -> dict[str, NDArray[np.float64]]:
    counts, holes = np.zeros((objects.count, kernels.NEIGHBOURHOODS), np.int64), np.zeros(objects.count, np.int64)
    objects.over(kernels.neighbourhoods, counts)
    objects.over(kernels.hole_areas, holes)
    present = objects.present
    return {
        "EulerNumber": np.where(present, counts @ _EULER, np.nan),
        "FilledArea": objects.moments.pixels + holes,
        "PerimeterCrofton": np.where(present, counts @ _CROFTON, np.nan),
    }


def _radii(objects: Objects) -> dict[str, NDArray[np.float64]]:
    found = np.full((objects.count, 3), np.nan)
    objects.over(kernels.radii, objects.edge_distance, found)
    return dict(zip(("MaximumRadius", "MeanRadius", "MedianRadius"), found.T.copy(), strict=True))
