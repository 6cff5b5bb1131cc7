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
    layout : one row a well with ``Well`` and what was put into it.
    params : controls, readout, dose, normalisation.

    Raises
    ------
    RecipeError
        when a query, the readout or the dose does not fit the tables.
    """
    kinds = control_kinds(layout, params)
    described = layout.rename(columns={name: f"Metadata_{name}" for name in layout.columns})
    described[CONTROL] = described["Metadata_Well"].map(kinds)
    profiles = rows.merge(described, on="Metadata_Well", how="left", sort=False)
    profiles[CONTROL] = profiles[CONTROL].fillna("sample")
    metadata = [name for name in profiles.columns if name.startswith("Metadata_")]
    features = [name for name in profiles.columns if not name.startswith("Metadata_")]
    profiles = profiles[metadata + features]
    if params.readout not in features:
        raise RecipeError(
            "profile.readout names a profile column", found=repr(params.readout), fix=_near(params, features)
        )
    normalized, unsteady = normalize(profiles, features, params.normalize)
    quality = judge(profiles, params, features)
    quality["not_normalized"] = unsteady
    name = dose_column(layout, params.dose)
    dose, fit = None, None
    if name is not None:
        dose = _dose_table(profiles, name, params.readout)
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
        raise RecipeError("a well is a negative or a positive control, not both", found=", ".join(both[:5]))
    names = {well: kind for kind in picked for well in picked[kind]}
    return {well: names.get(well, "sample") for well in layout["Well"]}


def _query(layout: pd.DataFrame, query: str, kind: str) -> set[str]:
    try:
        wells = set(layout.query(query, engine="python")["Well"])
    except QUERY_ERRORS as error:
        columns = ", ".join(map(str, layout.columns))
        raise RecipeError(
            f"profile.controls.{kind} is a query on the layout columns {columns}",
            found=f"{query!r}: {error}",
            fix="hts convert again with --layout when the layout is missing, or correct the query",
        ) from error
    if not wells:
        raise RecipeError(
            f"profile.controls.{kind} picks at least one well",
            found=f"none for {query!r}",
            fix="look at the values of the layout column",
        )
    return wells


def normalize(profiles: pd.DataFrame, features: list[str], method: str) -> tuple[pd.DataFrame, int]:
    """Every feature relative to the negative controls, by pycytominer.

    Returns the table and how many features do not vary among the controls: those are NaN, not huge.
    Without negative controls, or with ``none``, the table is returned as it is.
    """
    negative = profiles[CONTROL] == "negative"
    if method == "none" or negative.sum() < 2:
        return profiles.copy(), 0
    from pycytominer import normalize as normalize_profiles

    reference = profiles.loc[negative, features]
    spread = reference.std() if method == "standardize" else (reference - reference.median()).abs().median()
    steady = [name for name in features if spread[name] > 0]
    metadata = [name for name in profiles.columns if name.startswith("Metadata_")]
    result = normalize_profiles(
        profiles[metadata + steady],
        features=steady,
        meta_features=metadata,
        samples=f"{CONTROL} == 'negative'",
        method=method,
    )
    absent = pd.DataFrame(np.nan, index=result.index, columns=[name for name in features if name not in steady])
    return pd.concat([result, absent], axis=1)[metadata + features], len(features) - len(steady)


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
                "profile.features names profile columns", found=repr(pattern), fix=_near(params, features)
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


def _dose_table(profiles: pd.DataFrame, name: str, readout: str) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "Well": profiles["Metadata_Well"],
            "Dose": pd.to_numeric(profiles[f"Metadata_{name}"], errors="coerce"),
            "Value": profiles[readout],
            "Kind": profiles[CONTROL],
        }
    )
    return table.dropna(subset=["Dose"]).reset_index(drop=True)


def _near(params: ProfileParams, features: list[str]) -> str:
    nearest = difflib.get_close_matches(params.readout, features, 3, cutoff=0.3)
    return f"near names: {', '.join(nearest or features[:3])}"
