"""From the cells of a well to one row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from hts.errors import RecipeError
from hts.stages.profile.expressions import QUERY_ERRORS, expression_names
from hts.stages.profile.params import ProfileParams

STATISTIC_PREFIX = {"mean": "Mean", "median": "Median", "sd": "StDev"}


def aggregate_cells(
    cells: pd.DataFrame, features: Sequence[str], objects: Sequence[str], params: ProfileParams
) -> dict[str, float]:
    """One row of a well: counts of objects, then statistics of every feature and readout.

    Parameters
    ----------
    cells : one row a cell, as the measure stage made it; one that lacks the object of a set, an orphan, is not counted
        in that set and has no values of it.
    features : its feature columns.
    objects : object sets, the primary first.
    params : statistics, readouts and filter.

    Returns
    -------
    ``Count_Nuclei`` … and ``Mean_``, ``Median_``, ``StDev_<feature>`` (sample SD). Cells without a
    value are left out of a statistic; one that no cell supports is NaN. A readout that compares has
    no value for a cell that lacks one of its columns (a cell without cytoplasm is no negative one).

    Raises
    ------
    RecipeError
        when a readout or the filter cannot be computed.
    """
    if params.filter:
        cells = _filter(cells, params.filter)
    readouts = {f"Readout_{name}": _readout(cells, text, f"readouts.{name}") for name, text in params.readouts.items()}
    row = _counts(cells, objects)
    values = cells[list(features)].assign(**readouts)
    values = values.astype(np.float64).replace([np.inf, -np.inf], np.nan)
    for statistic in params.aggregate:
        summary = values.agg({"mean": "mean", "median": "median", "sd": "std"}[statistic])
        row.update({f"{STATISTIC_PREFIX[statistic]}_{name}": float(value) for name, value in summary.items()})
    return row


def profile_columns(features: Sequence[str], objects: Sequence[str], params: ProfileParams) -> list[str]:
    """Names of the numbers that :func:`aggregate_cells` makes, in its order."""
    values = [*features, *(f"Readout_{name}" for name in params.readouts)]
    counts = [f"Count_{name.capitalize()}" for name in objects]
    return counts + [f"{STATISTIC_PREFIX[statistic]}_{name}" for statistic in params.aggregate for name in values]


def _counts(cells: pd.DataFrame, objects: Sequence[str]) -> dict[str, float]:
    names = [name.capitalize() for name in objects]
    return {f"Count_{name}": float((cells[f"Metadata_{name}_ObjectNumber"] > 0).sum()) for name in names}


def _filter(cells: pd.DataFrame, query: str) -> pd.DataFrame:
    met = _evaluate(cells, query, "filter")
    if met.dtype != np.bool_:
        raise RecipeError(
            "profile.filter is true or false for every cell",
            found=query,
            fix="compare, as in Nuclei_AreaShape_Area > 100",
        )
    return cells[met]


def _readout(cells: pd.DataFrame, expression: str, key: str) -> pd.Series[Any]:
    values = _evaluate(cells, expression, key)
    if values.dtype == np.bool_:
        # Pandas calls a comparison with a missing value false.
        return values.astype(np.float64).where(cells[_used(cells, expression)].notna().all(axis=1))
    return values


def _evaluate(cells: pd.DataFrame, expression: str, key: str) -> pd.Series[Any]:
    """Numbers or booleans, one a cell."""
    try:
        # Only the columns it names: pandas prepares every column of the frame, thousands of them.
        result = pd.Series(cells[_used(cells, expression)].eval(expression, engine="python"), index=cells.index)
    except QUERY_ERRORS as error:
        raise RecipeError(f"profile.{key} can be computed for every cell: {expression}", found=str(error)) from error
    if not pd.api.types.is_numeric_dtype(result):
        raise RecipeError(f"profile.{key} is a number for every cell: {expression}", found=str(result.dtype))
    return result


def _used(cells: pd.DataFrame, expression: str) -> list[str]:
    return [name for name in expression_names(expression) if name in cells.columns]
