"""The JSON of OME-Zarr 0.5 and 0.4: pure functions from our nouns to the specification's dictionaries.

0.5 keeps everything under ``ome`` in the attributes of a Zarr v3 group; 0.4 keeps the same blocks at the top of
``.zattrs``, and each block says its version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from hts.model import Channel, PixelSize, PlateLayout, WellId, row_name
from hts.store.pyramid import level_shapes

Version = Literal["0.5", "0.4"]
VERSION: Version = "0.5"
AXES: tuple[dict[str, str], ...] = (
    {"name": "t", "type": "time"},
    {"name": "c", "type": "channel"},
    {"name": "z", "type": "space"},
    {"name": "y", "type": "space"},
    {"name": "x", "type": "space"},
)
_ACQUISITION = {"name": str, "description": str, "starttime": int, "endtime": int}
"""Keys of an entry of ``acquisitions`` with their types, but for those that the plate says (OME-NGFF 0.4, 0.5)."""
Window = tuple[float, float]
Space = tuple[tuple[Mapping[str, Any], ...], tuple[float, ...]]
"""Axes with their units, and the size of a pixel of the full image along each."""


def group(ome: Mapping[str, Any], hts: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A Zarr v3 group document with its attributes; our own go under the key ``hts``."""
    attributes: dict[str, Any] = {"ome": {"version": "0.5", **ome}} if ome else {}
    if hts:
        attributes["hts"] = dict(hts)
    return {"zarr_format": 3, "node_type": "group", "attributes": attributes}


def documents(
    ome: Mapping[str, Any], hts: Mapping[str, Any] | None = None, version: Version = VERSION
) -> dict[str, dict[str, Any]]:
    """The documents of a group by file name, the one with the metadata last: it is what makes the group something."""
    if version == "0.5":
        return {"zarr.json": group(ome, hts)}
    attributes = {**ome, "hts": dict(hts)} if hts else dict(ome)
    return {".zgroup": {"zarr_format": 2}} | ({".zattrs": attributes} if attributes else {})


def plate(
    name: str,
    layout: PlateLayout,
    wells: Sequence[WellId],
    field_count: int,
    *,
    acquisition: Mapping[str, Any] | None = None,
    version: Version = VERSION,
) -> dict[str, Any]:
    """Plate metadata; rows and columns are those of the whole plate, so that maps keep their geometry.

    ``acquisition`` may hold ``name``, ``description``, ``starttime`` and ``endtime`` (whole seconds since 1970);
    nothing else of it is written, because the block is not ours to add keys to.
    """
    told = {key: value for key, value in (acquisition or {}).items() if type(value) is _ACQUISITION.get(key)}
    known = {"id": 0, "name": name, "maximumfieldcount": field_count, **told}
    return {
        "plate": {
            "version": version,
            "name": name,
            "rows": [{"name": row_name(row)} for row in range(layout.rows)],
            "columns": [{"name": f"{column + 1:02d}"} for column in range(layout.columns)],
            "wells": [
                {"path": f"{well.row_name}/{well.column_name}", "rowIndex": well.row, "columnIndex": well.column}
                for well in sorted(wells)
            ],
            "field_count": field_count,
            "acquisitions": [known],
        }
    }


def well(fields: Sequence[int], version: Version = VERSION) -> dict[str, Any]:
    """Well metadata; the path of an image is the number the microscope gave the field."""
    return {"well": {"version": version, "images": [{"path": str(field), "acquisition": 0} for field in fields]}}


def space(pixel_size: PixelSize | None, time_step_s: float | None = None) -> Space:
    """Axes t, c, z, y, x and the size of a pixel; what is not known has no unit and the size 1."""
    size = pixel_size or PixelSize(1.0, 1.0)
    units: dict[str, str] = {} if time_step_s is None else {"t": "second"}
    if pixel_size is not None:
        units |= {"y": "micrometer", "x": "micrometer"} | ({"z": "micrometer"} if size.z_um else {})
    axes = tuple({**axis, "unit": units[axis["name"]]} if axis["name"] in units else dict(axis) for axis in AXES)
    return axes, (time_step_s or 1.0, 1.0, size.z_um or 1.0, size.y_um, size.x_um)


def image(
    name: str,
    shape: tuple[int, int],
    where: Space,
    channels: Sequence[Channel],
    windows: Sequence[tuple[Window, Window]],
    version: Version = VERSION,
) -> dict[str, Any]:
    """Multiscales and omero metadata; `windows` holds per channel (start, end) and (min, max)."""
    entries = [
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
    omero: dict[str, Any] = {"version": version} if version == "0.4" else {}
    return {
        "multiscales": [_multiscale(name, shape, where, "area average of 2 x 2 pixels", version)],
        "omero": {**omero, "name": name, "channels": entries},
    }


def label_image(name: str, shape: tuple[int, int], where: Space, version: Version = VERSION) -> dict[str, Any]:
    """Metadata of a label image that belongs to the image two levels up and has its axes without c."""
    kept = [i for i, axis in enumerate(where[0]) if axis["name"] != "c"]
    without_c = tuple(where[0][i] for i in kept), tuple(where[1][i] for i in kept)
    return {
        "multiscales": [_multiscale(name, shape, without_c, "every second pixel", version)],
        "image-label": {"version": version, "source": {"image": "../../"}},
    }


def _multiscale(name: str, shape: tuple[int, int], where: Space, method: str, version: Version) -> dict[str, Any]:
    axes, sizes = where
    datasets = []
    for level in range(len(level_shapes(shape))):
        factors = [2.0**level if axis["name"] in ("y", "x") else 1.0 for axis in axes]
        scale = [size * factor for size, factor in zip(sizes, factors, strict=True)]
        datasets.append({"path": str(level), "coordinateTransformations": [{"type": "scale", "scale": scale}]})
    said = {"version": version} if version == "0.4" else {}
    return {**said, "name": name, "axes": [dict(axis) for axis in axes], "datasets": datasets, "type": method}


def full_range(dtype: np.dtype[Any]) -> Window:
    """Smallest and largest value of an integer type; 0 and 1 for floats."""
    if np.issubdtype(dtype, np.integer):
        info = np.iinfo(dtype)
        return float(info.min), float(info.max)
    return 0.0, 1.0
