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
from hts.locations import Location
from hts.model import Channel, FieldKey, PixelSize, PlateLayout, WellId
from hts.store import ngff
from hts.store.arrays import ArraySpec, create, write_plane
from hts.store.files import forget_listing, part_name, read_if_there, read_only_zip, refuse_read_only, storage_errors
from hts.store.folders import Folders
from hts.store.groups import METADATA, write_group
from hts.store.ngff import Version
from hts.store.pyramid import halve_image, level_shapes
from hts.store.zipped import is_zip

FORMAT = 2
"""What images and labels of ours say under ``hts.format``: every plane that is not listed as absent has its file."""
_BEGINNING = (".hts", ".zgroup", *(part_name(name) for name in ("zarr.json", ".zgroup", ".zattrs")))
"""What a conversion that was killed can leave before there is a plate; Zarr v2 has .zgroup before the attributes."""
CONTRAST_PX = 256
PlaneIndex = tuple[int, int, int]
"""Time point, channel and z of a plane, zero-based."""


@dataclass(frozen=True)
class PlateSpec:
    """Everything that is the same for all fields of a plate.

    ``shape`` is (Y, X) in pixels, ``fields`` the field numbers of each well, ``origin`` what is told
    about the source (reader, notes …) under our own metadata key; its ``acquisition`` may hold the ``name``,
    ``description``, ``starttime`` and ``endtime`` of NGFF. ``time_step_s`` is the time between two time points.
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
    ngff: Version = "0.5"
    time_step_s: float | None = None


@dataclass(frozen=True)
class FieldImage:
    """A field's address, its planes as they come, its stage position in µm, and what else is kept under ``hts``."""

    key: FieldKey
    planes: Iterable[tuple[PlaneIndex, NDArray[Any]]]
    position_um: Mapping[str, float] | None = None
    own: Mapping[str, Any] | None = None


def field_path(plate: Location, key: FieldKey) -> Location:
    """Folder of a field's image group in a plate of ours: ``<plate>/B/03/1``."""
    return plate.joinpath(key.well.row_name, key.well.column_name, str(key.field))


def create_plate(place: Location, spec: PlateSpec) -> None:
    """Write the groups of the plate, its rows and its wells. Doing it again with the same spec changes nothing.

    Raises
    ------
    UsageError
        when something else than a plate, or a plate of the other version, is already there, or the pixels are no
        numbers on a line, such as complex ones.
    StoreError
        when it cannot be written; zip files are read-only.
    """
    if spec.dtype.kind not in "biuf":
        raise UsageError("pixels that are integers, floats or true and false", found=spec.dtype.name)
    refuse_other_files(place)
    _refuse_other_version(place, spec.ngff)
    field_count = max((len(fields) for fields in spec.fields.values()), default=0)
    layout = PlateLayout.holding(set(spec.fields))
    acquisition = (spec.origin or {}).get("acquisition")
    # The root comes first: from then on what is there is the beginning of a plate, whatever ends this process.
    plate = ngff.plate(spec.name, layout, list(spec.fields), field_count, acquisition=acquisition, version=spec.ngff)
    write_group(place, plate, spec.origin, spec.ngff)
    for row in sorted({well.row_name for well in spec.fields}):
        write_group(place / row, {}, None, spec.ngff)
    for well, fields in sorted(spec.fields.items()):
        write_group(place / well.row_name / well.column_name, ngff.well(fields, spec.ngff), None, spec.ngff)


def refuse_other_files(place: Location) -> None:
    """Raise `UsageError` when something else than a plate, or the beginning of one, is at `place`.

    `StoreError` when its name is that of a zip file: a plate written there could not be opened, or would hide one.
    """
    if is_zip(place):
        raise read_only_zip(place)
    refuse_read_only(place)
    if any(read_if_there(place / name) is not None for name in METADATA.values()):
        return
    with storage_errors(place, "read"):
        forget_listing(place)
        if place.exists() and any(path.name not in _BEGINNING for path in _children(place)):
            raise UsageError(
                f"{place} is new, empty or a plate that an earlier conversion began",
                found="other files",
                fix="choose another destination",
            )


def _children(place: Location) -> list[Path] | list[Any]:
    return list(place.iterdir()) if place.is_dir() else [place]


def _refuse_other_version(place: Location, version: Version) -> None:
    for other, name in METADATA.items():
        if other != version and read_if_there(place / name) is not None:
            raise UsageError(
                f"{place} is new or a plate of OME-Zarr {version}",
                found=f"a plate of OME-Zarr {other}",
                fix=f"choose another destination, or ask for {other}",
            )


def write_field(place: Location, spec: PlateSpec, image: FieldImage) -> None:
    """Write all levels of a field; its group document, which makes it an image, comes last.

    Planes are written as they come, and only one is in memory at a time. Those that never come are listed as
    (t, c, z) under ``absent_planes``; all others have their files, also those that are black, so that a lost file can
    be told. Threads may write different fields at the same time.
    """
    folder = field_path(place, image.key)
    folders = Folders(folder.parent)
    levels = _create_levels(folder, spec, folders)
    ranges: dict[int, list[ngff.Window]] = {}
    absent = set(itertools.product(range(spec.n_t), range(len(spec.channels)), range(spec.n_z)))
    for index, plane in image.planes:
        ranges.setdefault(index[1], []).append(contrast(plane))
        for level, array in enumerate(levels):
            write_plane(folder / str(level), array, index, plane, folders)
            if level + 1 < len(levels):
                plane = halve_image(plane)
        absent.discard(index)
    limits = ngff.full_range(spec.dtype)
    windows = [(_widest(ranges.get(c), limits), limits) for c in range(len(spec.channels))]
    where = ngff.space(spec.pixel_size, spec.time_step_s)
    ome = ngff.image(str(image.key), spec.shape, where, spec.channels, windows, spec.ngff)
    own: dict[str, Any] = {**(image.own or {}), "format": FORMAT}
    if image.position_um:
        own["position_um"] = dict(image.position_um)
    if absent:
        own["absent_planes"] = [list(place) for place in sorted(absent)]
    write_group(folder, ome, own, spec.ngff)


def _create_levels(folder: Location, spec: PlateSpec, folders: Folders) -> list[ArraySpec]:
    axes = tuple(axis["name"] for axis in ngff.AXES)
    leading = (spec.n_t, len(spec.channels), spec.n_z)
    levels = [ArraySpec(leading + shape, spec.dtype.str, axes, spec.ngff) for shape in level_shapes(spec.shape)]
    for level, array in enumerate(levels):
        create(folder / str(level), array, folders)
    return levels


def contrast(plane: NDArray[Any]) -> ngff.Window:
    """Contrast window of a plane: its 0.5th and 99.8th percentile, from about 256 × 256 of its pixels, evenly spread.

    Pixels that are not finite do not count: JSON has no number for them. True and false are 1 and 0.
    """
    if plane.dtype == np.bool_:
        return 0.0, 1.0
    step = max(1, max(plane.shape) // CONTRAST_PX)
    values = plane[::step, ::step]
    values = values[np.isfinite(values)]
    values = values.view(np.uint8) if values.dtype == bool else values
    if not values.size:
        return 0.0, 1.0
    start, end = np.percentile(values, (0.5, 99.8))
    return float(start), float(max(end, start + 1))


def _widest(windows: list[ngff.Window] | None, limits: ngff.Window) -> ngff.Window:
    if not windows:
        return limits
    return min(start for start, _ in windows), max(end for _, end in windows)
