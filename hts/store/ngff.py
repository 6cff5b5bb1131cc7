"""The JSON of OME-Zarr 0.5: pure functions from our nouns to the specification's dictionaries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hts.model import Channel, PixelSize, PlateLayout, WellId, row_name
from hts.store.pyramid import level_shapes

VERSION = "0.5"
AXES: tuple[dict[str, str], ...] = (
    {"name": "t", "type": "time"},
    {"name": "c", "type": "channel"},
    {"name": "z", "type": "space", "unit": "micrometer"},
    {"name": "y", "type": "space", "unit": "micrometer"},
    {"name": "x", "type": "space", "unit": "micrometer"},
)
Window = tuple[float, float]


def group(ome: Mapping[str, Any], hts: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A Zarr v3 group document with its attributes; our own go under the key ``hts``."""
    attributes: dict[str, Any] = {"ome": {"version": VERSION, **ome}} if ome else {}
    if hts:
        attributes["hts"] = dict(hts)
    return {"zarr_format": 3, "node_type": "group", "attributes": attributes}


def plate(name: str, layout: PlateLayout, wells: Sequence[WellId], field_count: int) -> dict[str, Any]:
    """Plate metadata; rows and columns are those of the whole plate, so that maps keep their geometry."""
    return {
        "plate": {
            "version": VERSION,
            "name": name,
            "rows": [{"name": row_name(row)} for row in range(layout.rows)],
            "columns": [{"name": f"{column + 1:02d}"} for column in range(layout.columns)],
            "wells": [
                {"path": f"{well.row_name}/{well.column_name}", "rowIndex": well.row, "columnIndex": well.column}
                for well in sorted(wells)
            ],
            "field_count": field_count,
            "acquisitions": [{"id": 0, "name": name, "maximumfieldcount": field_count}],
        }
    }


def well(fields: Sequence[int]) -> dict[str, Any]:
    """Well metadata; the path of an image is the number the microscope gave the field."""
    return {"well": {"version": VERSION, "images": [{"path": str(field), "acquisition": 0} for field in fields]}}


def image(
    name: str,
    shape: tuple[int, int],
    pixel_size: PixelSize | None,
    channels: Sequence[Channel],
    windows: Sequence[tuple[Window, Window]],
) -> dict[str, Any]:
    """Multiscales and omero metadata; `windows` holds per channel (start, end) and (min, max)."""
    omero = [
        {
            "label": channel.name,
            "color": channel.color,
            "active": True,
            "coefficient": 1,
            "family": "linear",
            "inverted": False,
            "window": {"start": start, "end": end, "min": low, "max": high},
        }
        for channel, ((start, end), (low, high)) in zip(channels, windows, strict=True)
    ]
    return {
        "multiscales": [_multiscale(name, AXES, shape, pixel_size, "area average of 2 x 2 pixels")],
        "omero": {"name": name, "channels": omero},
    }


def label_image(name: str, shape: tuple[int, int], pixel_size: PixelSize | None) -> dict[str, Any]:
    """Metadata of a label image (t, z, y, x) that belongs to the image two levels up."""
    axes = tuple(axis for axis in AXES if axis["name"] != "c")
    return {
        "multiscales": [_multiscale(name, axes, shape, pixel_size, "every second pixel")],
        "image-label": {"version": VERSION, "source": {"image": "../../"}},
    }


def _multiscale(
    name: str,
    axes: Sequence[Mapping[str, str]],
    shape: tuple[int, int],
    pixel_size: PixelSize | None,
    method: str,
) -> dict[str, Any]:
    size = pixel_size or PixelSize(1.0, 1.0)
    unknown = set("zyx") if pixel_size is None else set() if size.z_um else {"z"}
    shown = [_without_unit(axis) if axis["name"] in unknown else dict(axis) for axis in axes]
    datasets = []
    for level in range(len(level_shapes(shape))):
        factor = 2.0**level
        scale = {"t": 1.0, "c": 1.0, "z": size.z_um or 1.0, "y": size.y_um * factor, "x": size.x_um * factor}
        datasets.append(
            {
                "path": str(level),
                "coordinateTransformations": [{"type": "scale", "scale": [scale[axis["name"]] for axis in axes]}],
            }
        )
    return {"name": name, "axes": shown, "datasets": datasets, "type": method}


def _without_unit(axis: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in axis.items() if key != "unit"}


def full_range(dtype: np.dtype[Any]) -> Window:
    """Smallest and largest value of an integer type; 0 and 1 for floats."""
    if np.issubdtype(dtype, np.integer):
        info = np.iinfo(dtype)
        return float(info.min), float(info.max)
    return 0.0, 1.0
