"""Everything that can be checked and decided before a run begins."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from pathlib import Path

from hts.engine.facts import gather
from hts.engine.large.places import check_linked, tile_shape
from hts.engine.plan import Costs, Plan, WellTask, make_plan
from hts.engine.stages import Fingerprints, check_columns, fingerprints, segmenter_steps, unlinked_sets
from hts.engine.surveys import surveyed
from hts.engine.work import WellJob
from hts.errors import RecipeError, UsageError
from hts.locations import Location, location
from hts.model import WellId
from hts.recipe import Recipe
from hts.stages.measure import measuring_bytes
from hts.stages.profile import control_kinds
from hts.stages.profile.dose import dose_column
from hts.stages.segment import fields_in_flight, working_bytes
from hts.store import Plate, address


@dataclass(frozen=True)
class Prepared:
    """A plate and a recipe that fit each other, and the plan.

    ``reads`` is the fingerprint of each well's pixels, ``fields`` the fields of each well that can be used.
    """

    plate: Plate
    recipe: Recipe
    recipe_text: str
    prints: Fingerprints
    results: Path
    plan: Plan
    selected: frozenset[WellId]
    reads: dict[WellId, str]
    n_fields: dict[WellId, int]
    fields: dict[WellId, tuple[int, ...]]
    overwrite: bool
    run_id: str

    @property
    def field_shape(self) -> tuple[int, int]:
        """(Y, X) of the fields in pixels."""
        return self.plate.shape["y"], self.plate.shape["x"]

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the numbers has to know of how they are made."""
        sizes, acquire = self.plate.shape, self.recipe.acquire
        notes = []
        if sizes.get("z", 1) > 1 and not isinstance(acquire.z, int):
            notes.append(
                f"the z planes of a field (up to {sizes['z']}) are projected ({acquire.z}) before segmentation"
            )
        if sizes.get("t", 1) > 1:
            notes.append(f"time point {acquire.t} of 0 to {sizes['t'] - 1} is analysed; set acquire.t for another one")
        if self.recipe.blocks.are_needed(self.field_shape):
            notes.append(
                "fields are cut into blocks that are segmented by themselves: what a segmenter takes from a whole "
                "image (percentiles, an Otsu threshold) it takes from each block here; very uneven fields may differ"
            )
            for family in self.recipe.measure.families():
                if told := getattr(family, "approximate_in_blocks", ""):
                    notes.append(f"fields are cut into blocks that are measured by themselves: {told}")
        primary = self.recipe.objects[0]
        for name in unlinked_sets(self.recipe):
            notes.append(
                f"{name} are not linked to {primary}: each has a row of its own; set segment.{name}.link={primary} "
                "where they are the same cells"
            )
        return tuple(notes)

    def job(self, task: WellTask) -> WellJob:
        """What the worker of a well is told."""
        places = (address(self.plate.path), self.plate.name, str(self.results.resolve()))
        return WellJob(*places, self.recipe_text, self.prints, task)


def results_folder(plate: Location, out: str | Path | None = None) -> Path:
    """``out``, or ``<plate>.hts`` beside the plate (``sbs.ome.zarr`` → ``sbs.hts``).

    Results are on disk: those of a plate on an object store are in the folder where the command is given.

    Raises
    ------
    UsageError
        when ``out`` is an address.
    """
    if out is not None:
        folder = location(out)
        if not isinstance(folder, Path):
            raise UsageError("a folder on disk for the results", found=str(out), fix="copy them when the run has ended")
        return folder
    if not isinstance(plate, Path):
        return Path(f"{plate.name.removesuffix('.zarr').removesuffix('.ome')}.hts")
    if plate.name in ("", ".."):
        plate = plate.resolve()
    return plate.parent / f"{plate.name.removesuffix('.zarr').removesuffix('.ome')}.hts"


def prepare(
    plate: Plate | str | Location,
    recipe: Recipe | str | Path,
    *,
    out: str | Path | None = None,
    wells: frozenset[WellId] | None = None,
    overwrite: bool = False,
) -> Prepared:
    """Fit recipe and plate together and make the plan; nothing is written.

    Raises
    ------
    RecipeError
        for a role without a channel, a readout without its columns, a query that does not fit the layout.
    NotFoundError
        when plate, recipe or a selected well does not exist.
    """
    opened = plate if isinstance(plate, Plate) else Plate.open(plate)
    loaded = recipe if isinstance(recipe, Recipe) else Recipe.load(recipe)
    loaded.channels_of(opened.channels)
    _check_planes(loaded, opened.shape)
    _check_pixel_size(loaded, opened)
    _check_surveys(loaded, opened.shape)
    check_columns(loaded)
    check_linked(loaded, (opened.shape["y"], opened.shape["x"]))
    layout = opened.layout_table()
    control_kinds(layout, loaded.profile)
    dose_column(layout, loaded.profile.dose)
    prints = fingerprints(loaded)
    results = results_folder(opened.path, out)
    facts = gather(opened, results, loaded, prints)
    plan = make_plan(facts, _costs(loaded, facts.shape, opened.levels), wells, overwrite)
    text = json.dumps(loaded.to_dict())
    chosen = wells if wells is not None else frozenset(opened.wells)
    reads = {well.well: well.reads for well in facts.wells}
    return Prepared(
        plate=opened,
        recipe=loaded,
        recipe_text=text,
        prints=prints,
        results=results,
        plan=plan,
        selected=chosen,
        reads=reads,
        n_fields={well.well: len(well.fields) for well in facts.wells},
        fields={w.well: tuple(field.number for field in w.fields if not field.problem) for w in facts.wells},
        overwrite=overwrite,
        run_id=uuid.uuid4().hex[:8],
    )


def _check_planes(recipe: Recipe, sizes: dict[str, int]) -> None:
    """Refuse a time point or z plane that the plate does not have."""
    for axis in ("t", "z"):
        wanted, size = getattr(recipe.acquire, axis), sizes.get(axis, 1)
        if isinstance(wanted, int) and wanted >= size:
            raise RecipeError(f"acquire.{axis} is a plane of the plate, from 0 to {size - 1}", found=str(wanted))


def _check_pixel_size(recipe: Recipe, plate: Plate) -> None:
    """Refuse lengths in µm on a plate that does not say what a pixel is."""
    wanting = [name for name, params in recipe.segment.items() if getattr(params, "needs_pixel_size", False)]
    if wanting and plate.pixel_size is None:
        raise RecipeError(
            f"segment.{wanting[0]} has lengths in µm, and the plate a pixel size",
            found="the plate does not say it",
            fix="give lengths in px, or convert the plate again with --pixel-size-um",
        )


def _check_surveys(recipe: Recipe, sizes: dict[str, int]) -> None:
    """Refuse facts of a well for fields that no task has as a whole."""
    wanting = surveyed(recipe, "well")
    if wanting and recipe.blocks.are_needed((sizes["y"], sizes["x"])):
        raise RecipeError(
            f"segment.{wanting[0]} asks for nothing of a whole well in fields that are cut into blocks",
            found=f"fields of {sizes['y']} × {sizes['x']} px",
            fix="take it from the plate, as in normalize: plate, or raise blocks.limit_px",
        )


def _costs(recipe: Recipe, shape: tuple[int, int], levels: int) -> Costs:
    steps, tile = segmenter_steps(recipe), tile_shape(shape, recipe)
    held = 1 if recipe.blocks.are_needed(shape) else fields_in_flight(steps, shape)
    working = working_bytes(steps, tile) + measuring_bytes(recipe.measure, tile, len(recipe.channels))
    return Costs(working, len(recipe.channels), len(recipe.segment), levels, held, tile)
