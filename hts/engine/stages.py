"""The stages of a run with the fingerprints of their results, derived from the recipe alone."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hts.errors import RecipeError, StageError
from hts.recipe import Recipe, fingerprint
from hts.recipe.plugins import load_plugin
from hts.stages.measure import ColumnInfo, MeasureStage, feature_catalogue
from hts.stages.profile import ProfileStage, profile_columns
from hts.stages.segment import SegmentStage

if TYPE_CHECKING:
    import pandas as pd

WELL_STAGES = ("segment", "measure", "aggregate")
"""Stages that run well by well, in order; each has its own markers."""


@dataclass(frozen=True)
class Fingerprints:
    """Fingerprints of a recipe's stages on a plate's channels."""

    segment: str
    measure: str
    aggregate: str

    def of(self, stage: str) -> str:
        return str(getattr(self, stage))

    def label_name(self, objects: str) -> str:
        """Name of a label image inside the plate: object set and the result it belongs to."""
        return f"{objects}-{self.segment[:8]}"


def fingerprints(recipe: Recipe) -> Fingerprints:
    """Each stage's name, version and parameters with the fingerprints of what it reads.

    Raises
    ------
    HtsError
        whatever a segmenter says of a model that is absent or damaged.
    """
    planes = {"z": recipe.acquire.z, "t": recipe.acquire.t}
    roles = {role for params in recipe.segment.values() for role in params.roles}
    steps = [[name, *_step_identity(*step)] for name, step in segmenter_steps(recipe).items()]
    channels = {role: recipe.channels[role] for role in sorted(roles)}
    cut = recipe.blocks.model_dump(mode="json")
    choices = {"steps": steps, "channels": channels, "blocks": cut, **planes}
    segment = fingerprint("segment", SegmentStage.version, choices, {})
    versions = {family.name: family.version for family in recipe.measure.families()}
    measured: dict[str, Any] = {
        "params": recipe.measure.model_dump(mode="json", exclude={"options"}),
        "settings": recipe.measure.settings(),
        "families": versions,
        "channels": dict(recipe.channels),
        # The order of the roles is the order of the columns and of the pairs of correlations.
        "roles": list(recipe.channels),
        **planes,
    }
    measure = fingerprint("measure", MeasureStage.version, measured, {"segment": segment})
    aggregate = fingerprint("aggregate", ProfileStage.version, recipe.profile.cell_part(), {"measure": measure})
    return Fingerprints(segment, measure, aggregate)


def _step_identity(segmenter: Any, params: Any) -> list[Any]:
    """What decides the numbers of a step: all its parameters, or what its segmenter says that matters."""
    if not hasattr(segmenter, "identity"):
        return [segmenter.version, params.model_dump(mode="json")]
    chosen = {"link": params.link, "border": params.border}
    return [segmenter.version, params.method, {**segmenter.identity(params), **chosen}]


def check_same(here: Any, submitted: Any) -> None:
    """Compare fingerprints of this process with those of the one that submitted the run.

    Raises
    ------
    StageError
        when they differ: what is computed here would be signed with a name that it has not.
    """
    if here != submitted:
        raise StageError(
            "the worker has the same stages and models as the process that submitted the run",
            found="other versions of hts or of a plug-in, or other weights",
            fix="install the same packages and models on all workers",
        )


def profile_fingerprint(recipe: Recipe, rows: dict[str, str], layout: str) -> str:
    """Fingerprint of the plate's profiles: all profile settings, the layout, and what every well's row came from."""
    return fingerprint(
        "profile", ProfileStage.version, recipe.profile.model_dump(mode="json"), {**rows, "layout": layout}
    )


def segmenter_steps(recipe: Recipe) -> dict[str, tuple[Any, Any]]:
    """By object set its segmenter and parameters."""
    return {name: (load_plugin("hts.segmenters", params.method), params) for name, params in recipe.segment.items()}


def unlinked_sets(recipe: Recipe) -> tuple[str, ...]:
    """Object sets beside the primary one whose objects have numbers of their own."""
    return tuple(name for name in recipe.objects[1:] if not recipe.segment[name].needs)


def segmenter_packages(recipe: Recipe) -> tuple[str, ...]:
    """Distributions that the recipe's segmenters stand on, beyond those that every run uses."""
    found = [name for segmenter, _ in segmenter_steps(recipe).values() for name in getattr(segmenter, "packages", ())]
    return tuple(dict.fromkeys(found))


def cell_catalogue(recipe: Recipe) -> list[ColumnInfo]:
    """Every column of the cell tables that the measure stage writes for this recipe."""
    return feature_catalogue(recipe.objects, tuple(recipe.channels), recipe.measure)


def column_table(recipe: Recipe) -> pd.DataFrame:
    """What every column of the cell tables is: as their schemas say, with definition and source."""
    import pandas as pd

    names = ("column", "compartment", "role", "channel", "family", "unit", "definition", "source")
    rows = [
        {"column": info.column, "definition": info.definition, "source": info.source, **info.described(recipe.channels)}
        for info in cell_catalogue(recipe)
    ]
    return pd.DataFrame(rows, columns=names).fillna("").astype("string")


def feature_names(recipe: Recipe) -> list[str]:
    """The columns among them that are features."""
    return [info.column for info in cell_catalogue(recipe) if info.is_feature]


def counted_objects(recipe: Recipe) -> tuple[str, ...]:
    """Object sets that a well's row counts: the primary one, and all others that are measured."""
    primary, *others = recipe.objects
    return (primary, *(name for name in others if recipe.measure.objects is None or name in recipe.measure.objects))


def check_columns(recipe: Recipe) -> None:
    """Refuse a recipe whose readouts name columns that the run will not make, before it runs.

    Raises
    ------
    RecipeError
        with the nearest column that will exist.
    """
    columns = feature_names(recipe)
    for name in recipe.profile.cell_columns():
        if name not in columns:
            nearest = difflib.get_close_matches(name, columns, 1, cutoff=0.3)
            raise RecipeError(
                "profile.readouts and profile.filter use columns that the recipe measures",
                found=repr(name),
                fix=f"nearest: {nearest[0]}" if nearest else "add its feature family to measure.features",
            )
    made = profile_columns(columns, counted_objects(recipe), recipe.profile)
    if recipe.profile.readout not in made:
        nearest = difflib.get_close_matches(recipe.profile.readout, made, 1, cutoff=0.3)
        raise RecipeError(
            "profile.readout names a column of the profiles",
            found=repr(recipe.profile.readout),
            fix=f"nearest: {nearest[0]}" if nearest else "",
        )
