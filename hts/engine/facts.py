"""What is known before anything is computed: a snapshot of the plate and of what is committed."""

from __future__ import annotations

import itertools
import statistics
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from hts.engine.conversion import CONVERT_STAGE
from hts.engine.stages import Fingerprints
from hts.model import WellId
from hts.recipe import Recipe, fingerprint
from hts.store import Markers, Plate, read_json

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
        numbers = [field.key.field for field in plate[well].fields]
        fields = tuple(FieldFacts(number, problems.get((well.name, number), "")) for number in numbers)
        reads = well_input(plate, well)
        committed = frozenset(stage for stage in prints.stages if is_committed(results, prints, stage, well, reads))
        wells.append(WellFacts(well, fields, reads, committed))
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
    paces = [read_json(path).get("seconds_per_field") for path in sample]
    known = [pace for pace in paces if pace]
    return statistics.median(known) if known else None


def well_input(plate: Plate, well: WellId) -> str:
    """Fingerprint of a well's pixels: their hash from the conversion, and which planes were broken.

    A plate that `hts convert` did not write has no hash; there its place on disk stands for it.
    """
    conversion = str(plate.origin.get("conversion"))
    marker = Markers(plate.path / ".hts", CONVERT_STAGE, conversion).read(well.name)
    if marker is None:
        return fingerprint("foreign well", 1, {"plate": str(plate.path.resolve()), "well": well.name}, {})
    broken = [[issue[key] for key in ("field", "channel", "z", "t", "status")] for issue in marker["issues"]]
    return fingerprint("well", 1, {"broken": broken}, {"pixels": marker["pixels"]})


def is_committed(results: Path, prints: Fingerprints, stage: str, well: WellId, reads: str) -> bool:
    """Whether the stage's result of a well is committed for exactly these pixels."""
    marker = Markers(results, stage, prints.of(stage)).read(well.name)
    return marker is not None and marker.get("reads") == reads


def field_problems(planes: pd.DataFrame, recipe: Recipe, plate_channels: tuple[str, ...]) -> dict[tuple[str, int], str]:
    """Why a field cannot be used, for every field that misses a plane the recipe needs."""
    channels = set(recipe.channels_of(plate_channels).values())
    bad = planes[(planes["Status"] != "found") & planes["Channel"].isin(channels) & (planes["T"] == recipe.acquire.t)]
    if isinstance(recipe.acquire.z, int):
        bad = bad[bad["Z"] == recipe.acquire.z]
    problems: dict[tuple[str, int], str] = {}
    for row in bad.to_dict("records"):
        place = (str(row["Well"]), int(row["Field"]))
        text = f"{row['Channel']} {row['Status']}: {row['Reason']}"
        problems[place] = f"{problems[place]}; {text}" if place in problems else text
    return problems
