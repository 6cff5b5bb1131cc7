"""Where an ImageXpress file belongs in z: single planes, projections, and copies of one plane in every folder.

MetaXpress exports the projection of a stack into ``ZStep_0`` (its database keeps it beside the ZStep folders) and fills
the ``ZStep_<n>`` folders of a channel that has no stack with copies of its only plane (the same for time points at
which a channel was not acquired).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from hts.acquire.build import spread
from hts.acquire.imagexpress_names import Shot
from hts.acquire.listing import ImageFile
from hts.acquire.planes import read_pixels
from hts.errors import SourceError
from hts.model import FieldKey, WellId

FIELDS_LOOKED_AT = 3


def place_z(shots: Sequence[Shot], names: dict[int, str]) -> tuple[list[tuple[Shot, int]], list[str]]:
    """Each shot that is kept, with its z value, and notes on what was left out or moved.

    Single planes win over projections; a channel that has only a projection, or the same plane in every folder,
    keeps one plane at the first z value.
    """
    singles = sorted({shot.step for shot in shots if shot.step > 0})
    if not singles:
        notes = ["the z planes are projections (ZStep_0)"] if _in_folder(shots) else []
        return [(shot, 0) for shot in shots], notes
    placed: list[tuple[Shot, int]] = []
    notes = []
    for wave in sorted(names):
        own = [shot for shot in shots if shot.wave == wave]
        steps = {shot.step for shot in own}
        if steps == {0}:
            what = "only projections (ZStep_0)" if _in_folder(own) else "files beside the ZStep folders only"
            notes.append(f"{names[wave]} has {what}: they are its plane at z index 0")
            placed += [(shot, singles[0]) for shot in own]
        elif len(steps - {0}) > 1 and _same_in_all_steps(own):
            notes.append(f"{names[wave]} is the same plane in {len(steps)} ZStep folders: kept once, at z index 0")
            placed += [(shot, singles[0]) for shot in _first_of_each(own)]
        else:
            if 0 in steps:
                where = "ZStep_0" if _in_folder(own) else "beside the ZStep folders"
                notes.append(f"projections of {names[wave]} ({where}) are left out: its single planes are there")
            placed += [(shot, shot.step) for shot in own if shot.step > 0]
    return placed, notes


def _in_folder(shots: Iterable[Shot]) -> bool:
    """Whether files without a z step lie in a folder ``ZStep_0``, as exported, or in none, as in the database."""
    return any("zstep_0/" in shot.file.name.lower() for shot in shots if not shot.step)


def time_copies(placed: Iterable[tuple[Shot, int]], names: dict[int, str]) -> list[str]:
    """Notes on channels whose second time point repeats the first; the copies stay planes of the plate."""
    files: dict[tuple[int, FieldKey, int], dict[int, ImageFile]] = {}
    for shot, z in placed:
        files.setdefault((shot.wave, FieldKey(shot.well, shot.site), z), {})[shot.time] = shot.file
    notes = []
    for wave in sorted(names):
        pairs = [
            [group[time] for time in sorted(group)[:2]]
            for (number, _, _), group in files.items()
            if number == wave and len(group) > 1
        ]
        if _all_copies(pairs):
            notes.append(f"{names[wave]} at the second time point is a copy of the first: it was acquired less often")
    return notes


def _first_of_each(shots: Sequence[Shot]) -> list[Shot]:
    """Of the copies of each plane those of the first step that is no projection and has a readable file."""
    copies: dict[tuple[WellId, int, int], dict[int, list[Shot]]] = {}
    for shot in shots:
        copies.setdefault((shot.well, shot.site, shot.time), {}).setdefault(shot.step, []).append(shot)
    kept: list[Shot] = []
    for by_step in copies.values():
        # Two files for one plane stay together: they are listed as a duplicate.
        order = sorted(by_step, key=lambda step: (any(shot.file.problem for shot in by_step[step]), step == 0, step))
        kept += by_step[order[0]]
    return kept


def _same_in_all_steps(shots: Sequence[Shot]) -> bool:
    """Whether the single planes of a few fields equal one another: all of the first field, two of the others."""
    stacks: dict[tuple[WellId, int, int], dict[int, ImageFile]] = {}
    for shot in shots:
        if shot.step > 0:
            stacks.setdefault((shot.well, shot.site, shot.time), {})[shot.step] = shot.file
    groups = [[stack[step] for step in sorted(stack)] for stack in stacks.values() if len(stack) > 1]
    return _all_copies([group[:2] for group in groups]) and _all_copies(groups[:1])


def _all_copies(groups: Sequence[Sequence[ImageFile]]) -> bool:
    """Whether the files of each group have equal pixels, in a few groups; blank or broken planes prove nothing."""
    proven = False
    for group in list(spread(groups, FIELDS_LOOKED_AT))[:FIELDS_LOOKED_AT]:
        first, *others = (_pixels_of(file) for file in group)
        if first is None or any(other is None for other in others) or first.min() == first.max():
            continue
        if not all(np.array_equal(first, other) for other in others if other is not None):
            return False
        proven = True
    return proven


def _pixels_of(file: ImageFile) -> NDArray[np.generic] | None:
    try:
        return read_pixels(file.path)
    except SourceError:
        return None
