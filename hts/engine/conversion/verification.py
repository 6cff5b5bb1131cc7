"""Proof that a plate is what its source says: every plane is read back and compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hts.engine.conversion.reading import FieldJob, Reading, field_planes
from hts.engine.conversion.wells import WellJob, in_threads
from hts.errors import HtsError, StoreError
from hts.store import Field, Plate


@dataclass(frozen=True)
class Verification:
    """``equal`` planes of the plate, and those that differ or cannot be read, one line each."""

    equal: int
    different: tuple[str, ...]

    def raise_if_different(self, plate: Plate) -> None:
        """Raise `StoreError` when a plane is not what its source says."""
        if self.different:
            shown = "; ".join(self.different[:5]) + (" …" if len(self.different) > 5 else "")
            raise StoreError(
                f"every plane of {plate.path} equals its source",
                found=f"{len(self.different)} of {self.equal + len(self.different)} do not: {shown}",
                cause="files changed after they were converted, or the disk is damaged",
                fix="hts convert --overwrite --verify",
            )


def verify(plate: Plate, jobs: Sequence[WellJob], workers: int, verified: Callable[[], None]) -> Verification:
    """Compare every plane of the source that can be read with the plate's; `verified` is called after each well."""
    equal, different = 0, []
    left = {job.well: len(job.fields) for job in jobs}

    def compare(job: FieldJob) -> tuple[int, list[str]]:
        return _compare_field(plate, job)

    fields = (one for job in jobs for one in job.fields)
    for job, (n_equal, lines) in in_threads(compare, fields, workers):
        equal += n_equal
        different += lines
        left[job.key.well] -= 1
        if not left[job.key.well]:
            verified()
    return Verification(equal, tuple(sorted(different)))


def _compare_field(plate: Plate, job: FieldJob) -> tuple[int, list[str]]:
    """Planes that are equal, and a line for each that is not; planes that the source cannot give must be absent."""
    names = [channel.name for channel in job.source.channels]
    field = _open(plate, job)
    equal, lines, seen = 0, [], set()
    for (t, c, z), pixels in field_planes(job, Reading()):
        seen.add((t, c, z))
        problem = field if isinstance(field, str) else _difference(field, names[c], (t, z), pixels)
        equal += not problem
        lines += [f"{job.key} {names[c]} t={t} z={z}: {problem}"] if problem else []
    if isinstance(field, str):
        return 0, lines or [f"{job.key}: {field}"]
    for c, name in enumerate(names):
        for t in range(field.sizes.get("t", 1)):
            extra = [z for z in field.z_planes(name, t) if (t, c, z) not in seen]
            lines += [f"{job.key} {name} t={t} z={z}: is in the plate, its source cannot be read" for z in extra]
    return equal, lines


def _open(plate: Plate, job: FieldJob) -> Field | str:
    """The field of the plate; what is wrong with it when it is no image with these channels."""
    try:
        field = plate[job.key.well].field(job.key.field)
        channels = field.channels
    except HtsError as error:
        return " ".join(str(error).split())
    expected = tuple(channel.name for channel in job.source.channels)
    return field if channels == expected else f"has the channels {channels}, its source {expected}"


def _difference(field: Field, channel: str, place: tuple[int, int], pixels: NDArray[Any]) -> str:
    t, z = place
    try:
        stored = field.read_plane(channel, t=t, z=z)
    except HtsError as error:
        return " ".join(str(error).split())
    if stored.dtype.newbyteorder("=") != pixels.dtype or stored.shape != pixels.shape:
        return f"is {stored.shape} {stored.dtype}, its source {pixels.shape} {pixels.dtype}"
    n_different = int(np.count_nonzero((stored != pixels) & ~((stored != stored) & (pixels != pixels))))
    return f"{n_different:,} pixels differ" if n_different else ""
