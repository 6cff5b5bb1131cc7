"""Write plates: the metadata once, then field by field."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hts.errors import UsageError
from hts.model import Channel, FieldKey, PixelSize, PlateLayout, WellId
from hts.store import ngff
from hts.store.arrays_v3 import create, write_plane
from hts.store.files import write_json
from hts.store.pyramid import halve_image, level_shapes

PlaneIndex = tuple[int, int, int]
"""Time point, channel and z of a plane, zero-based."""


@dataclass(frozen=True)
class PlateSpec:
    """Everything that is the same for all fields of a plate.

    ``shape`` is (Y, X) in pixels, ``fields`` the field numbers of each well, ``origin`` what is told
    about the source (reader, notes …) under our own metadata key.
    """

    name: str
    fields: Mapping[WellId, tuple[int, ...]]
    channels: tuple[Channel, ...]
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    pixel_size: PixelSize | None = None
    n_t: int = 1
    n_z: int = 1
    origin: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class FieldImage:
    """A field's address, its stage position in µm, and its planes as they come."""

    key: FieldKey
    planes: Iterable[tuple[PlaneIndex, NDArray[Any]]]
    position_um: Mapping[str, float] | None = None


def field_path(plate: Path, key: FieldKey) -> Path:
    """Folder of a field's image group: ``<plate>/B/03/1``."""
    return plate / key.well.row_name / key.well.column_name / str(key.field)


def create_plate(path: Path, spec: PlateSpec) -> None:
    """Write the groups of the plate, its rows and its wells. Doing it again with the same spec changes nothing.

    Raises
    ------
    UsageError
        when something else than a plate is already there.
    StoreError
        when it cannot be written.
    """
    refuse_other_files(path)
    field_count = max((len(fields) for fields in spec.fields.values()), default=0)
    layout = PlateLayout.holding(set(spec.fields))
    # The root comes first: from then on what is there is the beginning of a plate, whatever ends this process.
    plate = ngff.plate(spec.name, layout, list(spec.fields), field_count)
    write_json(path / "zarr.json", ngff.group(plate, spec.origin))
    for row in sorted({well.row_name for well in spec.fields}):
        write_json(path / row / "zarr.json", ngff.group({}))
    for well, fields in sorted(spec.fields.items()):
        write_json(path / well.row_name / well.column_name / "zarr.json", ngff.group(ngff.well(fields)))


def refuse_other_files(path: Path) -> None:
    """Raise `UsageError` when something else than a plate, or the beginning of one, is at `path`."""
    if path.exists() and not (path / "zarr.json").exists() and any(p.name != ".hts" for p in _children(path)):
        raise UsageError(
            f"{path} is new, empty or a plate that an earlier conversion began",
            found="other files",
            fix="choose another destination",
        )


def _children(path: Path) -> list[Path]:
    return list(path.iterdir()) if path.is_dir() else [path]


def write_field(path: Path, spec: PlateSpec, image: FieldImage) -> None:
    """Write all levels of a field; its group document, which makes it an image, comes last.

    Planes that never come stay at the fill value 0 and are listed as (t, c, z) under ``absent_planes``. Zarr
    stores no file for a plane of zeros; those are listed under ``black_planes``, so that a lost file can be told.
    """
    folder = field_path(path, image.key)
    axes = tuple(axis["name"] for axis in ngff.AXES)
    shapes = level_shapes(spec.shape)
    leading = (spec.n_t, len(spec.channels), spec.n_z)
    levels = [create(folder / str(i), leading + shape, spec.dtype.str, axes) for i, shape in enumerate(shapes)]
    ranges: dict[int, list[ngff.Window]] = {}
    black: list[list[int]] = []
    absent = set(itertools.product(*map(range, leading)))
    for (t, c, z), plane in image.planes:
        absent.discard((t, c, z))
        if not plane.any():
            black.append([t, c, z])
        ranges.setdefault(c, []).append(contrast(plane))
        for level, array in enumerate(levels):
            write_plane(array, (t, c, z), plane)
            if level + 1 < len(levels):
                plane = halve_image(plane)
    limits = ngff.full_range(spec.dtype)
    windows = [(_widest(ranges.get(c), limits), limits) for c in range(len(spec.channels))]
    ome = ngff.image(str(image.key), spec.shape, spec.pixel_size, spec.channels, windows)
    own: dict[str, Any] = {"black_planes": black}
    if image.position_um:
        own["position_um"] = dict(image.position_um)
    if absent:
        own["absent_planes"] = [list(place) for place in sorted(absent)]
    write_json(folder / "zarr.json", ngff.group(ome, own))


def contrast(plane: NDArray[Any]) -> ngff.Window:
    """Contrast window of a plane: its 0.5th and 99.8th percentile, from every fourth pixel of large planes.

    Pixels that are not finite do not count: JSON has no number for them.
    """
    step = 4 if plane.size > 512 * 512 else 1
    values = plane[::step, ::step]
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    start, end = np.percentile(values, (0.5, 99.8))
    return float(start), float(max(end, start + 1))


def _widest(windows: list[ngff.Window] | None, limits: ngff.Window) -> ngff.Window:
    if not windows:
        return limits
    return min(start for start, _ in windows), max(end for _, end in windows)
