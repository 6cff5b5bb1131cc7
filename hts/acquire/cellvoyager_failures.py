"""Planes that a CellVoyager could not take: an error record has a place and a time, but no planes."""

from __future__ import annotations

from collections.abc import Iterator

from hts.acquire.build import Stage
from hts.acquire.cellvoyager_files import Failure, Records, Shot

_SAME_PLACE_UM = 1.0
_Design = dict[int, dict[tuple[int, int, int, int, int], Stage]]
"""By timeline: field, z, time, action and channel that some well has, and where the stage stood."""


def failed_shots(records: Records) -> dict[Shot, str]:
    """Planes that are not listed for they failed, with the reason.

    The field is that of other wells at the same place, of the same timeline where the record tells one; a failure at
    no such place stands for every field of its well that is not listed.
    """
    designs: _Design = {}
    for shot, _, stage, _ in records.images:
        place = (shot.field, shot.z, shot.time, shot.action, shot.channel)
        designs.setdefault(shot.timeline, {}).setdefault(place, stage)
    listed = {one.shot for one in records.images}
    failed: dict[Shot, str] = {}
    for failure in records.failures:
        for shot in _shots(failure, designs):
            if shot not in listed:
                failed.setdefault(shot, f"the microscope reports: {failure.text or 'an error'}")
    return failed


def _shots(failure: Failure, designs: _Design) -> Iterator[Shot]:
    own = {failure.timeline: designs[failure.timeline]} if failure.timeline in designs else designs
    for timeline, design in own.items():
        field = failure.field if failure.field is not None else _field_at(failure.stage, design)
        times = {place[2] for place in design}
        for place_field, z, time, action, channel in design:
            told = ((field, place_field), (failure.z, z), (failure.channel, channel))
            if any(wanted is not None and wanted != found for wanted, found in told):
                continue
            if failure.time is not None and failure.time in times and failure.time != time:
                continue
            yield Shot(failure.well, place_field, z, failure.time or time, timeline, action, channel)


def _field_at(stage: Stage, design: dict[tuple[int, int, int, int, int], Stage]) -> int | None:
    """The field whose place is the nearest, when it is the same to a micrometre."""
    if stage.y_um is None or stage.x_um is None:
        return None
    distances = {
        max(abs(other.y_um - stage.y_um), abs(other.x_um - stage.x_um)): place[0]
        for place, other in design.items()
        if other.y_um is not None and other.x_um is not None
    }
    nearest = min(distances, default=_SAME_PLACE_UM + 1)
    return distances[nearest] if nearest <= _SAME_PLACE_UM else None
