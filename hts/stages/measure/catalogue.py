"""Which columns a measurement writes, and what each of them means: declared before anything is measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from hts.errors import UsageError
from hts.stages.measure.features import FeatureFamily, families, refuse_unknown

VERSION = 3
"""Raised when the numbers of the stage change."""

OBJECT_NUMBER = "Metadata_ObjectNumber"


class MeasureParams(BaseModel):
    """What to measure."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: tuple[str, ...] | Literal["all"] = Field(
        default=("shape", "intensity", "correlation"),
        description="Names of feature families, built-in or from installed packages (`hts features`), or all.",
    )
    options: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="Settings by feature family, such as texture: {scales_px: [3, 5]}."
    )
    full_scale: float | None = Field(
        default=None,
        gt=0,
        le=1e9,
        description="Grey level that features on CellProfiler's scale of 0 to 1 call 1 (texture, costes): when not "
        "given 255 or 65535 by the type of the image, 1 for floats.",
    )
    precision: Literal["float64", "float32"] = Field(
        default="float64", description="Type of the features in the tables; both are computed in float64."
    )
    objects: tuple[str, ...] | None = Field(
        default=None, description="Object sets to measure, such as nuclei or cytoplasm; all of them when not given."
    )

    @field_validator("features", mode="before")
    @classmethod
    def _one_or_all(cls, given: Any) -> Any:
        """One name is a list of one; a list of ``all`` is all."""
        if isinstance(given, str) and given != "all":
            return (given,)
        return "all" if isinstance(given, list | tuple) and list(given) == ["all"] else given

    @model_validator(mode="after")
    def _settings_fit(self) -> MeasureParams:
        if self.options:
            measured = [family.name for family in self.families()]
            for name in self.options:
                refuse_unknown(name, measured, what="feature family that is measured")
        return self

    def settings(self) -> dict[str, dict[str, Any]]:
        """By family its settings, defaults included: what decides the numbers, however it was written."""
        found = {family.name: getattr(family, "params", None) for family in self.families()}
        return {name: params.model_dump(mode="json") for name, params in found.items() if params is not None}

    def families(self) -> tuple[FeatureFamily, ...]:
        """The feature families that are asked for, with their settings.

        Raises
        ------
        UsageError
            when one does not exist, or its settings do not fit it.
        """
        return families(self.features, self.options)


@dataclass(frozen=True)
class ColumnInfo:
    """One column of an object table.

    column : full name, such as ``Nuclei_Intensity_MeanIntensity_DNA``.
    compartment : name of the object set, such as ``nuclei``; None for ``Metadata_ObjectNumber``, which is the row's.
    channel : role of the channel, two roles with a comma between for a pair, None otherwise.
    family : feature family; ``identity`` for the ``Metadata_`` columns.
    unit : ``px``, ``px^2``, ``degree``, ``count`` (grey levels as stored) or ``1``.
    definition : one sentence.
    source : who defines it.
    """

    column: str
    compartment: str | None
    channel: str | None
    family: str
    unit: str
    definition: str
    source: str = ""

    @property
    def is_feature(self) -> bool:
        """Whether the column is a measured number, not an identity."""
        return self.family != "identity"

    def described(self, names: Mapping[str, str | None] | None = None) -> dict[str, str]:
        """What the Parquet schema says of the column, so that nothing has to be guessed from its name.

        Not its definition: in the file of each well those would weigh more than the cells. ``names`` are the plate's
        names of the channels by role.
        """
        known = {"compartment": self.compartment, "role": self.channel, "family": self.family, "unit": self.unit}
        if self.channel and names:
            known["channel"] = ",".join(names.get(role) or role for role in self.channel.split(","))
        return {key: value for key, value in known.items() if value}


class MeasureStage:
    """The stage as the engine and the recipe find it."""

    version = VERSION
    Params = MeasureParams


def feature_catalogue(
    objects: Iterable[str], roles: Iterable[str], params: MeasureParams | None = None
) -> list[ColumnInfo]:
    """Every column that :func:`hts.stages.measure.measure_field` writes, in the order of the table.

    Parameters
    ----------
    objects : names of the object sets, the primary one first.
    roles : roles of the channels, in the order of the images.

    Raises
    ------
    UsageError
        when a family or an object set of ``params`` does not exist, or two columns would have one name.
    """
    names, channels = tuple(objects), tuple(roles)
    if odd := [role for role in channels if "," in role]:
        raise UsageError(
            "channels without a comma in their names, which stands between those of a pair",
            found=repr(odd[0]),
            fix="rename the channel",
        )
    chosen = params or MeasureParams()
    measured = measured_objects(names, chosen)
    columns = [*_identity_columns(names[0], measured)]
    for compartment in measured:
        for family in chosen.families():
            columns += [
                ColumnInfo(
                    f"{prefix(compartment)}_{info.name}",
                    compartment,
                    info.channel,
                    info.family,
                    info.unit,
                    info.definition,
                    info.source,
                )
                for info in family.catalogue(channels)
            ]
    _refuse_repeated(columns)
    return columns


def measured_objects(names: tuple[str, ...], params: MeasureParams) -> tuple[str, ...]:
    """The object sets that ``params`` asks for, in the order of ``names``.

    Raises
    ------
    UsageError
        when there is no object set, or not one of a name asked for.
    """
    if not names:
        raise UsageError("at least one object set to measure", found="none", fix="segment the nuclei first")
    if params.objects is None:
        return names
    for name in params.objects:
        refuse_unknown(name, names, what="object set")
    return tuple(name for name in names if name in params.objects)


def identified_objects(primary: str, measured: tuple[str, ...]) -> tuple[str, ...]:
    """Object sets that make rows: the primary one, and those that are measured."""
    return (primary, *(name for name in measured if name != primary))


def prefix(name: str) -> str:
    """How an object set is written in column names: ``nuclei → Nuclei``."""
    return name[:1].upper() + name[1:]


def number_column(name: str) -> str:
    """Column with the number of the row's object in the set `name`; 0 when the set has none."""
    return f"Metadata_{prefix(name)}_ObjectNumber"


def border_column(name: str) -> str:
    """Column that says whether the row's object in the set `name` touches the frame of the field."""
    return f"Metadata_{prefix(name)}_TouchesBorder"


def parent_column(name: str, primary: str) -> str:
    """Column with the number of the primary object that an object of ``name`` belongs to."""
    return f"Metadata_{prefix(name)}_Parent_{prefix(primary)}"


def children_column(name: str, primary: str) -> str:
    """Column with the number of objects of ``name`` that a primary object has."""
    return f"Metadata_{prefix(primary)}_Children_{prefix(name)}_Count"


def number_columns(objects: tuple[str, ...], params: MeasureParams) -> tuple[str, ...]:
    """All columns that hold numbers of objects, for object sets of these names, the primary one first."""
    primary, measured = objects[0], measured_objects(objects, params)
    parents = [parent_column(name, primary) for name in measured if name != primary]
    return (OBJECT_NUMBER, *(number_column(name) for name in identified_objects(primary, measured)), *parents)


def _identity_columns(primary: str, measured: tuple[str, ...]) -> Iterator[ColumnInfo]:
    def identity(column: str, compartment: str | None, definition: str) -> ColumnInfo:
        return ColumnInfo(column, compartment, None, "identity", "1", definition)

    yield identity(OBJECT_NUMBER, None, "Label of the row's objects, the same in all object sets, within its field")
    for name in identified_objects(primary, measured):
        yield identity(number_column(name), name, f"Label of the object in {name}; 0 when there is none: an orphan")
        yield identity(border_column(name), name, f"Whether the object of {name} touches the frame of the field")
        if name != primary:
            parent = (
                f"Label of the object of {primary} that the object of {name} belongs to; 0 when either is not there"
            )
            yield identity(parent_column(name, primary), name, parent)
            children = f"Number of objects of {name} with the label of this object of {primary}: 0 or 1"
            yield identity(children_column(name, primary), name, children)


def _refuse_repeated(columns: list[ColumnInfo]) -> None:
    repeated = [name for name, times in Counter(info.column for info in columns).items() if times > 1]
    if repeated:
        raise UsageError(
            "a different name for every column",
            found=f"{repeated[0]} {'and others ' if repeated[1:] else ''}more than once",
            cause="two channel roles or object sets differ only in capitals, two pairs of channels are written alike "
            "because of underscores (a_b with c, a with b_c), or two families share a feature name",
            fix="rename one of them in the recipe",
        )
