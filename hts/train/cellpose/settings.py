"""What a training run is told."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hts.errors import NotFoundError, RecipeError

BUILTIN = Path(__file__).parent / "recipes"


class TrainingRecipe(BaseModel):
    """Settings of a training run; the same recipe and seed give the same scenes in the same order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: Literal["nuclei", "cells"] = Field(description="what is segmented; decides which scenes are drawn")
    seed: int = Field(0, ge=0, description="seed of weights, scenes and batches")
    widths: tuple[int, ...] = Field((16, 32, 64, 128), description="channels of the levels of the U-Net")
    diameter_px: float = Field(
        17.0, gt=1, description="what the network calls its mean diameter; images are resized to it"
    )
    steps: int = Field(10_000, ge=1, description="batches")
    batch: int = Field(8, ge=1, description="crops in a batch")
    crop_px: int = Field(128, ge=32, multiple_of=16, description="side of a crop")
    scene_px: int = Field(192, ge=32, description="side of a scene; crops are cut from scenes")
    pool: int = Field(2500, ge=1, description="scenes held at a time")
    fresh: int = Field(1, ge=0, description="scenes replaced by new ones after each batch")
    learning_rate: float = Field(
        2e-3, gt=0, description="the highest; warms up over `warmup` batches, then falls as a cosine"
    )
    warmup: int = Field(300, ge=0)
    weight_decay: float = Field(1e-4, ge=0)
    average: float = Field(
        0.998, ge=0, lt=1, description="decay of the running mean of the weights, which is what is kept"
    )
    precision: Literal["float32", "bfloat16"] = Field("bfloat16", description="of the forward pass")
    validate_every: int = Field(500, ge=1, description="batches between two lines of the log")
    validation_scenes: int = Field(96, ge=1, description="scenes that are never trained on")
    start_from: str | None = Field(None, description="weights to start from, of the same widths")

    @model_validator(mode="after")
    def _fits(self) -> TrainingRecipe:
        multiple = 2 ** max(len(self.widths) - 1, 0)
        if not self.widths or min(self.widths) < 1:
            raise ValueError("widths are at least one number, each of 1 or more")
        if self.crop_px > self.scene_px:
            raise ValueError("crops are cut from scenes: crop_px is scene_px at most")
        if self.crop_px % multiple or self.scene_px % multiple:
            raise ValueError(f"crop_px and scene_px are multiples of {multiple} with {len(self.widths)} levels")
        return self


def parse_settings(settings: Iterable[str]) -> dict[str, Any]:
    """``["steps=100"]`` → ``{"steps": 100}``; values are YAML.

    Raises
    ------
    RecipeError
        for a setting without ``=``, or a value that is no YAML.
    """
    parsed: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        try:
            parsed[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise RecipeError(f"{setting!r} is KEY=VALUE", found=" ".join(str(error).split())) from error
        if not equals:
            raise RecipeError("a setting is KEY=VALUE", found=repr(setting))
    return parsed


def load_training_recipe(source: str | Path, overrides: dict[str, Any] | None = None) -> TrainingRecipe:
    """A recipe from a YAML file, or of a built-in model by name (``nuclei``, ``cells``).

    Raises
    ------
    NotFoundError
        when there is no such file.
    RecipeError
        for unknown keys and values out of bounds.
    """
    path = BUILTIN / f"{source}.yaml" if (BUILTIN / f"{source}.yaml").is_file() else Path(source)
    try:
        data = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        known = ", ".join(sorted(file.stem for file in BUILTIN.glob("*.yaml")))
        raise NotFoundError(f"a training recipe (built in: {known}, or a YAML file)", found=str(source)) from error
    except yaml.YAMLError as error:
        raise RecipeError(f"{path} is YAML", found=" ".join(str(error).split())) from error
    if not isinstance(data, dict):
        raise RecipeError(f"{path} maps settings to values", found=type(data).__name__)
    try:
        return TrainingRecipe(**{**data, **(overrides or {})})
    except ValidationError as error:
        lines = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise RecipeError(f"{path} is a training recipe", found=lines) from error
