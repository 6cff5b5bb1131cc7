"""Wells as units of commitment, fields as units of work: threads convert fields, a marker commits each well."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from hts.acquire import Plane, PlaneIssue, Source
from hts.engine.conversion.plates import PlatePlanes
from hts.engine.conversion.reading import FieldJob, Reading, field_planes, issue_to_json
from hts.locations import Location
from hts.model import FieldKey, WellId
from hts.recipe import fingerprint
from hts.store import FieldImage, Held, Markers, PlateSpec, clear_field, file_errors, write_field

VERSION = 2
_VERSIONS = ("ETag", "etag", "md5Hash", "LastModified", "mtime", "updated", "created")
"""What file systems of fsspec call that which changes when an object does, the surest first."""
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class WellJob:
    """A well to convert, field by field."""

    well: WellId
    fields: tuple[FieldJob, ...]

    @property
    def issues(self) -> Iterator[PlaneIssue]:
        """What was wrong before a pixel was read."""
        return (issue for one in self.fields for issue in one.issues)

    def files_fingerprint(self) -> str:
        """Names, sizes and times of the well's files: cheap to look at, and only good to see that nothing was touched.

        What a well *is* for everything downstream is the hash of its pixels, taken while they are converted.
        """
        sizes: dict[Location, tuple[int, int | str]] = {}
        files = []
        for one in self.fields:
            for plane in one.planes:
                if plane.path not in sizes:
                    sizes[plane.path] = _size_and_version(plane.path)
                place = [plane.field, plane.channel, plane.z, plane.t, one.source.file_name(plane), plane.index]
                stage = [plane.y_um, plane.x_um, plane.z_um, plane.acquired]
                files.append([*place, *sizes[plane.path], *stage])
        issues = [[*_place(issue), issue.status, issue.reason, issue.file] for issue in self.issues]
        fields = [one.key.field for one in self.fields]
        seen: dict[str, Any] = {"files": files, "issues": issues, "fields": fields}
        if self.fields and isinstance(plates := self.fields[0].source.read, PlatePlanes):
            seen["state"] = plates.state(self.well)
        return fingerprint("files", VERSION, seen, {})


def well_jobs(source: Source, **how: Any) -> list[WellJob]:
    """All wells of a source; ``how`` are the further values of :class:`FieldJob`."""
    planes: dict[FieldKey, list[Plane]] = {}
    issues: dict[FieldKey, list[PlaneIssue]] = {}
    for plane in source.planes:
        planes.setdefault(FieldKey(plane.well, plane.field), []).append(plane)
    for issue in source.issues:
        issues.setdefault(FieldKey(issue.well, issue.field), []).append(issue)
    jobs = []
    for well in source.wells:
        keys = [FieldKey(well, number) for number in source.fields(well)]
        fields = (FieldJob(source, key, tuple(planes.get(key, ())), tuple(issues.get(key, ())), **how) for key in keys)
        jobs.append(WellJob(well, tuple(fields)))
    return jobs


def _size_and_version(path: Location) -> tuple[int, int | str]:
    """Size and time of a file; of an object its tag, or the time where it has none: (-1, -1) when it is not there."""
    try:
        if isinstance(path, Path):
            known = path.stat()
            return known.st_size, known.st_mtime_ns
        facts = path.fs.info(path.path)
    except file_errors():
        return -1, -1
    version = next((str(facts[key]) for key in _VERSIONS if facts.get(key)), "")
    return int(facts.get("size") or 0), version


def _place(issue: PlaneIssue) -> tuple[int, str, int, int]:
    return issue.field, issue.channel, issue.z, issue.t


def is_done(job: WellJob, markers: Markers) -> bool:
    """Whether a well is committed for the same files; planes that could not be read are tried again."""
    marker = markers.read(job.well.name)
    if marker is None or marker.get("files") != job.files_fingerprint():
        return False
    listed = {_place(issue) for issue in job.issues}
    return all(_place(PlaneIssue(**{**issue, "well": job.well})) in listed for issue in marker["issues"])


@dataclass
class _WellState:
    """A well under way: what is known of its files, and the fields that are finished."""

    job: WellJob
    files: str
    read: dict[int, Reading] = field(default_factory=dict)

    def commit(self, markers: Markers) -> None:
        readings = [self.read[one.key.field] for one in self.job.fields]
        pixels = [[number, self.read[number].pixels.hexdigest()] for number in sorted(self.read)]
        issues = [*self.job.issues, *(issue for reading in readings for issue in reading.issues)]
        content = {
            "files": self.files,
            "pixels": fingerprint("pixels", VERSION, {"fields": pixels}, {}),
            "issues": [issue_to_json(issue) for issue in issues],
        }
        markers.commit(self.job.well.name, content)


@dataclass(frozen=True)
class Writer:
    """Converts wells of one plate into one place."""

    destination: Location
    spec: PlateSpec
    markers: Markers
    held: Held

    def convert(self, jobs: Sequence[WellJob], workers: int, committed: Callable[[], None]) -> None:
        """Convert and commit these wells; `committed` is called after each. What breaks off loses no committed well."""
        states: dict[WellId, _WellState] = {}

        def begin() -> Iterator[FieldJob]:
            for job in jobs:
                # Looked at before the pixels are read: a file that changes meanwhile is converted again next time.
                states[job.well] = _WellState(job, job.files_fingerprint())
                self.markers.discard(job.well.name)
                yield from job.fields

        for one, reading in in_threads(self._convert_field, begin(), workers):
            state = states[one.key.well]
            state.read[one.key.field] = reading
            if len(state.read) == len(state.job.fields):
                self.held.still_ours()
                state.commit(self.markers)
                del states[one.key.well]
                committed()

    def _convert_field(self, job: FieldJob) -> Reading:
        reading = Reading()
        clear_field(self.destination, job.key)
        image = FieldImage(job.key, field_planes(job, reading), _position(job.planes), _own(job))
        write_field(self.destination, self.spec, image)
        return reading


def in_threads(
    work: Callable[[FieldJob], _Result], jobs: Iterable[FieldJob], workers: int
) -> Iterator[tuple[FieldJob, _Result]]:
    """Results as they come. Only a few jobs more than there are threads are taken at a time."""
    todo = iter(jobs)
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        running: dict[concurrent.futures.Future[_Result], FieldJob] = {}
        try:
            while True:
                while len(running) < 2 * workers and (job := next(todo, None)) is not None:
                    running[pool.submit(work, job)] = job
                if not running:
                    return
                for future in concurrent.futures.wait(running, return_when="FIRST_COMPLETED").done:
                    yield running.pop(future), future.result()
        except BaseException:
            # Fields that have not begun stay undone; those under way are waited for: nobody writes after the lock.
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _position(planes: Sequence[Plane]) -> dict[str, float] | None:
    for plane in planes:
        found = {"y": plane.y_um, "x": plane.x_um, "z": plane.z_um}
        known = {axis: float(value) for axis, value in found.items() if value is not None}
        if "y" in known and "x" in known:
            return known
    return None


def _own(job: FieldJob) -> dict[str, Any]:
    """Times of a field: its earliest plane; of a series also each time point's, None where nobody tells it."""
    first: dict[int, str] = {}
    for plane in job.planes:
        if plane.acquired:
            first[plane.t] = min(first.get(plane.t, plane.acquired), plane.acquired, key=_moment)
    if not first:
        return {}
    earliest = {"acquired": min(first.values(), key=_moment)}
    times = [first.get(t) for t in range(job.source.n_t)]
    return {**earliest, "acquired_t": times} if len(times) > 1 else earliest


def _moment(time: str) -> float:
    """Seconds since 1970: texts with different time zones do not sort by themselves."""
    return datetime.fromisoformat(time).timestamp()
