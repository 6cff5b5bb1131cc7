"""What can be converted: microscope folders through their readers, and plates that are OME-Zarr already."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hts.acquire import Plane, PlaneIssue, Source, open_source
from hts.engine.conversion.options import CONVERT_STAGE
from hts.errors import SourceError, StoreError, UsageError
from hts.locations import Location
from hts.model import Channel, FieldKey, PixelSize, WellId
from hts.recipe import fingerprint
from hts.store import Field, Markers, Plate, looks_like_zarr

OME_ZARR = "ome-zarr"


def open_input(where: Location, reader: str | None = None, pattern: str | None = None) -> Source:
    """The plane table of a microscope folder or an OME-Zarr plate; raises what :func:`hts.open_source` does."""
    if reader == OME_ZARR or (reader is None and pattern is None and looks_like_zarr(where)):
        source = from_plate(Plate.open(where))
    else:
        if not isinstance(where, Path):
            # fsspec remembers listings for as long as the process lives; others may have written meanwhile.
            where.fs.invalidate_cache()
        source = open_source(where, reader=reader, pattern=pattern)
    if source.dtype.kind not in "biuf":
        raise SourceError(f"{where} has pixels that are integers or real numbers", found=str(source.dtype))
    return source


def with_pixel_size(source: Source, pixel_size_um: float | None) -> Source:
    """The source with the pixel size that a person gave, noted where the files say otherwise."""
    if pixel_size_um is None:
        return source
    if not 0 < pixel_size_um < 1000:
        raise UsageError("a pixel size in micrometres above 0", found=f"{pixel_size_um:g}")
    told = source.pixel_size
    notes = source.notes
    if told is not None and not np.allclose((told.y_um, told.x_um), pixel_size_um, rtol=1e-4):
        notes = (*notes, f"pixel size {pixel_size_um:g} µm was given by hand; the files say {told.x_um:g} µm")
    given = PixelSize(pixel_size_um, pixel_size_um, told.z_um if told else None)
    return replace(source, pixel_size=given, notes=notes)


def from_plate(plate: Plate) -> Source:
    """An OME-Zarr plate as a source of planes, so that it is inspected and rewritten as any other.

    Raises
    ------
    StoreError
        when no image of it can be opened.
    """
    sizes = plate.shape
    fields: dict[FieldKey, Field] = {}
    rows = list(_rows(plate, (sizes.get("t", 1), len(plate.channels), sizes.get("z", 1)), fields))
    notes = () if "conversion" in plate.origin else ("the plate was not made by hts: it does not say what is missing",)
    return Source(
        root=plate.path,
        reader=OME_ZARR,
        plate_name=plate.name,
        channels=tuple(_channels(plate)),
        n_z=sizes.get("z", 1),
        n_t=sizes.get("t", 1),
        planes=tuple(row for row in rows if isinstance(row, Plane)),
        issues=tuple(row for row in rows if isinstance(row, PlaneIssue)),
        pixel_size=plate.pixel_size,
        shape=(sizes["y"], sizes["x"]),
        dtype=plate.dtype,
        notes=(*notes, *plate.origin.get("notes", ())),
        read=PlatePlanes(plate, fields),
    )


def _channels(plate: Plate) -> Iterator[Channel]:
    colors = plate.channel_colors
    known = {entry["name"]: entry for entry in plate.origin.get("channels", ())}
    for name in plate.channels:
        yield Channel(**known[name]) if name in known else Channel(name, colors.get(name, "FFFFFF"))


def _rows(plate: Plate, sizes: tuple[int, int, int], opened: dict[FieldKey, Field]) -> Iterator[Plane | PlaneIssue]:
    broken = _known_issues(plate)
    for well in plate.wells:
        try:
            fields = plate[well].fields
        except StoreError as error:
            reason = " ".join(str(error).split())
            yield from (PlaneIssue(well, 1, name, 0, 0, "unreadable", reason) for name in plate.channels)
            continue
        for field in fields:
            opened[field.key] = field
            yield from _field_rows(field, plate.channels, sizes, broken)


def _field_rows(
    field: Field, channels: tuple[str, ...], sizes: tuple[int, int, int], broken: dict[tuple[Any, ...], PlaneIssue]
) -> Iterator[Plane | PlaneIssue]:
    well, number = field.key
    place = field.position_um or {}
    for t, c, z in np.ndindex(sizes):
        issue = broken.get((well, number, channels[c], z, t))
        if issue is None and z not in field.z_planes(channels[c], t):
            issue = PlaneIssue(well, number, channels[c], z, t, "missing", "the plate lists the plane as absent")
        if issue is not None:
            yield issue
            continue
        page = int(np.ravel_multi_index((t, c, z), sizes))
        stage = (place.get("y"), place.get("x"), place.get("z"), str(field.attributes["hts"].get("acquired", "")))
        yield Plane(well, number, channels[c], z, t, field.location, page, *stage)


def _known_issues(plate: Plate) -> dict[tuple[Any, ...], PlaneIssue]:
    """What the plate's own completeness table says is not there."""
    table = plate.completeness()
    issues = (
        PlaneIssue(WellId.parse(row["Well"]), int(row["Field"]), row["Channel"], int(row["Z"]), int(row["T"]),
                   row["Status"], row["Reason"], row["File"])
        for row in table[table["Status"] != "found"].to_dict("records")
    )  # fmt: skip
    return {(issue.well, issue.field, issue.channel, issue.z, issue.t): issue for issue in issues}


@dataclass(frozen=True)
class PlatePlanes:
    """Reads planes of an OME-Zarr plate; opened fields are kept."""

    plate: Plate
    fields: dict[FieldKey, Field]

    def __call__(self, plane: Plane, shape: tuple[int, int], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Pixels of a plane; SourceError where it is damaged or differs in shape or type."""
        field = self.fields[FieldKey(plane.well, plane.field)]
        found = field.read_plane(plane.channel, t=plane.t, z=plane.z)
        if found.shape != shape or found.dtype.newbyteorder("=") != dtype:
            raise SourceError(f"{plane.path}: is {found.shape} {found.dtype}, the plate's planes are {shape} {dtype}")
        return found.astype(dtype, copy=False)

    def state(self, well: WellId) -> str:
        """What tells a well of the plate that was made anew: the hash of its pixels if hts wrote it, its documents."""
        conversion = str(self.plate.origin.get("conversion", ""))
        marker = Markers(self.plate.root / ".hts", CONVERT_STAGE, conversion).read(well.name) or {}
        try:
            documents = self.plate[well].metadata_digest()
        except StoreError as error:
            documents = str(error)
        return fingerprint("plate well", 1, {"pixels": marker.get("pixels", "")}, {"documents": documents})
