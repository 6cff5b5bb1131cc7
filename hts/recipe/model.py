"""The recipe: frozen, typed sections in the order of the data's way."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from hts.errors import NotFoundError, RecipeError
from hts.recipe.load import apply_overrides, parse_overrides, read_recipe
from hts.recipe.plugins import load_plugin, plugin_names
from hts.recipe.validate import unknown_key, validate

SECTIONS = ("name", "description", "acquire", "channels", "segment", "blocks", "measure", "profile", "report")


class AcquireSection(BaseModel):
    """How the folder is read, and which planes of a field are used."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reader: str | None = Field(None, description="name of a reader; chosen by looking at the folder when absent")
    pattern: str | None = Field(None, description="regular expression with named groups, or a preset's name")
    z: Literal["max", "mean"] | int = Field("max", description="projection over z, or the number of one plane from 0")
    t: int = Field(0, ge=0, description="time point to analyse, from 0")

    @field_validator("z", mode="before")
    @classmethod
    def _valid_z(cls, z: Any) -> Any:
        if z in ("max", "mean") or (isinstance(z, int) and not isinstance(z, bool) and z >= 0):
            return z
        raise ValueError("max, mean, or the number of one plane from 0")


class BlocksSection(BaseModel):
    """How fields that are too large for one task are cut into blocks; smaller fields are not cut.

    The section is part of what identifies a result, whatever the size of the fields.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit_px: int = Field(4096, ge=128, description="fields with more pixels than a square of this edge are cut")
    block_px: int = Field(
        2048, ge=64, multiple_of=64, description="edge of a block: what one task segments, measures and writes"
    )
    overlap_px: int = Field(
        256,
        ge=2,
        multiple_of=2,
        description="width of the strip that two neighbouring blocks both see; more than twice the largest object, and "
        "what the segmenter looks at around it",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.block_px < self.overlap_px:
            raise ValueError(f"block_px ({self.block_px}) is at least overlap_px ({self.overlap_px})")
        return self

    def are_needed(self, shape: tuple[int, int]) -> bool:
        """Whether a field (Y, X) is cut into blocks."""
        return shape[0] * shape[1] > self.limit_px**2


class ReportSection(BaseModel):
    """What the report shows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    overlays: int = Field(8, ge=0, le=64, description="fields shown with their outlines: half random, half extreme")


class Recipe(BaseModel):
    """A whole recipe. Load one with :meth:`load`; nothing in it changes afterwards.

    ``channels`` maps roles to the plate's channel names. ``segment`` maps object sets to the
    parameters of their segmenters, in an order in which each finds what it needs. ``measure`` and
    ``profile`` are the parameter models of those stages.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    name: str
    description: str = ""
    acquire: AcquireSection
    channels: dict[str, str | None]
    segment: dict[str, Any]
    blocks: BlocksSection
    measure: Any
    profile: Any
    report: ReportSection

    @classmethod
    def load(cls, source: str | Path, overrides: Mapping[str, Any] | Iterable[str] = ()) -> Recipe:
        """Load a YAML file or a built-in recipe.

        Parameters
        ----------
        source : path of a YAML file, or ``nuclei``, ``translocation``, ``cell-painting``.
        overrides : ``{"channels.dna": "Channel2"}`` or ``["channels.dna=Channel2"]``.

        Raises
        ------
        RecipeError
            for unknown keys (with the nearest known one) and values out of bounds.
        NotFoundError
            when there is no such recipe.
        """
        name, data = read_recipe(source)
        settings = overrides if isinstance(overrides, Mapping) else parse_overrides(overrides)
        return cls.from_dict(apply_overrides(data, settings), name)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], source: str = "recipe") -> Recipe:
        """A recipe from plain dictionaries; the same checks as :meth:`load`."""
        for key in data:
            if key not in SECTIONS:
                raise RecipeError(f"recipe {source} is not valid:\n    {unknown_key(str(key), SECTIONS)}")
        sections = dict(data)
        sections.setdefault("name", Path(source).stem)
        sections["acquire"] = validate(AcquireSection, data.get("acquire") or {}, "acquire", source)
        sections["blocks"] = validate(BlocksSection, data.get("blocks") or {}, "blocks", source)
        sections["report"] = validate(ReportSection, data.get("report") or {}, "report", source)
        sections["segment"] = _segment_section(data.get("segment") or {}, source)
        for stage in ("measure", "profile"):
            model = load_plugin("hts.stages", stage).Params
            sections[stage] = validate(model, data.get(stage) or {}, stage, source)
        recipe = validate(cls, sections, "", source)
        recipe._check(source)
        return recipe

    def _check(self, source: str) -> None:
        if not self.segment:
            raise RecipeError(f"recipe {source} segments at least one object set", found="an empty section segment")
        made: list[str] = []
        for name, params in self.segment.items():
            for role in params.roles:
                if role not in self.channels:
                    known = ", ".join(self.channels) or "none"
                    raise RecipeError(
                        f"recipe {source}: segment.{name} reads a role of the section channels",
                        found=f"{role!r}; roles are {known}",
                        fix=f"--set channels.{role}=<a channel of the plate>",
                    )
            for needed in params.needs:
                if needed not in made:
                    raise RecipeError(
                        f"recipe {source}: segment.{name} starts from object sets made before it",
                        found=repr(needed),
                        fix=f"put {needed} before {name}",
                    )
            made.append(name)

    def channels_of(self, plate_channels: Iterable[str]) -> dict[str, str]:
        """The plate's channel for every role.

        Raises
        ------
        RecipeError
            when a role names no channel of the plate; the message lists what there is and the key to set.
        """
        available = list(plate_channels)
        for role, channel in self.channels.items():
            if channel not in available:
                found = "no channel is named yet" if channel is None else f"{channel!r}"
                example = _like(role, available)
                raise RecipeError(
                    f"channels.{role} names a channel of the plate ({', '.join(available)})",
                    found=found,
                    fix=f"--set channels.{role}={example}",
                )
        return {role: str(channel) for role, channel in self.channels.items()}

    @property
    def objects(self) -> tuple[str, ...]:
        """Names of the object sets; the first is the primary one."""
        return tuple(self.segment)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries with every default written out."""
        return {
            "name": self.name,
            "description": self.description,
            "acquire": self.acquire.model_dump(mode="json"),
            "channels": dict(self.channels),
            "segment": {name: params.model_dump(mode="json") for name, params in self.segment.items()},
            "blocks": self.blocks.model_dump(mode="json"),
            "measure": self.measure.model_dump(mode="json"),
            "profile": self.profile.model_dump(mode="json"),
            "report": self.report.model_dump(mode="json"),
        }

    def to_yaml(self) -> str:
        """The recipe as YAML that :meth:`load` reads back to an equal one."""
        return yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True, width=100)


def _like(role: str, channels: list[str]) -> str:
    """The only channel, or the one whose name is like the role's; advice must not guess beyond that."""
    if len(channels) == 1:
        return channels[0]
    names = {channel.lower(): channel for channel in channels}
    nearest = difflib.get_close_matches(role.lower(), names, 1)
    return names[nearest[0]] if nearest else "<channel>"


def _segment_section(data: Any, source: str) -> dict[str, Any]:
    if not isinstance(data, Mapping):
        raise RecipeError(f"{source}: section segment maps object sets to segmenters", found=repr(data))
    section = {}
    for name, settings in data.items():
        if not (isinstance(name, str) and name.isidentifier() and name == name.lower()):
            raise RecipeError(f"{source}: object sets have names such as nuclei or lipid_droplets", found=repr(name))
        if isinstance(settings, str):
            settings = {"method": "expression", "expression": settings}
        if not isinstance(settings, Mapping) or "method" not in settings:
            methods = ", ".join(plugin_names("hts.segmenters"))
            raise RecipeError(
                f"{source}: segment.{name} has a key method", found=repr(settings), fix=f"methods are {methods}"
            )
        try:
            segmenter = load_plugin("hts.segmenters", str(settings["method"]))
        except NotFoundError as error:
            raise RecipeError(f"{source}: segment.{name}.method: {error}") from None
        model = load_plugin("hts.stages", "segment").step_model(segmenter)
        section[name] = validate(model, settings, f"segment.{name}", source)
    return section
