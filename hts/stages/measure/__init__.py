"""Measure: shape and intensity features of the objects of a field, one row an object.

Importing this package loads neither Numba nor pandas; measuring does.
"""

from __future__ import annotations

from hts.stages.measure.catalogue import (
    ColumnInfo,
    MeasureParams,
    MeasureStage,
    border_column,
    feature_catalogue,
    number_column,
    number_columns,
)
from hts.stages.measure.features import (
    BuiltInFamily,
    FamilyParams,
    FeatureFamily,
    FeatureInfo,
    channel_token,
    family_names,
)
from hts.stages.measure.field import Place, measure_field, measuring_bytes, warm_up

__all__ = [
    "BuiltInFamily",
    "ColumnInfo",
    "FamilyParams",
    "FeatureFamily",
    "FeatureInfo",
    "MeasureParams",
    "MeasureStage",
    "Place",
    "border_column",
    "channel_token",
    "family_names",
    "feature_catalogue",
    "measure_field",
    "measuring_bytes",
    "number_column",
    "number_columns",
    "warm_up",
]
