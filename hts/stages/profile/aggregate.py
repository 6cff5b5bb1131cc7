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
    cells : one row a cell (primary object), as the measure stage made it.
    features : its feature columns.
    objects : object sets, the primary first.
    params : statistics, readouts and filter.

    Returns
    -------
    ``Count_Nuclei`` … and ``Mean_``, ``Median_``, ``StDev_<feature>`` (sample SD). Cells without a
    value are left out of a statistic; one that no cell supports is NaN.

    Raises
    ------
    RecipeError
        when a readout or the filter cannot be computed.
    """
    if params.filter:
        cells = cells[_evaluate(cells, params.filter, "filter").astype(bool)]
    readouts = {f"Readout_{name}": _evaluate(cells, text, f"readouts.{name}") for name, text in params.readouts.items()}
    row = _counts(cells, objects)
    values = pd.concat([cells[list(features)], pd.DataFrame(readouts, index=cells.index)], axis=1)
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
    primary, *others = (name.capitalize() for name in objects)
    counts = {f"Count_{primary}": float(len(cells))}
    for other in others:
        counts[f"Count_{other}"] = float((cells[f"Metadata_{other}_Parent_{primary}"] > 0).sum())
    return counts


def _evaluate(cells: pd.DataFrame, expression: str, key: str) -> pd.Series[Any]:
    used = [name for name in expression_names(expression) if name in cells.columns]
    try:
        # Only the columns it names: pandas prepares every column of the frame, thousands of them.
        result = cells[used].eval(expression, engine="python")
    except QUERY_ERRORS as error:
        raise RecipeError(f"profile.{key} can be computed for every cell: {expression}", found=str(error)) from error
    return result if isinstance(result, pd.Series) else pd.Series(result, index=cells.index)
