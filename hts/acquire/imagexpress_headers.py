"""What the headers of an ImageXpress plate say: channels from one file a wave, positions from one a field and time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from hts.acquire.build import Sighting, Stage
from hts.acquire.descriptions import ImageFacts, metaseries_stage
from hts.acquire.first_page import first_description
from hts.acquire.imagexpress_names import Shot
from hts.acquire.indexed import time_step_s, z_step_um
from hts.acquire.listing import ImageFile
from hts.acquire.planes import read_header
from hts.acquire.table import Acquisition
from hts.errors import SourceError
from hts.locations import is_local
from hts.model import PixelSize, WellId

_HEADER_THREADS = 4
_BATCH = 32
_REMOTE_HEADERS = 2_000
"""Headers that are read through a network: there each takes several round trips."""


class WaveHeaders(NamedTuple):
    """Facts of one file a wave, and notes on texts that could not be used."""

    facts: dict[int, ImageFacts]
    notes: tuple[str, ...]


def read_wave_headers(shots: Sequence[Shot]) -> WaveHeaders:
    """One readable file of each wave: stacks' own planes before projections."""
    facts: dict[int, ImageFacts] = {}
    notes: list[str] = []
    # Two passes over the shots are cheaper than sorting them.
    for shot in chain((shot for shot in shots if shot.step), (shot for shot in shots if not shot.step)):
        if shot.wave in facts or shot.file.problem:
            continue
        try:
            facts[shot.wave] = read_header(shot.file.path).image
        except SourceError:
            # A broken file is listed when its plane is read; here another one of the wave will do.
            continue
        if facts[shot.wave].problem:
            notes.append(f"{shot.file.name}: {facts[shot.wave].problem}; nothing else is known from it")
    return WaveHeaders(facts, tuple(notes))


def with_stage(sightings: Sequence[Sighting]) -> tuple[list[Sighting], tuple[str, ...]]:
    """Stage positions of every field at every time point, each from one header of its own; and notes.

    The position in z and the time hold for the plane that they were read from only. The y axis of the stage grows
    from row A downwards, as in the image.
    """
    chosen: dict[tuple[WellId, int, int], Sighting] = {}
    for one in sorted(sightings, key=lambda one: one.z):
        if not one.file.problem:
            chosen.setdefault((one.well, one.field, one.t), one)
    if len(chosen) > _REMOTE_HEADERS and not is_local(next(iter(chosen.values())).file.path):
        return list(sightings), (f"stage positions of {len(chosen)} fields were not read through the network",)
    files = [one.file for one in chosen.values()]
    batches = [files[start : start + _BATCH] for start in range(0, len(files), _BATCH)]
    # Threads, since on a slow disk each header is a wait; in batches, since on a fast one a task costs more than that.
    with ThreadPoolExecutor(_HEADER_THREADS) as pool:
        stages = [stage for batch in pool.map(_stages, batches) for stage in batch]
    found = dict(zip(chosen, stages, strict=True))
    shared = {key: stage._replace(z_um=None, acquired="") for key, stage in found.items()}
    nowhere = Stage()
    placed = []
    for one in sightings:
        key = (one.well, one.field, one.t)
        stage = found[key] if chosen.get(key) is one else shared.get(key, nowhere)
        placed.append(one._replace(stage=stage))
    return placed, ()


def _stages(files: Sequence[ImageFile]) -> list[Stage]:
    return [_stage(file) for file in files]


def _stage(file: ImageFile) -> Stage:
    text = first_description(file.path) if isinstance(file.path, Path) else None
    quick = metaseries_stage(text) if text else None
    if quick is not None:
        return _placed(quick)
    try:
        return _placed(read_header(file.path).image)
    except SourceError:
        return Stage()


def _placed(facts: ImageFacts) -> Stage:
    if facts.y_um is None or facts.x_um is None:
        return Stage(acquired=facts.acquired)
    return Stage(facts.y_um, facts.x_um, facts.z_um, facts.acquired)


def pixel_size(headers: WaveHeaders, sightings: Sequence[Sighting]) -> PixelSize | None:
    """That of the first wave that tells it, with the distance of the z planes."""
    sizes = [facts.pixel_size for _, facts in sorted(headers.facts.items()) if facts.pixel_size]
    return PixelSize(sizes[0].y_um, sizes[0].x_um, _z_distance_um(sightings)) if sizes else None


def _z_distance_um(sightings: Iterable[Sighting]) -> float | None:
    """Distance of the first two planes of the first stack whose headers can be read."""
    stacks: dict[tuple[WellId, int, str, int], list[Sighting]] = {}
    for one in sightings:
        stacks.setdefault((one.well, one.field, one.channel, one.t), []).append(one)
    for key in sorted(key for key, stack in stacks.items() if len(stack) > 1)[:3]:
        first, second = sorted(stacks[key], key=lambda one: one.z)[:2]
        step_um = z_step_um([one._replace(stage=_stage(one.file)) for one in (first, second)])
        if step_um is not None:
            return step_um
    return None


def acquisition(headers: WaveHeaders, sightings: Sequence[Sighting]) -> Acquisition:
    """The plate as a whole. MetaXpress has no barcode of its own: the plate's name is what was scanned or typed."""
    known = [facts for _, facts in sorted(headers.facts.items())]
    times = [one.stage.acquired for one in sightings if one.stage.acquired]
    return Acquisition(
        barcode=next((facts.plate_name for facts in known if facts.plate_name), ""),
        instrument=next((facts.instrument for facts in known if facts.instrument), ""),
        objective=next((facts.objective for facts in known if facts.objective), ""),
        magnification=next((facts.magnification for facts in known if facts.magnification), None),
        numerical_aperture=next((facts.numerical_aperture for facts in known if facts.numerical_aperture), None),
        started=min(times, default=""),
        time_step_s=time_step_s(sightings),
        binning=next((facts.binning for facts in known if facts.binning), ""),
    )
