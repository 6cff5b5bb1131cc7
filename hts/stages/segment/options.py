"""Keys that every object set of a recipe has, whatever finds its objects."""

from __future__ import annotations

import functools
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator

from hts.stages.segment.protocol import Segmenter


class StepOptions(BaseModel):
    """Which numbers the objects of a set get, and what becomes of those at the frame."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    link: str | None = Field(
        None,
        description="object set made before: objects get the numbers of those they overlap by half of the smaller one, "
        "one to one; those without a partner get numbers of their own. Without it all do",
    )
    border: Literal["keep", "drop"] = Field(
        "keep",
        description="objects that touch the frame of the field: kept and flagged, or dropped with what belongs to them",
    )

    @property
    def needs(self) -> tuple[str, ...]:
        """Object sets that must be there: those the method starts from, and the one linked to."""
        started: tuple[str, ...] = getattr(super(), "needs", ())
        return started if self.link is None or self.link in started else (*started, self.link)

    @model_validator(mode="after")
    def _links_own_objects(self) -> StepOptions:
        started: tuple[str, ...] = getattr(super(), "needs", ())
        if self.link is not None and started:
            raise ValueError(
                f"link is for methods that find objects on their own; these keep the numbers of {started[0]}"
            )
        return self


def step_model(segmenter: Segmenter) -> type[BaseModel]:
    """The keys of an object set of a recipe: those of its segmenter's ``Params`` and of :class:`StepOptions`."""
    base: Any = segmenter.Params
    return _with_options(base)


@functools.cache
def _with_options(base: type[Any]) -> type[BaseModel]:
    model: type[BaseModel] = create_model(base.__name__, __base__=(StepOptions, base), __doc__=base.__doc__)
    return model


def options(params: Any) -> StepOptions:
    """The options among the parameters of a step; the defaults for bare ``Params``."""
    return params if isinstance(params, StepOptions) else StepOptions(link=None, border="keep")


def numbers_from(params: Any) -> str | None:
    """The object set whose numbers a step's objects have; None when they have their own."""
    return params.needs[0] if params.needs else None


class SegmentStage:
    """The stage as the engine and the recipe find it."""

    version = 2
    step_model = staticmethod(step_model)
