"""Good plates to break: by ome-zarr-py (0.4 and 0.5), and 0.4 written out by hand; and how to edit their documents."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import zarr

WELLS = ("A/01", "B/02")
IMAGE = "A/01/0"
LABEL = "A/01/0/labels/nuclei"
SHAPES = ((2, 64, 48), (2, 32, 24))
AXES = [
    {"name": "c", "type": "channel"},
    {"name": "y", "type": "space", "unit": "micrometer"},
    {"name": "x", "type": "space", "unit": "micrometer"},
]
Edit = Callable[[dict[str, Any]], Any]


def pixels(shape: tuple[int, ...], dtype: Any = np.uint16) -> np.ndarray[Any, Any]:
    """Values from 1 up."""
    return np.random.default_rng(0).integers(1, 200, shape).astype(dtype)


def write_json(path: Path, value: Any) -> None:
    """Write a document, and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def multiscale(axes: list[dict[str, str]], name: str) -> dict[str, Any]:
    """Two levels, the second half as large, in 0.65 µm pixels."""
    datasets = []
    for level in range(2):
        size = 0.65 * 2**level
        scale = [size if axis["type"] == "space" else 1.0 for axis in axes]
        datasets.append({"path": str(level), "coordinateTransformations": [{"type": "scale", "scale": scale}]})
    return {"version": "0.4", "name": name, "axes": axes, "datasets": datasets, "type": "mean"}


def image_v04() -> dict[str, Any]:
    """Attributes of an image with two channels."""
    window = {"start": 0.0, "end": 200.0, "min": 0.0, "max": 65535.0}
    channels = [
        {"label": label, "color": color, "window": dict(window), "active": True}
        for label, color in (("DNA", "0000FF"), ("Actin", "00FF00"))
    ]
    return {"multiscales": [multiscale(AXES, "image")], "omero": {"channels": channels}}


def label_v04() -> dict[str, Any]:
    """Attributes of a label image with a colour and a property."""
    return {
        "multiscales": [multiscale(AXES[1:], "nuclei")],
        "image-label": {
            "version": "0.4",
            "colors": [{"label-value": 1, "rgba": [255, 0, 0, 255]}],
            "properties": [{"label-value": 1, "area": 5}],
            "source": {"image": "../../"},
        },
    }


def plate_v04() -> dict[str, Any]:
    """Attributes of a plate of two wells on the diagonal."""
    return {
        "plate": {
            "version": "0.4",
            "name": "hand",
            "rows": [{"name": "A"}, {"name": "B"}],
            "columns": [{"name": "01"}, {"name": "02"}],
            "wells": [{"path": path, "rowIndex": i, "columnIndex": i} for i, path in enumerate(WELLS)],
            "field_count": 1,
            "acquisitions": [{"id": 0, "name": "first", "maximumfieldcount": 1}],
        }
    }


def _group(root: Path, path: str, attributes: dict[str, Any] | None = None) -> None:
    write_json(root / path / ".zgroup", {"zarr_format": 2})
    if attributes is not None:
        write_json(root / path / ".zattrs", attributes)


def _arrays_v04(folder: Path, shapes: Any, dtype: Any) -> None:
    for level, shape in enumerate(shapes):
        array = zarr.create_array(
            str(folder / str(level)),
            shape=shape,
            dtype=dtype,
            chunks=(1,) * (len(shape) - 2) + (32, 32),
            zarr_format=2,
            chunk_key_encoding={"name": "v2", "separator": "/"},
        )
        array[...] = pixels(shape, dtype)


def write_v04(root: Path) -> Path:
    """A plate of OME-Zarr 0.4: two wells of one field with labels in the first."""
    _group(root, "", plate_v04())
    for well in WELLS:
        _group(root, well.partition("/")[0])
        _group(root, well, {"well": {"version": "0.4", "images": [{"path": "0", "acquisition": 0}]}})
        _group(root, f"{well}/0", image_v04())
        _arrays_v04(root / well / "0", SHAPES, np.uint16)
    _group(root, "A/01/0/labels", {"labels": ["nuclei"]})
    _group(root, LABEL, label_v04())
    _arrays_v04(root / LABEL, [shape[1:] for shape in SHAPES], np.int32)
    return root


def write_ome_zarr_py(root: Path, version: str) -> Path:
    """The same plate by ome-zarr-py, in the version asked for."""
    from ome_zarr.format import FormatV04, FormatV05
    from ome_zarr.writer import write_image, write_labels, write_plate_metadata, write_well_metadata

    form = FormatV04() if version == "0.4" else FormatV05()
    plate = plate_v04()["plate"]
    top = zarr.open_group(str(root), mode="w", zarr_format=form.zarr_format)
    write_plate_metadata(
        top,
        ["A", "B"],
        ["01", "02"],
        plate["wells"],
        form,
        acquisitions=plate["acquisitions"],
        field_count=1,
        name="peer",
    )
    for well in WELLS:
        group = top.require_group(well.partition("/")[0]).require_group(well.partition("/")[2])
        write_well_metadata(group, [{"path": "0", "acquisition": 0}], form)
        field = group.require_group("0")
        size = {
            "scale_factors": (2,),
            "fmt": form,
            "scale": {"y": 0.65, "x": 0.65},
            "axes_units": {"y": "micrometer", "x": "micrometer"},
        }
        write_image(pixels(SHAPES[0]), field, axes="cyx", omero=image_v04()["omero"], **size)
        if well == WELLS[0]:
            colors = {"colors": [{"label-value": 1, "rgba": [255, 0, 0, 255]}]}
            labels = pixels(SHAPES[0][1:], np.int32)
            write_labels(labels, field, "nuclei", scaler=None, axes="yx", label_metadata=colors, **size)
    return root


def is_v3(root: Path) -> bool:
    """Whether a plate is in Zarr format 3."""
    return (root / "zarr.json").exists()


def document_of(root: Path, path: str) -> Path:
    """The file with the attributes of a group."""
    return root / path / ("zarr.json" if is_v3(root) else ".zattrs")


def edit(root: Path, path: str, change: Edit) -> None:
    """Change the OME metadata of a group in place, wherever its version keeps it."""
    file = document_of(root, path)
    document = json.loads(file.read_text())
    change(document["attributes"]["ome"] if is_v3(root) else document)
    write_json(file, document)


def edit_array(root: Path, path: str, change: Edit) -> None:
    """Change the document of an array in place."""
    file = root / path / ("zarr.json" if is_v3(root) else ".zarray")
    document = json.loads(file.read_text())
    change(document)
    write_json(file, document)
