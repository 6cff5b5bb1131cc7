"""Settings of the section ``profile``."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from hts.stages.profile.expressions import expression_names

Statistic = Literal["mean", "median", "sd"]


class Controls(BaseModel):
    """Queries on layout columns that pick the control wells, such as ``Compound == "DMSO"``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    negative: str | None = Field(None, description="wells without effect; normalisation refers to them")
    positive: str | None = Field(None, description="wells with the full effect")


class ProfileParams(BaseModel):
    """How cells become wells and wells become numbers to compare."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    aggregate: tuple[Statistic, ...] = Field(
        ("mean", "median", "sd"), description="statistics over the cells of a well"
    )
    filter: str | None = Field(None, description="query on cell columns; only cells that meet it are aggregated")
    readouts: dict[str, str] = Field(
        default_factory=dict, description="values computed for each cell from its columns, as Readout_<name>"
    )
    readout: str = Field("Count_Nuclei", description="profile column that the dose response and Z' are about")
    features: tuple[str, ...] = Field(
        (), description="further profile columns to judge by Z' and SSMD; * and ? match any text"
    )
    dose: str | None = Field(
        "auto", description="layout column with the dose; auto: the first numeric one named like dose or concentration"
    )
    controls: Controls = Field(Controls(negative=None, positive=None), description="which wells are controls")
    normalize: Literal["standardize", "mad_robustize", "none"] = Field(
        "standardize", description="to the negative controls: mean and SD, or median and MAD"
    )

    @field_validator("readouts")
    @classmethod
    def _valid_readouts(cls, readouts: dict[str, str]) -> dict[str, str]:
        for name, expression in readouts.items():
            if not name.isidentifier():
                raise ValueError(f"a readout has a name such as translocation, not {name!r}")
            expression_names(expression)
        return readouts

    @field_validator("filter")
    @classmethod
    def _valid_filter(cls, query: str | None) -> str | None:
        if query is not None:
            expression_names(query)
        return query

    def cell_part(self) -> dict[str, object]:
        """The settings that change what is computed from cells; the rest only concerns the finished rows."""
        return self.model_dump(mode="json", include={"aggregate", "filter", "readouts"})

    def cell_columns(self) -> tuple[str, ...]:
        """Cell columns that readouts and filter refer to."""
        expressions = [*self.readouts.values(), *([self.filter] if self.filter else [])]
        return tuple(dict.fromkeys(name for text in expressions for name in expression_names(text)))


class ProfileStage:
    """The stage as the engine and the recipe find it."""

    version = 1
    Params = ProfileParams
