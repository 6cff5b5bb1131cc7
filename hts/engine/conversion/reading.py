"""The planes of a field as they go into the plate: read, corrected, projected, hashed, faults listed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from hts.acquire import Plane, PlaneIssue, Source, read_plane
from hts.engine.conversion.options import Projection
from hts.errors import SourceError
from hts.locations import printable
from hts.model import FieldKey
from hts.store import PlaneIndex

Pixels = NDArray[Any]


@dataclass(frozen=True)
class FieldJob:
    """A field to convert: its planes, and what was wrong with others of it before a pixel was read.

    ``offset`` is subtracted from every pixel, 0 for none.
    """

    source: Source
    key: FieldKey
    planes: tuple[Plane, ...]
    issues: tuple[PlaneIssue, ...]
    project: Projection = "none"
    offset: int = 0


@dataclass(frozen=True)
class Reading:
    """What reading a field brings to light: planes that cannot be used, and a hash of all the others."""

    issues: list[PlaneIssue] = field(default_factory=list)
    pixels: xxhash.xxh3_128 = field(default_factory=xxhash.xxh3_128)

    def add(self, channel: str, index: PlaneIndex, pixels: Pixels) -> None:
        """Count a plane into the hash."""
        self.pixels.update(repr([channel, *index, pixels.dtype.str, *pixels.shape]).encode())
        self.pixels.update(np.ascontiguousarray(pixels).data)


def field_planes(job: FieldJob, reading: Reading) -> Iterator[tuple[PlaneIndex, Pixels]]:
    """Planes of the plate as they come; a source plane that cannot be read becomes an issue and costs its plane only.

    A projection needs every plane of its stack: of an incomplete one it would not be comparable with others.
    """
    order = {channel.name: place for place, channel in enumerate(job.source.channels)}
    if job.project == "none":
        for plane in job.planes:
            pixels = _read(job, plane, reading)
            if pixels is not None:
                index = (plane.t, order[plane.channel], plane.z)
                reading.add(plane.channel, index, pixels)
                yield index, pixels
        return
    broken = {(issue.t, issue.channel) for issue in job.issues}
    stacks = sorted(job.planes, key=lambda plane: (plane.t, order[plane.channel], plane.z))
    for (t, channel), planes in groupby(stacks, key=lambda plane: (plane.t, plane.channel)):
        stack = list(planes)
        projected = None if (t, channel) in broken else _project(job, stack, reading)
        if projected is not None:
            reading.add(channel, (t, order[channel], 0), projected)
            yield (t, order[channel], 0), projected


def _project(job: FieldJob, stack: list[Plane], reading: Reading) -> Pixels | None:
    """Maximum or mean over z, in the type of the pixels; None when a plane cannot be read."""
    total: Pixels | None = None
    sums = _sum_type(job.source.dtype)
    for plane in stack:
        pixels = _read(job, plane, reading)
        if pixels is None:
            return None
        if job.project == "max":
            total = pixels if total is None else np.maximum(total, pixels, out=total)
        else:
            wide = pixels.astype(sums)
            total = wide if total is None else np.add(total, wide, out=total)
    if total is None or job.project == "max":
        return total
    # Half a grey level is rounded upwards, as pyramids do.
    mean = total / len(stack) if sums == np.float64 else (2 * total + len(stack)) // (2 * len(stack))
    result: Pixels = mean.astype(job.source.dtype)
    return result


def _sum_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Where sums of a stack are exact: Python's own integers for those of 64 bits, which no camera has."""
    if dtype.kind == "f":
        return np.dtype(np.float64)
    return np.dtype(np.int64 if dtype.itemsize < 8 else object)


def _read(job: FieldJob, plane: Plane, reading: Reading) -> Pixels | None:
    try:
        return _without_offset(job, plane, read_source_plane(job.source, plane))
    except SourceError as error:
        file = printable(job.source.file_name(plane))
        reason = printable(" ".join(str(error).replace(str(plane.path), job.source.file_name(plane)).split()))
        place = (plane.well, plane.field, plane.channel, plane.z, plane.t)
        reading.issues.append(PlaneIssue(*place, "unreadable", reason, file))
        return None


def read_source_plane(source: Source, plane: Plane) -> Pixels:
    """Pixels of a plane of any source; raises SourceError as :func:`hts.acquire.read_plane` does."""
    return (source.read or read_plane)(plane, source.shape, source.dtype)


def _without_offset(job: FieldJob, plane: Plane, pixels: Pixels) -> Pixels:
    if not job.offset:
        return pixels
    lowest = int(pixels.min())
    if lowest < job.offset:
        raise SourceError(f"{plane.path}: has pixels of {lowest}, below the offset {job.offset} that is to be removed")
    lowered: Pixels = pixels - pixels.dtype.type(job.offset)
    return lowered


def issue_to_json(issue: PlaneIssue) -> dict[str, Any]:
    """An issue as markers keep it."""
    return {**{name: value for name, value in asdict(issue).items() if name != "well"}, "well": issue.well.name}
