"""Size, place and outline of objects, as CellProfiler 4 names and defines them, in pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hts.stages.measure.features import BuiltInFamily, FeatureInfo

if TYPE_CHECKING:
    from hts.stages.measure.shared.moments import ObjectMoments
    from hts.stages.measure.shared.objects import Objects

_BOX = "CellProfiler's half-open box: the maximum is one past the last pixel"
_ELLIPSE = "of the ellipse with the second moments of the object (no 1/12 pixel term, as scikit-image)"
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
}


class ShapeFeatures(BuiltInFamily):
    """Area, box, centre, axes and outline; see :meth:`catalogue` for the definitions."""

    name = "shape"
    version = 1
    needs = ("moments",)

    def catalogue(self, channels: tuple[str, ...]) -> tuple[FeatureInfo, ...]:
        """The 17 features; the same whatever the channels."""
        return tuple(
            FeatureInfo(f"AreaShape_{name}", self.name, unit, None, definition)
            for name, (unit, definition) in _DEFINITIONS.items()
        )

    def compute(self, objects: Objects) -> dict[str, NDArray[np.float64]]:
        """(n,) values by name; NaN for objects without a pixel."""
        m = objects.moments.moved(*objects.field.origin)
        values = {"Area": m.pixels, **_box(m), **_ellipse(m), **_outline(m)}
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
