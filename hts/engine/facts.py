"""What is known before anything is computed: a snapshot of the plate and of what is committed."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from hts.engine.conversion import CONVERT_STAGE
from hts.engine.stages import WELL_STAGES, Fingerprints
from hts.errors import StoreError
from hts.model import WellId
from hts.recipe import Recipe, fingerprint
from hts.store import Markers, Plate, address

PACE_SAMPLE = 100


@dataclass(frozen=True)
class FieldFacts:
    """A field, and why it cannot be used ("" when it can)."""

    number: int
    problem: str = ""


@dataclass(frozen=True)
class WellFacts:
    """A well: its fields, the fingerprint of its pixels, and the stages committed for exactly those."""

    well: WellId
    fields: tuple[FieldFacts, ...]
    reads: str
    committed: frozenset[str]
    problem: str = ""


@dataclass(frozen=True)
class PlateFacts:
    """A plate as the planner sees it; the pace is that of earlier runs into the same folder, if there were any."""

    name: str
    wells: tuple[WellFacts, ...]
    shape: tuple[int, int]
    n_z: int
    itemsize_bytes: int
    seconds_per_field: float | None = None


def gather(plate: Plate, results: Path, recipe: Recipe, prints: Fingerprints) -> PlateFacts:
    """Read the snapshot: one small file a well, one table of planes, the names of the markers."""
    problems = field_problems(plate.completeness(), recipe, plate.channels)
    wells = []
    for well in plate.wells:
        reads = well_input(plate, well)
        fields, problem = _fields(plate, well, problems)
        usable = {field.number for field in fields if not field.problem}
        known = (Markers(results, stage, prints.of(stage)).read(well.name) for stage in WELL_STAGES)
        stages = zip(WELL_STAGES, known, strict=True)
        committed = frozenset(stage for stage, marker in stages if covers(marker, reads, usable))
        wells.append(WellFacts(well, fields, reads, committed, problem))
    sizes = plate.shape
    return PlateFacts(
        name=plate.name,
        wells=tuple(wells),
        shape=(sizes["y"], sizes["x"]),
        n_z=sizes.get("z", 1),
        itemsize_bytes=plate.itemsize_bytes,
        seconds_per_field=_pace(results),
    )


def _pace(results: Path) -> float | None:
    """Median seconds that a worker took for a field, from a sample of the markers of earlier runs."""
    sample = itertools.islice(results.glob("markers/measure-*/*.json"), PACE_SAMPLE)
    markers = (Markers.read_file(path) for path in sample)
    paces = [marker.get("seconds_per_field") for marker in markers if marker]
    known = [pace for pace in paces if pace]
    return statistics.median(known) if known else None


def well_input(plate: Plate, well: WellId) -> str:
    """Fingerprint of a well's pixels: their hash from the conversion, and which planes were broken.

    A plate that `hts convert` did not write has no hash; there its place and the documents of the well and of its
    images stand for it, which see a plate that was made anew, but not pixels that were changed in place.
    """
    marker = _conversion_marker(plate, well)
    if marker is None:
        documents = _documents(plate, well)
        return fingerprint(
            "foreign well", 2, {"plate": address(plate.path), "well": well.name}, {"documents": documents}
        )
    broken = [[issue[key] for key in ("field", "channel", "z", "t", "status")] for issue in marker["issues"]]
    return fingerprint("well", 1, {"plate": plate.name, "broken": broken}, {"pixels": marker["pixels"]})


def _documents(plate: Plate, well: WellId) -> str:
    try:
        return plate[well].metadata_digest()
    except StoreError as error:
        # A well without metadata is told elsewhere, and is another well once it has some.
        return type(error).__name__


def covers(marker: dict[str, Any] | None, reads: str, fields: set[int]) -> bool:
    """Whether a marker commits a result for exactly these pixels and at least these fields.

    A field that could not be read when the result was made is not covered: it is tried again.
    """
    return marker is not None and marker.get("reads") == reads and fields <= set(marker.get("fields", fields))


def _fields(plate: Plate, well: WellId, problems: dict[tuple[str, int], str]) -> tuple[tuple[FieldFacts, ...], str]:
    """The fields of a well with their problems, and what is wrong with the well as a whole."""
    try:
        numbers = [field.key.field for field in plate[well].fields]
    except StoreError as error:
        return (), " ".join(str(error).split())
    if is_unfinished(plate, well):
        return (), "its conversion has not finished; give the hts convert command again"
    return tuple(FieldFacts(number, problems.get((well.name, number), "")) for number in numbers), ""


def is_unfinished(plate: Plate, well: WellId) -> bool:
    """Whether `hts convert` began this plate and has not committed the well."""
    return "conversion" in plate.origin and _conversion_marker(plate, well) is None


def _conversion_marker(plate: Plate, well: WellId) -> dict[str, Any] | None:
    marker = Markers(plate.root / ".hts", CONVERT_STAGE, str(plate.origin.get("conversion"))).read(well.name)
    return marker if marker is not None and "pixels" in marker else None


def field_problems(planes: pd.DataFrame, recipe: Recipe, plate_channels: tuple[str, ...]) -> dict[tuple[str, int], str]:
    """Why a field cannot be used, for every field that misses a plane the recipe needs."""
    channels = set(recipe.channels_of(plate_channels).values())
    used = planes[planes["Channel"].isin(channels) & (planes["T"] == recipe.acquire.t)]
    if isinstance(recipe.acquire.z, int):
        used = used[used["Z"] == recipe.acquire.z]
    problems: dict[tuple[str, int], list[str]] = {}
    for row in used[used["Status"] != "found"].to_dict("records"):
        place = (str(row["Well"]), int(row["Field"]))
        problems.setdefault(place, []).append(plane_problem(row))
    # A plane that nobody acquired is not missing, it is not in the table at all.
    listed = set(zip(used["Well"], used["Field"], used["Channel"], strict=True))
    for well, number in set(zip(planes["Well"], planes["Field"], strict=True)):
        for channel in sorted(channels):
            if (well, number, channel) not in listed:
                text = f"{channel} was not acquired at t={recipe.acquire.t}, z={recipe.acquire.z}"
                problems.setdefault((str(well), int(number)), []).append(text)
    return {place: "; ".join(texts) for place, texts in problems.items()}


def plane_problem(row: Mapping[Hashable, Any]) -> str:
    """What is wrong with a plane of the completeness table, in one line that names its file."""
    file = str(row["File"] or "")
    named = f" ({file})" if file and file not in str(row["Reason"]) else ""
    return f"{row['Channel']} {row['Status']}: {row['Reason']}{named}"
