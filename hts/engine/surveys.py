"""Facts of a whole plate or well that segmenters need before the first field: a diameter, limits of normalisation.

Those of a plate are computed once, from a sample of the fields of all its wells, selected or not, and kept in the
results folder under the fingerprint of the segmentation. They stay as they are for later wells and runs, so that all
wells of a result were made alike; ``--overwrite`` of the whole plate computes them anew. Those of a well come from all
its fields, in the well's own task.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hts.engine.fields import load_field
from hts.engine.stages import check_same, fingerprints, segmenter_steps
from hts.engine.threads import task_threads
from hts.errors import HtsError, SourceError, StageError
from hts.model import WellId
from hts.recipe import Recipe
from hts.stages.segment import FieldWork, StepContext
from hts.store import Field, Markers, Plate, address

if TYPE_CHECKING:
    from hts.engine.prepare import Prepared

SURVEY_STAGE = "survey"
SAMPLE_FIELDS = 16
SPARES = 4
"""A field of the sample that cannot be read is replaced; so many times the sample are named beforehand."""


@dataclass(frozen=True)
class SurveyJob:
    """What the worker of a plate's survey is told; ``sample`` names well, field and the well's pixels, in order."""

    plate: str
    results: str
    recipe: str
    segment: str
    sample: tuple[tuple[str, int, str], ...]


def survey_job(prepared: Prepared) -> SurveyJob | None:
    """The survey that has to come before the wells; None when there is none to make, or it was made before."""
    markers = Markers(prepared.results, SURVEY_STAGE, prepared.prints.segment)
    segmenting = any("segment" in task.stages for task in prepared.plan.tasks)
    if not segmenting or not _missing(markers, prepared.recipe):
        return None
    places = (address(prepared.plate.path), str(prepared.results.resolve()))
    count = SPARES * max(_sample_size(prepared.recipe, name) for name in surveyed(prepared.recipe, "plate"))
    order = sample_order(prepared.fields)[:count]
    sample = tuple((well.name, number, prepared.reads[well]) for well, number in order)
    return SurveyJob(*places, prepared.recipe_text, prepared.prints.segment, sample)


def discard_surveys(prepared: Prepared) -> None:
    """Forget the facts of the plate when all wells are computed again; a part of them must agree with the rest."""
    again = {task.well for task in prepared.plan.tasks if "segment" in task.stages}
    if again == {well for well, fields in prepared.fields.items() if fields}:
        for name in surveyed(prepared.recipe, "plate"):
            Markers(prepared.results, SURVEY_STAGE, prepared.prints.segment).discard(name)


def surveyed(recipe: Recipe, scope: str) -> tuple[str, ...]:
    """Object sets whose segmenter wants facts of a whole ``plate`` or ``well``."""
    return tuple(name for name, step in segmenter_steps(recipe).items() if scope in _scopes(*step))


def sample_order(fields: Mapping[WellId, tuple[int, ...]]) -> list[tuple[WellId, int]]:
    """All fields in the order in which a sample takes them: one of each well, then a second one of each …

    Wells and fields are drawn by the hash of their names: the same for every run, spread over the plate, and without
    the pattern of rows and columns that controls follow.
    """
    wells = sorted((well for well in fields if fields[well]), key=lambda well: _lot(well.name))
    drawn = {well: sorted(fields[well], key=lambda number: _lot(f"{well.name}/{number}")) for well in wells}
    most = max((len(numbers) for numbers in drawn.values()), default=0)
    return [(well, drawn[well][turn]) for turn in range(most) for well in wells if turn < len(drawn[well])]


def survey_plate(job: SurveyJob) -> str:
    """Make and commit the facts of a plate; runs on a worker. Returns why it could not, or ""."""
    recipe, plate = Recipe.from_dict(json.loads(job.recipe)), Plate.open(job.plate)
    try:
        check_same(fingerprints(recipe).segment, job.segment)
    except HtsError as error:
        return str(error)
    markers = Markers(Path(job.results), SURVEY_STAGE, job.segment)
    for name in _missing(markers, recipe):
        segmenter, params = segmenter_steps(recipe)[name]
        used: list[tuple[str, int, str]] = []
        stream = _sample(plate, recipe, job.sample, (used, _sample_size(recipe, name)))
        try:
            facts = segmenter.survey("plate", stream, params, StepContext(task_threads()))
            fields = [[well, number] for well, number, _ in used]
            markers.commit(name, {"facts": facts, "fields": fields, "reads": {well: reads for well, _, reads in used}})
        except HtsError as error:
            return f"survey of the plate for {name}: {error}"
    return ""


def step_contexts(results: Path, segment: str, recipe: Recipe, fields: list[Field]) -> dict[str, StepContext]:
    """What the segmenter of every object set is told for the fields of a well.

    Raises
    ------
    StageError
        when the facts of the plate are not there, or those of the well cannot be had.
    """
    contexts = {}
    threads = task_threads()
    plates = plate_facts(results, segment, recipe)
    for name, (segmenter, params) in segmenter_steps(recipe).items():
        plate, well = plates.get(name, {}), {}
        if "well" in _scopes(segmenter, params):
            stream = _readable(fields, recipe)
            well = segmenter.survey("well", stream, params, StepContext(threads, plate))
        contexts[name] = StepContext(threads, plate, well)
    return contexts


def plate_facts(results: Path, segment: str, recipe: Recipe) -> dict[str, dict[str, Any]]:
    """By object set the facts of the plate that its segmenter wanted."""
    found = {}
    for name in surveyed(recipe, "plate"):
        marker = Markers(results, SURVEY_STAGE, segment).read(name)
        if marker is None:
            raise StageError(
                f"the survey of the plate for {name}",
                found=f"none in {results}",
                cause="somebody removed it while the run went on, or the folder is not shared by all workers",
                fix="give the command again",
            )
        found[name] = dict(marker["facts"])
    return found


def survey_notes(prepared: Prepared) -> list[str]:
    """What the report says of the facts of the plate."""
    notes = []
    for name in surveyed(prepared.recipe, "plate"):
        marker = Markers(prepared.results, SURVEY_STAGE, prepared.prints.segment).read(name)
        if marker is None:
            continue
        said = ", ".join(f"{key} {_short(value)}" for key, value in marker["facts"].items() if value != {})
        wells = len(marker["reads"])
        notes.append(f"{name}: {said} from a sample of {len(marker['fields'])} fields of {wells} wells")
        now = {well.name: reads for well, reads in prepared.reads.items()}
        if any(now.get(well) != reads for well, reads in marker["reads"].items()):
            notes.append(
                f"{name}: pixels of that sample have changed since, and the wells still go by it; "
                "--overwrite of the whole plate samples it anew"
            )
    return notes


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _scopes(segmenter: Any, params: Any) -> tuple[str, ...]:
    declared = getattr(segmenter, "survey_scopes", None)
    return () if declared is None else tuple(declared(params))


def _missing(markers: Markers, recipe: Recipe) -> list[str]:
    return [name for name in surveyed(recipe, "plate") if markers.read(name) is None]


def _sample_size(recipe: Recipe, name: str) -> int:
    return int(getattr(segmenter_steps(recipe)[name][0], "sample_fields", SAMPLE_FIELDS))


def _lot(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _sample(
    plate: Plate,
    recipe: Recipe,
    order: tuple[tuple[str, int, str], ...],
    taken: tuple[list[tuple[str, int, str]], int],
) -> Iterator[FieldWork]:
    """The first fields that can be read, up to a number; those that are used are noted."""
    used, count = taken
    for place in order:
        if len(used) == count:
            return
        well, number, _ = place
        work = _load(plate[well].field(number), recipe)
        if work.error is None:
            used.append(place)
            yield work


def _load(field: Field, recipe: Recipe) -> FieldWork:
    """A field; of one that is cut into blocks, what one block has in its middle."""
    try:
        shape = field.sizes["y"], field.sizes["x"]
    except SourceError as error:
        work = FieldWork({}, key=field)
        work.fail(error)
        return work
    if not recipe.blocks.are_needed(shape):
        return load_field(field, recipe)
    edge = recipe.blocks.block_px
    rows, columns = (slice(max(0, (size - edge) // 2), max(0, (size - edge) // 2) + edge) for size in shape)
    return load_field(field, recipe, window=(rows, columns))


def _readable(fields: list[Field], recipe: Recipe) -> Iterator[FieldWork]:
    for current in fields:
        work = load_field(current, recipe)
        if work.error is None:
            yield work
