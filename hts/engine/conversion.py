"""From a microscope folder to an OME-Zarr plate: read with `acquire`, write with `store`, well by well."""

from __future__ import annotations

import concurrent.futures
import hashlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hts.acquire import Plane, PlaneIssue, Source, open_source, read_plane
from hts.acquire.layout import read_layout
from hts.engine.clusters import available_cores
from hts.errors import SourceError, UsageError
from hts.locations import relative_name
from hts.model import FieldKey, WellId
from hts.recipe import Recipe, fingerprint
from hts.store import (
    FieldImage,
    Markers,
    Plate,
    PlateSpec,
    create_plate,
    ensure_writable,
    exclusive,
    storage_errors,
    write_field,
    write_json,
    write_table,
)
from hts.store.files import write_bytes
from hts.store.write import PlaneIndex, field_path, refuse_other_files

CONVERT_STAGE = "convert"
VERSION = 1
Progress = Callable[[int, int], None]
"""Called with the wells done and the wells expected."""


@dataclass(frozen=True)
class ConvertOptions:
    """What a conversion may be told beyond source and destination."""

    reader: str | None = None
    pattern: str | None = None
    layout: Path | None = None
    overwrite: bool = False


@dataclass(frozen=True)
class _Job:
    """One well: its planes and what was wrong with it before a pixel was read."""

    source: Source
    spec: PlateSpec
    destination: Path
    well: WellId
    planes: tuple[Plane, ...]
    issues: tuple[PlaneIssue, ...]


@dataclass(frozen=True)
class _Reading:
    """What reading a well's planes brings to light: those that cannot be read, and a hash of all the others."""

    issues: list[PlaneIssue] = field(default_factory=list)
    pixels: Any = field(default_factory=lambda: hashlib.blake2b(digest_size=16))

    def add(self, plane: Plane, pixels: NDArray[Any]) -> None:
        place = [plane.field, plane.channel, plane.z, plane.t, pixels.dtype.str, *pixels.shape]
        self.pixels.update(repr(place).encode())
        self.pixels.update(np.ascontiguousarray(pixels))


def convert(
    src: str | Path,
    dst: str | Path,
    *,
    recipe: Recipe | None = None,
    options: ConvertOptions | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Plate:
    """Convert the microscope folder `src` to the OME-Zarr plate `dst`.

    Parameters
    ----------
    src : folder that a microscope wrote.
    dst : the plate to make, such as ``plate.ome.zarr``. A conversion that was broken off goes on; one that
        is finished is left as it is; wells whose files changed are converted again.
    recipe : its section ``acquire`` names reader and pattern when `options` does not.
    options, settings : ``reader``, ``pattern``, ``layout`` (CSV), ``overwrite``; as an object or by keyword.
    progress : called after every well.

    Raises
    ------
    NotFoundError, SourceError
        when `src` is absent or no reader recognises it.
    StoreError
        when `dst` cannot be written.
    UsageError
        when `dst` is something else, or another conversion works on it.
    """
    chosen = replace(options or ConvertOptions(), **settings)
    if recipe is not None:
        acquire = recipe.acquire
        chosen = replace(chosen, reader=chosen.reader or acquire.reader, pattern=chosen.pattern or acquire.pattern)
    destination = Path(dst)
    layout = read_layout(Path(chosen.layout)) if chosen.layout else None
    source = open_source(Path(src), reader=chosen.reader, pattern=chosen.pattern)
    spec = plate_spec(source, destination)
    ensure_writable(destination.parent)
    _refuse_foreign(destination)
    with exclusive(destination / ".hts", "convert"):
        _convert_wells(source, spec, destination, chosen.overwrite, progress)
        if layout is not None:
            _write_layout(destination, spec, layout, Path(chosen.layout or ""))
    return Plate.open(destination)


def _refuse_foreign(destination: Path) -> None:
    """Nothing that `hts convert` did not write is ever written into."""
    refuse_other_files(destination)
    if (destination / "zarr.json").exists():
        plate = Plate.open(destination)
        if "conversion" not in plate.origin:
            raise UsageError(
                f"{destination} is new or was made by hts convert",
                found="another plate",
                fix="choose another destination",
            )


def plate_spec(source: Source, destination: Path) -> PlateSpec:
    """What all fields share, and where the plate comes from."""
    wells: dict[WellId, set[int]] = {}
    places = [(plane.well, plane.field) for plane in source.planes]
    places += [(issue.well, issue.field) for issue in source.issues]
    for well, number in places:
        wells.setdefault(well, set()).add(number)
    spec = PlateSpec(
        name=source.plate_name or destination.name.removesuffix(".zarr").removesuffix(".ome"),
        fields={well: tuple(sorted(fields)) for well, fields in sorted(wells.items())},
        channels=source.channels,
        shape=source.shape,
        dtype=np.dtype(source.dtype),
        pixel_size=source.pixel_size,
        n_t=source.n_t,
        n_z=source.n_z,
    )
    shared = {
        "channels": [asdict(channel) for channel in spec.channels],
        "shape": list(spec.shape),
        "dtype": spec.dtype.str,
        "pixel_size": asdict(spec.pixel_size) if spec.pixel_size else None,
        "n_t": spec.n_t,
        "n_z": spec.n_z,
    }
    origin = {
        "format": 1,
        "conversion": fingerprint("convert", VERSION, shared, {}),
        "reader": source.reader,
        "source": source.root.name,
        "notes": list(source.notes),
    }
    return replace(spec, origin=origin)


def _convert_wells(source: Source, spec: PlateSpec, dst: Path, overwrite: bool, progress: Progress | None) -> None:
    create_plate(dst, spec)
    markers = Markers(dst / ".hts", CONVERT_STAGE, str((spec.origin or {})["conversion"]))
    jobs = _jobs(source, spec, dst)
    todo = [job for job in jobs if overwrite or not _is_done(job, markers)]
    done = len(jobs) - len(todo)
    workers = min(available_cores(), 8)
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        running = [pool.submit(_convert_well, job, markers) for job in todo]
        try:
            for finished in concurrent.futures.as_completed(running):
                finished.result()
                done += 1
                if progress:
                    progress(done, len(jobs))
        except BaseException:
            # Wells that have not begun stay undone; those under way finish whole and are committed.
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    _write_completeness(source, jobs, markers, dst)
    _keep_vendor_files(source, dst)


def _jobs(source: Source, spec: PlateSpec, dst: Path) -> list[_Job]:
    planes: dict[WellId, list[Plane]] = {well: [] for well in spec.fields}
    issues: dict[WellId, list[PlaneIssue]] = {well: [] for well in spec.fields}
    for plane in source.planes:
        planes[plane.well].append(plane)
    for issue in source.issues:
        issues[issue.well].append(issue)
    return [_Job(source, spec, dst, well, tuple(planes[well]), tuple(issues[well])) for well in spec.fields]


def _is_done(job: _Job, markers: Markers) -> bool:
    """Committed for the same files; planes that could not be read are tried again."""
    marker = markers.read(job.well.name)
    if marker is None or marker.get("files") != _files_fingerprint(job):
        return False
    listed = {_place(issue) for issue in job.issues}
    return all(_place(PlaneIssue(**{**issue, "well": job.well})) in listed for issue in marker["issues"])


def _place(issue: PlaneIssue) -> tuple[int, str, int, int]:
    return issue.field, issue.channel, issue.z, issue.t


def _files_fingerprint(job: _Job) -> str:
    """Names, sizes and times of the well's files: cheap to look at, and only good to see that nothing was touched.

    What a well *is* for everything downstream is the hash of its pixels, taken while they are converted.
    """
    files = [
        [
            plane.field,
            plane.channel,
            plane.z,
            plane.t,
            job.source.file_name(plane),
            plane.index,
            *_size_and_time(plane),
        ]
        for plane in job.planes
    ]
    issues = [[*_place(issue), issue.status, issue.reason, issue.file] for issue in job.issues]
    return fingerprint("files", VERSION, {"files": files, "issues": issues, "fields": job.spec.fields[job.well]}, {})


def _size_and_time(plane: Plane) -> tuple[int, int]:
    try:
        known = plane.path.stat()
    except OSError:
        return -1, -1
    return known.st_size, known.st_mtime_ns


def _convert_well(job: _Job, markers: Markers) -> None:
    """Convert all fields of a well, then commit it."""
    # Looked at before the pixels are read: a file that changes meanwhile is converted again next time.
    files, reading = _files_fingerprint(job), _Reading()
    markers.discard(job.well.name)
    for number in job.spec.fields[job.well]:
        key = FieldKey(job.well, number)
        folder = field_path(job.destination, key)
        _clear(folder)
        planes = [plane for plane in job.planes if plane.field == number]
        write_field(job.destination, job.spec, FieldImage(key, _read_planes(job, planes, reading), _position(planes)))
    issues = [_issue_json(issue) for issue in (*job.issues, *reading.issues)]
    markers.commit(job.well.name, {"files": files, "pixels": reading.pixels.hexdigest(), "issues": issues})


def _clear(folder: Path) -> None:
    """Remove what is left of an image: what an undisturbed conversion would not have made must not show through.

    Labels stay: whether they still belong to the pixels is what the hash of the pixels decides.
    """
    with storage_errors(folder):
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.name != "labels":
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _read_planes(job: _Job, planes: list[Plane], reading: _Reading) -> Iterator[tuple[PlaneIndex, NDArray[Any]]]:
    """Planes as they come; one that cannot be read becomes an issue and costs itself only."""
    order = {channel.name: i for i, channel in enumerate(job.source.channels)}
    for plane in planes:
        try:
            pixels = read_plane(plane, job.source.shape, job.source.dtype)
        except SourceError as error:
            file = job.source.file_name(plane)
            reason = " ".join(str(error).split()).replace(str(plane.path), file)
            place = (plane.well, plane.field, plane.channel, plane.z, plane.t)
            reading.issues.append(PlaneIssue(*place, "unreadable", reason, file))
            continue
        reading.add(plane, pixels)
        yield (plane.t, order[plane.channel], plane.z), pixels


def _position(planes: list[Plane]) -> dict[str, float] | None:
    for plane in planes:
        found = {"y": plane.y_um, "x": plane.x_um, "z": plane.z_um}
        known = {axis: float(value) for axis, value in found.items() if value is not None}
        if "y" in known and "x" in known:
            return known
    return None


def _issue_json(issue: PlaneIssue) -> dict[str, Any]:
    return {**{name: value for name, value in asdict(issue).items() if name != "well"}, "well": issue.well.name}


def _write_completeness(source: Source, jobs: list[_Job], markers: Markers, dst: Path) -> None:
    """The table of every expected plane, from the listing and the markers."""
    table = source.to_frame()
    broken: dict[tuple[str, int, str, int, int], dict[str, Any]] = {}
    for job in jobs:
        marker = markers.read(job.well.name)
        for issue in marker["issues"] if marker else []:
            broken[(issue["well"], issue["field"], issue["channel"], issue["z"], issue["t"])] = issue
    statuses, reasons = table["Status"].tolist(), table["Reason"].tolist()
    places = zip(table["Well"], table["Field"], table["Channel"], table["Z"], table["T"], strict=True)
    for row, place in enumerate(places):
        if statuses[row] == "found" and place in broken:
            statuses[row], reasons[row] = broken[place]["status"], broken[place]["reason"]
    table = table.assign(Status=statuses, Reason=reasons)
    write_table(dst / ".hts" / "completeness.parquet", table)


def _keep_vendor_files(source: Source, dst: Path) -> None:
    """Copy the microscope's own metadata under the plate, outside the keys of OME-Zarr."""
    for file in source.vendor_files:
        write_bytes(dst / ".hts" / "vendor" / relative_name(file, source.root), file.read_bytes())


def _write_layout(dst: Path, spec: PlateSpec, layout: pd.DataFrame, path: Path) -> None:
    """Store the layout, and note where it and the plate do not agree."""
    wells = {well.name for well in spec.fields}
    described = set(layout["Well"])
    notes = []
    if extra := sorted(described - wells):
        notes.append(f"{path.name} describes wells that are not on the plate: {_some(extra)}; their lines are not used")
    if lacking := sorted(wells - described):
        notes.append(f"{path.name} does not describe the wells {_some(lacking)}; they have no layout values")
    kept = layout[layout["Well"].isin(wells)].reset_index(drop=True)
    write_table(dst / ".hts" / "layout.parquet", kept)
    write_json(dst / ".hts" / "layout-notes.json", notes)


def _some(names: list[str]) -> str:
    return ", ".join(names[:6]) + (f" … ({len(names)} in all)" if len(names) > 6 else "")
