"""Haralick's texture features, as CellProfiler's MeasureTexture names and defines them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from hts.stages.measure.families import _kernels_texture as kernels
from hts.stages.measure.features import BuiltInFamily, FamilyParams, FeatureInfo, channel_token
from hts.stages.measure.shared.runs import read_only

if TYPE_CHECKING:
    from hts.stages.measure.shared.objects import Objects

_SOURCE = "CellProfiler 4 MeasureTexture; Haralick et al. 1973, IEEE Trans. Syst. Man Cybern. 3, 610"

_MEANINGS = {
    "AngularSecondMoment": "Sum of the squared probabilities of the pairs of levels, 1 where all are the same",
    "Contrast": "Mean squared difference of the two levels of a pair",
    "Correlation": "Correlation of the two levels of a pair; undefined where the texture is constant",
    "Variance": "Variance of the levels that take part in pairs",
    "InverseDifferenceMoment": "Mean of 1 / (1 + squared difference of the two levels of a pair)",
    "SumAverage": "Mean sum of the two levels of a pair",
    "SumVariance": "Variance of the sum of the two levels of a pair",
    "SumEntropy": "Entropy, in bits, of the sum of the two levels of a pair",
    "Entropy": "Entropy, in bits, of the pairs of levels",
    "DifferenceVariance": "Variance of the probabilities of the differences from 0 to the object's highest level",
    "DifferenceEntropy": "Entropy, in bits, of the difference of the two levels of a pair",
    "InfoMeas1": "Information that one level of a pair has on the other, in entropies of one level, negative; "
    "undefined where the texture is constant",
    "InfoMeas2": "Square root of 1 - exp(-2 x information, in bits, that one level of a pair has on the other)",
}

_DIRECTIONS = "00 along the row, 01 down to the right, 02 along the column, 03 down to the left"


class TextureParams(FamilyParams):
    """Settings of the texture features."""

    scales_px: tuple[Annotated[int, Field(ge=1, le=10_000)], ...] = Field(
        (3,), min_length=1, description="distances of the two pixels of a pair, each a set of columns"
    )
    levels: int = Field(
        256,
        ge=2,
        le=256,
        description="into how many levels the grey levels from 0 to measure.full_scale are divided; the images of a "
        "12-bit camera stored in 16 bits keep only 16 of 256 levels unless full_scale is 4095",
    )

    @field_validator("scales_px")
    @classmethod
    def _each_once(cls, scales_px: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(scales_px)) < len(scales_px):
            raise ValueError(f"a scale twice: {', '.join(map(str, scales_px))}")
        return scales_px


class TextureFeatures(BuiltInFamily):
    """Thirteen features of the pairs of grey levels in four directions, by scale and channel."""

    name = "texture"
    version = 1
    needs = ("moments", "runs", "values", "in_scale")
    bytes_px = 2.0
    cost_ns = 9.0
    Params = TextureParams

    def catalogue(self, channels: tuple[str, ...]) -> tuple[FeatureInfo, ...]:
        """52 features a channel and scale."""
        return tuple(
            FeatureInfo(
                _column(feature, role, scale_px, direction, self.params.levels),
                self.name,
                "1",
                role,
                _definition(feature, role, self.params.levels),
                _SOURCE,
            )
            for role in channels
            for scale_px in self.params.scales_px
            for feature in kernels.FEATURES
            for direction in range(4)
        )

    def compute(self, objects: Objects) -> dict[str, NDArray[np.float64]]:
        """(n,) values by name; NaN for objects smaller than the scale, or with a pixel off the scale.

        Raises
        ------
        StageError
            when most objects have grey levels below 0 or above the full scale.
        """
        columns: dict[str, NDArray[np.float64]] = {}
        for channel, role in enumerate(objects.channels):
            levels = _levels(objects, channel, self.params.levels)
            for scale_px in self.params.scales_px:
                found = np.empty((objects.count, 4, len(kernels.FEATURES)))
                objects.over(kernels.haralick, levels, scale_px, found)
                found[~objects.in_scale[:, channel]] = np.nan
                for place, feature in enumerate(kernels.FEATURES):
                    for direction in range(4):
                        name = _column(feature, role, scale_px, direction, self.params.levels)
                        columns[name] = found[:, direction, place]
        return columns


def level_of(grey: NDArray[Any], full_scale: float, levels: int) -> NDArray[np.uint8]:
    """The level of each grey level from 0 to ``full_scale``, as CellProfiler makes them.

    The range is first divided into 255 steps (rounded), these into ``levels - 1`` (cut off), with its order of floating
    point operations: where a step falls on the edge of two levels, another order would round the other way.
    """
    steps = np.rint(grey.astype(np.float64) / full_scale * 255)
    return np.asarray(steps if levels == 256 else steps / 255 * (levels - 1)).astype(np.uint8)


def _levels(objects: Objects, channel: int, levels: int) -> NDArray[np.uint8]:
    """(N,) the level of every pixel of every object; of objects that are off the scale they mean nothing."""
    values, full_scale = objects.values[channel], objects.field.full_scale[channel]
    if values.dtype == np.uint16:
        table = level_of(np.minimum(np.arange(65536), full_scale), full_scale, levels)
        found = np.empty(values.size, np.uint8)
        kernels.to_levels(values, table, found)
        return read_only(found)
    known = np.where(np.isfinite(values), values, 0)
    return read_only(level_of(np.clip(known, 0, full_scale), full_scale, levels))


def _column(feature: str, role: str, scale_px: int, direction: int, levels: int) -> str:
    return f"Texture_{feature}_{channel_token(role)}_{scale_px}_{direction:02d}_{levels}"


def _definition(feature: str, role: str, levels: int) -> str:
    return (
        f"{_MEANINGS[feature]}, channel {role}; the numbers are the distance of a pair in px, its direction "
        f"({_DIRECTIONS}) and the {levels} levels into which grey levels from 0 to measure.full_scale are divided, of "
        "which 0 takes part in no pair (images of a 12-bit camera stored in 16 bits have only a sixteenth of them "
        "unless full_scale is 4095); undefined where a direction has no pair, or a grey level is off the scale"
    )
