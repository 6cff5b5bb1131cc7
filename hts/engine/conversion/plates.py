"""A plate that is OME-Zarr already, ours or anybody's, as a source of planes: inspected in place, copied on request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hts.acquire import Plane, PlaneIssue, Source
from hts.acquire.table import Acquisition
from hts.engine.conversion.options import CONVERT_STAGE
from hts.errors import HtsError, SourceError, StoreError
from hts.locations import Location
from hts.model import Channel, FieldKey, PixelSize, WellId
from hts.recipe import fingerprint
from hts.store import Field, Markers, Plate, file_errors

OME_ZARR = "ome-zarr"
VENDOR = ".hts/vendor"
"""Where the microscope's own metadata are kept, below the plate."""
CONVERSION = "conversion"
"""Under this key of our own metadata a plate that hts made has the fingerprint of its conversion."""
_THREADS = 8


@dataclass(frozen=True)
class _Kind:
    """What all fields of a plate should share; ``pixel_um`` is y and x."""

    shape: tuple[int, int]
    dtype: np.dtype[Any]
    pixel_um: tuple[float, float] | None

    def __str__(self) -> str:
        pixel = f"{self.pixel_um[1]:g} µm a pixel" if self.pixel_um else "no pixel size"
        return f"{self.shape[0]} × {self.shape[1]} {self.dtype}, {pixel}"


@dataclass(frozen=True)
class _Look:
    """A field that was opened: what it is, how many t and z it has, and its channels; or why it cannot be used."""

    key: FieldKey
    field: Field | None = None
    kind: _Kind | None = None
    n_t: int = 1
    n_z: int = 1
    channels: tuple[str, ...] = ()
    problem: str = ""


def from_plate(plate: Plate) -> Source:
    """An OME-Zarr plate as a source of planes.

    Expected is every field with every channel, t and z that the plate has anywhere. Fields whose size, type or pixel
    size differ from those of the majority are unreadable: side by side their numbers would not compare.

    Raises
    ------
    StoreError
        when no image of it can be opened.
    """
    looks = list(_looks(plate))
    kinds: Counter[_Kind] = Counter(look.kind for look in looks if look.kind is not None)
    if not kinds:
        raise StoreError(
            f"{plate.path} has an image that can be opened",
            found=looks[0].problem if looks else "no well",
            cause="the plate is empty or damaged",
            fix="hts validate says what is wrong with it",
        )
    kind = kinds.most_common(1)[0][0]
    n_t, n_z = (max(getattr(look, axis) for look in looks) for axis in ("n_t", "n_z"))
    names = list(dict.fromkeys(name for look in looks for name in look.channels))
    rows = list(_rows(looks, kind, list(product(range(n_t), names, range(n_z))), _known_issues(plate)))
    size = plate.pixel_size
    return Source(
        root=plate.path,
        reader=OME_ZARR,
        plate_name=plate.name,
        channels=tuple(_channels(plate, names, looks)),
        n_z=n_z,
        n_t=n_t,
        planes=tuple(row for row in rows if isinstance(row, Plane)),
        issues=tuple(row for row in rows if isinstance(row, PlaneIssue)),
        pixel_size=PixelSize(*kind.pixel_um, size.z_um if size else None) if kind.pixel_um else None,
        shape=kind.shape,
        dtype=kind.dtype,
        vendor_files=tuple(_files(plate.root / VENDOR)),
        notes=tuple(_notes(plate, kinds)),
        acquisition=_acquisition(plate.origin.get("acquisition", {})),
        offset=int(plate.origin.get("offset", 0)) - int(plate.origin.get("removed_offset", 0)),
        read=PlatePlanes(plate, {look.key: look.field for look in looks if look.field is not None}),
    )


def _looks(plate: Plate) -> Iterator[_Look]:
    """Every field of the plate, in order; a well that cannot be opened is one field with a problem."""
    found: list[_Look | Field] = []
    for well in plate.wells:
        try:
            found += plate[well].fields
        except HtsError as error:
            found.append(_Look(FieldKey(well, 1), problem=_line(error)))
    with ThreadPoolExecutor(_THREADS) as pool:
        yield from pool.map(lambda one: one if isinstance(one, _Look) else _look(one), found)


def _look(field: Field) -> _Look:
    try:
        sizes, size = field.sizes, field.pixel_size
        dtype = np.dtype(field.array(0).dtype).newbyteorder("=")
        kind = _Kind((sizes["y"], sizes["x"]), dtype, (size.y_um, size.x_um) if size else None)
        return _Look(field.key, field, kind, sizes.get("t", 1), sizes.get("z", 1), field.channels)
    except HtsError as error:
        return _Look(field.key, problem=_line(error))


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _rows(
    looks: Iterable[_Look],
    kind: _Kind,
    places: list[tuple[int, str, int]],
    broken: Mapping[tuple[Any, ...], PlaneIssue],
) -> Iterator[Plane | PlaneIssue]:
    for look in looks:
        problem = look.problem
        if look.kind is not None and look.kind != kind:
            problem = f"is {look.kind}; most fields of the plate are {kind}"
        for page, (t, channel, z) in enumerate(places):
            place = (*look.key, channel, z, t)
            if place in broken:
                yield broken[place]
            elif problem or look.field is None:
                yield PlaneIssue(*place, "unreadable", problem, look.field.name if look.field else "")
            elif reason := _absence(look, t, channel, z):
                yield PlaneIssue(*place, "missing", reason)
            else:
                yield _plane(look.field, place, page)


def _absence(look: _Look, t: int, channel: str, z: int) -> str:
    if channel not in look.channels:
        return f"the field has no channel {channel}, others have it"
    if t >= look.n_t or z >= look.n_z:
        return f"the field has {look.n_t} time points and {look.n_z} z planes, others have more"
    listed = look.field is not None and look.field.has_plane(channel, t=t, z=z)
    return "" if listed else "the plate lists the plane as absent"


def _plane(field: Field, place: tuple[WellId, int, str, int, int], page: int) -> Plane:
    stage, own = field.position_um or {}, field.attributes["hts"]
    times = own.get("acquired_t") or [own.get("acquired")]
    t = place[-1]
    acquired = str(times[t] or "") if t < len(times) else ""
    return Plane(*place, field.location, page, stage.get("y"), stage.get("x"), stage.get("z"), acquired)


def _known_issues(plate: Plate) -> dict[tuple[Any, ...], PlaneIssue]:
    """What the plate's own completeness table says is not there."""
    table = plate.completeness()
    issues = {}
    for row in table[table["Status"] != "found"].to_dict("records"):
        place = (WellId.parse(row["Well"]), int(row["Field"]), str(row["Channel"]), int(row["Z"]), int(row["T"]))
        issues[place] = PlaneIssue(*place, str(row["Status"]), str(row["Reason"]), str(row["File"]))
    return issues


def _channels(plate: Plate, names: Iterable[str], looks: Iterable[_Look]) -> Iterator[Channel]:
    """Channels as our own conversion knew them, else in the colour of the first field that has them."""
    colors: dict[str, str] = {}
    for look in looks:
        if look.field is not None and not colors.keys() >= set(look.channels):
            colors = look.field.channel_colors | colors
    known = {entry["name"]: entry for entry in plate.origin.get("channels", ())}
    for name in names:
        yield Channel(**known[name]) if name in known else Channel(name, colors.get(name, "FFFFFF"))


def _notes(plate: Plate, kinds: Counter[_Kind]) -> Iterator[str]:
    yield from plate.origin.get("notes", ())
    if CONVERSION not in plate.origin:
        yield "the plate was not made by hts: it does not say what is missing"
    if len(kinds) > 1:
        others = "; ".join(f"{number} of {kind}" for kind, number in kinds.most_common()[1:4])
        yield f"fields differ from the {kinds.most_common(1)[0][0]} of most: {others}; they are not used"


def _acquisition(known: Mapping[str, Any]) -> Acquisition:
    names = {field.name for field in fields(Acquisition)}
    return Acquisition(**{name: value for name, value in known.items() if name in names})


@dataclass(frozen=True)
class PlatePlanes:
    """Reads planes of an OME-Zarr plate; opened fields are kept."""

    plate: Plate
    fields: dict[FieldKey, Field]

    def __call__(self, plane: Plane, shape: tuple[int, int], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Pixels of a plane; SourceError where it is damaged or differs in shape or type."""
        try:
            found = self.fields[FieldKey(plane.well, plane.field)].read_plane(plane.channel, t=plane.t, z=plane.z)
        except HtsError as error:
            raise SourceError(_line(error)) from error
        if found.shape != shape or found.dtype.newbyteorder("=") != dtype.newbyteorder("="):
            raise SourceError(f"{plane.path}: is {found.shape} {found.dtype}, the plate's planes are {shape} {dtype}")
        return found.astype(dtype.newbyteorder("="), copy=False)

    def state(self, well: WellId) -> str:
        """What tells a well that was made anew: the hash of its pixels if hts wrote it, else its files."""
        conversion = str(self.plate.origin.get(CONVERSION, ""))
        marker = Markers(self.plate.root / ".hts", CONVERT_STAGE, conversion).read(well.name)
        try:
            documents = self.plate[well].metadata_digest()
        except StoreError as error:
            documents = str(error)
        own = [field for key, field in self.fields.items() if key.well == well]
        pixels = marker["pixels"] if marker else [_file_states(field.location) for field in own]
        return fingerprint("plate well", 2, {"pixels": pixels}, {"documents": documents})


def _file_states(folder: Location) -> list[list[Any]]:
    """Name, size and time (on an object store: tag) of every file of an image."""
    if isinstance(folder, Path):
        stats = ((file, file.stat()) for file in sorted(folder.rglob("*")) if file.is_file())
        return [[file.relative_to(folder).as_posix(), known.st_size, known.st_mtime_ns] for file, known in stats]
    found = folder.fs.find(folder.path, detail=True)
    return [[name, facts.get("size"), str(facts.get("ETag") or facts.get("created"))] for name, facts in found.items()]


def _files(folder: Location) -> list[Location]:
    """Files below a folder; none where there is no folder."""
    if isinstance(folder, Path):
        return sorted(file for file in folder.rglob("*") if file.is_file())
    try:
        found = sorted(folder.fs.find(folder.path))
    except file_errors():
        return []
    root = folder.path.strip("/")
    return [folder.joinpath(*name.strip("/").removeprefix(root).strip("/").split("/")) for name in found]
