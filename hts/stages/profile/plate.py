"""Profiles of a plate: layout joined, controls found, normalised, judged."""

from __future__ import annotations

import difflib
import fnmatch
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hts.errors import RecipeError
from hts.stages.profile.dose import dose_column, fit_logistic
from hts.stages.profile.expressions import QUERY_ERRORS
from hts.stages.profile.params import ProfileParams
from hts.stages.profile.quality import ssmd, z_prime

CONTROL = "Metadata_Control"
"""Profile column that says negative, positive or sample."""


@dataclass(frozen=True)
class PlateProfile:
    """What the profile stage makes of a plate.

    ``profiles`` and ``normalized`` hold one row a well. ``quality`` is plain JSON. ``dose`` has the
    columns Well, Dose, Value, Kind, or is None when the layout has no dose; ``fit`` is its logistic.
    """

    profiles: pd.DataFrame
    normalized: pd.DataFrame
    quality: dict[str, Any]
    dose: pd.DataFrame | None
    dose_name: str
    fit: dict[str, float] | None


def profile_plate(rows: pd.DataFrame, layout: pd.DataFrame, params: ProfileParams) -> PlateProfile:
    """Join, normalise and judge.

    Parameters
    ----------
    rows : one row a well: ``Metadata_Plate``, ``Metadata_Well`` …, counts and statistics.
    layout : one row a well with ``Well`` and what was put into it; a column becomes ``Metadata_<name>``, or
        ``Metadata_Layout_<name>`` where the profiles have a column of that name already.
    params : controls, readout, dose, normalisation.

    Raises
    ------
    RecipeError
        when a query, the readout or the dose does not fit the tables.
    """
    kinds = control_kinds(layout, params)
    profiles = rows.merge(_described(layout, {*rows.columns, CONTROL}), on="Metadata_Well", how="left", sort=False)
    profiles[CONTROL] = [kinds.get(well, "sample") for well in profiles["Metadata_Well"]]
    metadata = [name for name in profiles.columns if name.startswith("Metadata_")]
    features = [name for name in profiles.columns if not name.startswith("Metadata_")]
    profiles = profiles[metadata + features]
    if params.readout not in features:
        raise RecipeError(
            "profile.readout names a profile column", found=repr(params.readout), fix=_near(params.readout, features)
        )
    normalized, unsteady = normalize(profiles, features, params.normalize)
    quality = judge(profiles, params, features)
    quality["not_normalized"] = unsteady
    name = dose_column(layout, params.dose)
    dose, fit = None, None
    if name is not None:
        dose = _dose_table(profiles, layout.set_index("Well")[name], params.readout)
        fit = fit_logistic(dose["Dose"].to_numpy(np.float64), dose["Value"].to_numpy(np.float64))
        quality["ec50"] = fit["ec50"] if fit else None
    return PlateProfile(profiles, normalized, quality, dose, name or "", fit)


def control_kinds(layout: pd.DataFrame, params: ProfileParams) -> dict[str, str]:
    """``negative``, ``positive`` or ``sample`` for every well of the layout.

    Raises
    ------
    RecipeError
        when a query cannot be computed or the two overlap.
    """
    picked = {}
    for kind in ("negative", "positive"):
        query = getattr(params.controls, kind)
        picked[kind] = _query(layout, query, kind) if query else set()
    both = sorted(picked["negative"] & picked["positive"])
    if both:
        raise RecipeError(
            "profile.controls.negative and profile.controls.positive pick different wells",
            found=f"both pick {', '.join(both[:5])}",
            fix="make the queries exclude one another",
        )
    names = {well: kind for kind in picked for well in picked[kind]}
    return {well: names.get(well, "sample") for well in layout["Well"]}


def _described(layout: pd.DataFrame, taken: set[str]) -> pd.DataFrame:
    """The layout with the names its columns have in the profiles."""
    names = {}
    for name in layout.columns:
        plain = f"Metadata_{name}"
        names[name] = f"Metadata_Layout_{name}" if plain in taken and name != "Well" else plain
    return layout.rename(columns=names)


def _query(layout: pd.DataFrame, query: str, kind: str) -> set[str]:
    columns = ", ".join(map(str, layout.columns))
    try:
        met = layout.eval(query, engine="python")
    except QUERY_ERRORS as error:
        raise RecipeError(
            f"profile.controls.{kind} is a query on the layout columns {columns}",
            found=f"{query!r}: {error}",
            fix="hts convert again with --layout when the layout is missing, or correct the query",
        ) from error
    # Methods of text columns give missing values among the booleans.
    if not isinstance(met, pd.Series) or met.dtype not in (np.bool_, np.object_):
        raise RecipeError(
            f"profile.controls.{kind} is true or false for every well; the layout columns are {columns}",
            found=repr(query),
            fix="compare, as in Compound == 'DMSO'",
        )
    wells = set(layout.loc[met.eq(True), "Well"])
    if not wells:
        raise RecipeError(
            f"profile.controls.{kind} picks at least one well",
            found=f"none for {query!r}",
            fix=f"look at the values of the layout columns {columns}",
        )
    return wells


def normalize(profiles: pd.DataFrame, features: list[str], method: str) -> tuple[pd.DataFrame, int]:
    """Every feature relative to the negative controls, by pycytominer.

    Returns the table and how many features do not vary among the controls: those are NaN, not huge.
    With fewer than two negative controls, or with ``none``, the table is returned as it is.
    """
    negative = profiles[CONTROL] == "negative"
    if method == "none" or negative.sum() < 2:
        return profiles.copy(), 0
    from pycytominer import normalize as normalize_profiles

    reference = profiles.loc[negative, features]
    spread = reference.std() if method == "standardize" else (reference - reference.median()).abs().median()
    # Rounding makes equal values vary in their last digits.
    least = 1e-12 * reference.abs().max()
    steady = [name for name in features if spread[name] > least[name]]
    metadata = [name for name in profiles.columns if name.startswith("Metadata_")]
    result = profiles[metadata]
    if steady:
        result = normalize_profiles(
            profiles[metadata + steady],
            features=steady,
            meta_features=metadata,
            samples=f"{CONTROL} == 'negative'",
            method=method,
        )
    return result.reindex(columns=metadata + features), len(features) - len(steady)


def judge(profiles: pd.DataFrame, params: ProfileParams, features: list[str]) -> dict[str, Any]:
    """Z′ and SSMD of the readout and of the chosen features between the controls."""
    negative = profiles[profiles[CONTROL] == "negative"]
    positive = profiles[profiles[CONTROL] == "positive"]
    count = next(name for name in features if name.startswith("Count_"))
    chosen = [params.readout, count]
    for pattern in params.features:
        matches = fnmatch.filter(features, pattern)
        if not matches:
            raise RecipeError(
                "profile.features names profile columns", found=repr(pattern), fix=_near(pattern, features)
            )
        chosen += matches
    judged = [
        {
            "feature": name,
            "z_prime": z_prime(negative[name], positive[name]),
            "ssmd": ssmd(negative[name], positive[name]),
        }
        for name in dict.fromkeys(chosen)
    ]
    return {
        "readout": params.readout,
        "z_prime": judged[0]["z_prime"],
        "ssmd": judged[0]["ssmd"],
        "n_negative": len(negative),
        "n_positive": len(positive),
        "features": judged,
    }


def _dose_table(profiles: pd.DataFrame, doses: pd.Series[Any], readout: str) -> pd.DataFrame:
    """`doses` by well name."""
    table = pd.DataFrame(
        {
            "Well": profiles["Metadata_Well"],
            "Dose": pd.to_numeric(profiles["Metadata_Well"].map(doses), errors="coerce"),
            "Value": profiles[readout],
            "Kind": profiles[CONTROL],
        }
    )
    return table.dropna(subset=["Dose"]).reset_index(drop=True)


def _near(wanted: str, features: list[str]) -> str:
    nearest = difflib.get_close_matches(wanted, features, 3, cutoff=0.3)
    return f"near names: {', '.join(nearest or features[:3])}"
