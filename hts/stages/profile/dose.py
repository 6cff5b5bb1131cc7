"""Dose response of a readout: which column is the dose, and a four-parameter logistic through the wells."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hts.errors import RecipeError

_DOSE_NAME = re.compile(r"dose|conc", re.IGNORECASE)
_MIN_DOSES = 4
_NORMAL_95 = 1.96


def dose_column(layout: pd.DataFrame, wanted: str | None) -> str | None:
    """The layout column with the dose.

    ``auto`` takes the first numeric column with at least three values whose name contains dose or conc.

    Raises
    ------
    RecipeError
        when a named column is absent or not numeric.
    """
    if wanted is None:
        return None
    if wanted == "auto":
        for name in layout.columns:
            numeric = pd.api.types.is_numeric_dtype(layout[name])
            if _DOSE_NAME.search(str(name)) and numeric and layout[name].nunique() >= 3:
                return str(name)
        return None
    if wanted not in layout.columns:
        raise RecipeError(
            f"profile.dose names a layout column ({', '.join(map(str, layout.columns))})",
            found=repr(wanted),
            fix="hts convert again with --layout, or --set profile.dose=<column>",
        )
    if not pd.api.types.is_numeric_dtype(layout[wanted]):
        raise RecipeError(
            f"profile.dose names a column of numbers, {wanted} is none", found=_first_text(layout[wanted])
        )
    return wanted


def _first_text(column: pd.Series[Any]) -> str:
    """The first value that is no number."""
    texts = column[pd.to_numeric(column, errors="coerce").isna() & column.notna()]
    return repr(texts.iloc[0]) if len(texts) else "no values"


def logistic(dose: NDArray[np.float64], bottom: float, top: float, log_ec50: float, hill: float) -> NDArray[np.float64]:
    """bottom + (top − bottom) / (1 + (EC₅₀ / dose)^hill); `log_ec50` is natural. Dose 0 gives bottom."""
    with np.errstate(divide="ignore", over="ignore"):
        log_dose = np.log(dose)
        curve: NDArray[np.float64] = bottom + (top - bottom) / (1 + np.exp(hill * (log_ec50 - log_dose)))
    return curve


def fit_logistic(dose: NDArray[np.float64], value: NDArray[np.float64]) -> dict[str, float] | None:
    """Least-squares fit of :func:`logistic`; keys bottom, top, ec50, ec50_low, ec50_high (95 %), hill, r2.

    None when there are fewer than four doses, when some are negative (logarithms, most likely), when no fit
    converges, and when the doses do not determine the EC₅₀: its 95 % interval must lie between the
    smallest and the largest positive dose. The Hill slope is kept between 0.2 and 10.
    """
    from scipy.optimize import OptimizeWarning, curve_fit

    good = np.isfinite(dose) & np.isfinite(value)
    dose, value = dose[good], value[good]
    positive = np.unique(dose[dose > 0])
    if len(np.unique(dose)) < _MIN_DOSES or len(positive) < 2 or dose.min() < 0:
        return None
    # The fit's tolerances are absolute: values of 1e-6 would count as converged at the start.
    offset, span = float(value.min()), float(np.ptp(value)) or 1.0
    value = (value - offset) / span
    low, high = float(value[dose == dose.min()].mean()), float(value[dose == dose.max()].mean())
    start = [low, high, float(np.log(np.median(positive))), 1.5]
    bounds = ([-1.0, -1.0, np.log(positive[0] / 10), 0.2], [2.0, 2.0, np.log(positive[-1] * 10), 10.0])
    try:
        with warnings.catch_warnings():
            # An undetermined covariance is what the interval below is there to see.
            warnings.simplefilter("ignore", OptimizeWarning)
            found, covariance = curve_fit(logistic, dose, value, p0=start, bounds=bounds, maxfev=20_000)
    except RuntimeError:
        return None
    reach = _NORMAL_95 * float(np.sqrt(covariance[2, 2]))
    interval = (float(found[2]) - reach, float(found[2]) + reach)
    if not (np.log(positive[0]) <= interval[0] and interval[1] <= np.log(positive[-1])):
        return None
    residual = float(np.sum((value - logistic(dose, *found)) ** 2))
    total = float(np.sum((value - value.mean()) ** 2))
    bottom, top, log_ec50, hill = (float(number) for number in found)
    r2 = 1 - residual / total if total > 0 else 0.0
    ends = {"bottom": offset + span * bottom, "top": offset + span * top}
    limits = {"ec50_low": float(np.exp(interval[0])), "ec50_high": float(np.exp(interval[1]))}
    return {**ends, "ec50": float(np.exp(log_ec50)), **limits, "hill": hill, "r2": r2}
