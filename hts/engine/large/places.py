"""Where the blocks of a field leave things for one another, and what belongs together."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hts.errors import RecipeError
from hts.recipe import Recipe
from hts.stages.measure.catalogue import measured_objects
from hts.stages.segment.stitch import BlockGrid, block_grid
from hts.store import Field, storage_errors

if TYPE_CHECKING:
    from hts.engine.work import WellJob

FOLDER = "blocks"


@dataclass(frozen=True)
class Scratch:
    """Files of one field in the results folder; they go away when its well is done. A file that is there is whole."""

    folder: Path
    measured: str

    @classmethod
    def of(cls, job: WellJob, field: int) -> Scratch:
        """For these pixels and settings: other ones have other files."""
        return cls(well_folder(job) / str(field), job.prints.measure[:16])

    def labels(self, block: int) -> Path:
        """The label images of a block's tile as they were segmented."""
        return self.folder / f"labels-{block}.arrays"

    def borders(self, block: int) -> Path:
        """The border records of a block; written after its labels."""
        return self.folder / f"borders-{block}.arrays"

    @property
    def resolution(self) -> Path:
        """Which objects stand, by object set."""
        return self.folder / "resolution.json"

    def told(self, block: int) -> Path:
        """What the segmenters told of a block, by object set."""
        return self.folder / f"told-{block}.json"

    def cells(self, block: int) -> Path:
        """The table of the objects that a block stands for."""
        return self.folder / f"cells-{self.measured}-{block}.parquet"

    def done(self, block: int) -> Path:
        """The parts of the seam audit; written when labels and table of the block are there."""
        return self.folder / f"done-{self.measured}-{block}.arrays"


def well_folder(job: WellJob) -> Path:
    """The scratch of a well, for these pixels and this segmentation."""
    name = f"{job.prints.segment[:16]}-{job.task.reads[:16]}"
    return Path(job.results) / FOLDER / job.task.well.name / name


def discard(results: Path, well: str) -> None:
    """Remove all scratch of a well, also of other settings."""
    folder = results / FOLDER / well
    with storage_errors(folder):
        if folder.is_dir():
            shutil.rmtree(folder)


def field_grid(field: Field, recipe: Recipe) -> BlockGrid:
    """The blocks of a field.

    Raises
    ------
    SourceError
        when the size of the field cannot be read.
    """
    return block_grid((field.sizes["y"], field.sizes["x"]), recipe.blocks.block_px, recipe.blocks.overlap_px)


def tile_shape(shape: tuple[int, int], recipe: Recipe) -> tuple[int, int]:
    """Shape (Y, X) of the largest tile of a field; the field itself when it is not cut."""
    if not recipe.blocks.are_needed(shape):
        return shape
    edge = recipe.blocks.block_px + recipe.blocks.overlap_px
    return min(edge, shape[0]), min(edge, shape[1])


def check_linked(recipe: Recipe, shape: tuple[int, int]) -> None:
    """Refuse to measure object sets together that blocks number on their own, before anything runs.

    Raises
    ------
    RecipeError
        when fields of this shape are cut, and a measured set has not the numbers of the primary one.
    """
    primary = recipe.objects[0]
    linked = next(names for names in families(recipe).values() if primary in names)
    odd = [name for name in measured_objects(recipe.objects, recipe.measure) if name not in linked]
    if odd and recipe.blocks.are_needed(shape):
        raise RecipeError(
            f"in fields that are cut into blocks only object sets with the numbers of {primary} are measured with it",
            found=odd[0],
            fix=f"grow {odd[0]} from {primary}, or measure it in a run of its own (measure.objects)",
        )


def families(recipe: Recipe) -> dict[str, tuple[str, ...]]:
    """Object sets that share their numbers, by the one that the others start from.

    A set that needs others has the numbers of the first of them: cells those of their nuclei.
    """
    root: dict[str, str] = {}
    for name, params in recipe.segment.items():
        root[name] = root[params.needs[0]] if params.needs else name
    return {first: tuple(name for name in root if root[name] == first) for first in dict.fromkeys(root.values())}
