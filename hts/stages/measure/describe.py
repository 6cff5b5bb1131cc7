"""The feature catalogue as a page: what the documentation shows and ``hts features`` prints."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from hts.stages.measure.arrays_api import features
from hts.stages.measure.features import families as load_families

if TYPE_CHECKING:
    import pandas as pd


def family_table(families: str | Sequence[str] = "all") -> pd.DataFrame:
    """One row a family: name, number of features for two channels, what it is about, what it shares, cost."""
    import pandas as pd

    rows = []
    for family in load_families(families if families == "all" else tuple(families)):
        listed = features([family.name])
        what = (type(family).__doc__ or "").strip().splitlines()[:1]
        needs = ", ".join(getattr(family, "needs", ()))
        inputs = ", ".join(dict.fromkeys(listed["inputs"]))
        rows.append((family.name, len(listed), "".join(what), inputs, needs, float(getattr(family, "cost_ns", 0.0))))
    return pd.DataFrame(rows, columns=["family", "features", "what", "inputs", "shares", "cost_ns"])


def catalogue_page(families: Sequence[str] | None = None) -> str:
    """Markdown: a table of the families (the built-in ones unless told), then every feature of each."""
    from hts.stages.measure.features import ORDER

    table = family_table(families or ORDER)
    lines = [
        "| family | features | what | shares | ns a pixel |",
        "|---|---|---|---|---|",
        *(
            f"| [`{row.family}`](#{row.family}) | {row.features} | {row.what} | {row.shares} | {row.cost_ns:g} |"
            for row in table.itertuples()
        ),
    ]
    for family in table["family"]:
        lines += ["", f"### {family}", "", *_settings(family)]
        lines += ["| feature | unit | what it is | source |", "|---|---|---|---|"]
        lines += [_row(list(rows)) for _, rows in groupby(features([family]).itertuples(), key=_alike)]
    return "\n".join(lines) + "\n"


def _settings(name: str) -> list[str]:
    """The settings of a family, with their defaults."""
    (family,) = load_families((name,))
    fields = family.Params.model_fields if hasattr(family, "Params") else {}
    told = [f"`{key}` ({_default(field)}): {(field.description or '').rstrip('.')}" for key, field in fields.items()]
    return [f"Settings: {'; '.join(told)}.", ""] if told else []


def _default(field: Any) -> str:
    return json.dumps(field.default)


def _alike(row: Any) -> tuple[str, str, str]:
    return row.unit, row.definition, row.source


def _row(rows: list[Any]) -> str:
    """One line for features that differ in their numbers alone."""
    first, last = rows[0].name, rows[-1].name
    names = f"`{first}`" if len(rows) == 1 else f"`{first}` … `{last}` ({len(rows)})"
    if len(rows) == 2:
        names = f"`{first}`, `{last}`"
    definition = rows[0].definition.replace("|", "\\|")
    return f"| {names} | {rows[0].unit} | {definition} | {rows[0].source} |"
