"""Plates as other software writes them: with its own library where it is installed, by hand where only that can lie."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

VERSIONS = ("0.5", "0.4")


def write_group(place: Path, ome: dict[str, Any], version: str) -> None:
    """A group with OME metadata, written by hand."""
    place.mkdir(parents=True, exist_ok=True)
    if version == "0.5":
        document = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": {"version": "0.5", **ome}}}
        (place / "zarr.json").write_text(json.dumps(document))
    else:
        (place / ".zgroup").write_text('{"zarr_format": 2}')
        (place / ".zattrs").write_text(json.dumps(ome))


def write_plate(place: Path, wells: list[tuple[str, int, int]], version: str = "0.4", **extra: Any) -> None:
    """The root of a plate with `wells` of (path, row index, column index)."""
    rows = sorted({path.split("/")[0] for path, _, _ in wells})
    columns = sorted({path.split("/")[1] for path, _, _ in wells})
    plate = {
        "rows": [{"name": name} for name in rows],
        "columns": [{"name": name} for name in columns],
        "wells": [{"path": path, "rowIndex": row, "columnIndex": column} for path, row, column in wells],
        **extra,
    }
    write_group(place, {"plate": plate}, version)


def write_well(place: Path, images: list[str], version: str = "0.4") -> None:
    """A well that lists its images."""
    write_group(place, {"well": {"images": [{"path": path} for path in images]}}, version)


def write_image(
    place: Path,
    values: NDArray[Any],
    axes: list[dict[str, str]],
    scale: list[float],
    *,
    version: str = "0.4",
    path: str = "0",
    whole: list[float] | None = None,
    ome: dict[str, Any] | None = None,
) -> None:
    """An image of one level whose dataset is called `path`; `whole` is the scale of the multiscale."""
    steps = [{"type": "scale", "scale": scale}, {"type": "translation", "translation": [0.5] * len(scale)}]
    multiscale: dict[str, Any] = {"axes": axes, "datasets": [{"path": path, "coordinateTransformations": steps}]}
    if whole:
        multiscale["coordinateTransformations"] = [{"type": "scale", "scale": whole}]
    write_group(place, {"multiscales": [multiscale], **(ome or {})}, version)
    settings: dict[str, Any] = {"zarr_format": 3 if version == "0.5" else 2}
    if version == "0.4":
        settings["chunk_key_encoding"] = {"name": "v2", "separator": "/"}
    chunks = (1,) * (values.ndim - 2) + tuple(min(size, 32) for size in values.shape[-2:])
    array = zarr.create_array(str(place / path), shape=values.shape, dtype=values.dtype, chunks=chunks, **settings)
    array[:] = values


def ome_zarr_py_plate(place: Path, pixels: dict[str, NDArray[Any]], version: str) -> None:
    """A plate of wells with one image each (c, y, x), written by ome-zarr-py."""
    from ome_zarr.format import format_from_version
    from ome_zarr.writer import write_image as write
    from ome_zarr.writer import write_plate_metadata, write_well_metadata

    fmt = format_from_version(version)
    root = zarr.open_group(str(place), mode="w", zarr_format=fmt.zarr_format)
    rows = sorted({path.split("/")[0] for path in pixels})
    columns = sorted({path.split("/")[1] for path in pixels})
    write_plate_metadata(root, rows, columns, list(pixels), fmt=fmt)
    for path, values in pixels.items():
        well = root.require_group(path)
        write_well_metadata(well, ["0"], fmt=fmt)
        write(
            values,
            well.require_group("0"),
            scale_factors=[2],
            axes="cyx",
            scale={"c": 1.0, "y": 0.5, "x": 0.25},
            axes_units={"y": "micrometer", "x": "micrometer"},
            fmt=fmt,
        )


def ngio_plate(place: Path, values: NDArray[Any], version: str) -> None:
    """A plate with the well C05 and one image (c, z, y, x), written by ngio."""
    import ngio

    images = [ngio.ImageInWellPath(row="C", column=5, path="0")]
    plate = ngio.create_empty_plate(str(place), name="theirs", images=images, ngff_version=version)
    ngio.create_ome_zarr_from_array(
        store=plate.get_image_store("C", 5, "0"),
        array=values,
        axes_names="czyx",
        pixelsize=0.325,
        z_spacing=2.0,
        levels=2,
        channels_meta=["DAPI", "GFP"],
        ngff_version=version,
        overwrite=True,
    )


def ints(shape: tuple[int, ...], seed: int = 0) -> NDArray[np.uint16]:
    """Random pixels from 1 up."""
    return np.random.default_rng(seed).integers(1, 60_000, shape, dtype=np.uint16)
