"""``hts features``"""

from __future__ import annotations

from typing import Annotated

import typer

from hts.cli.output import Json, emit, show, verb

Families = Annotated[
    list[str] | None, typer.Argument(metavar="[FAMILY]...", help="Families to list in full.", show_default=False)
]
Markdown = Annotated[bool, typer.Option("--markdown", help="The page of the documentation.")]


@verb
def features(families: Families = None, markdown: Markdown = False, as_json: Json = False) -> int:
    """List the feature families, or every feature of some.

    Example: hts features texture correlation
    """
    from hts.stages.measure.arrays_api import features as catalogue
    from hts.stages.measure.describe import catalogue_page, family_table

    if markdown:
        show(catalogue_page(families or None).rstrip())
        return 0
    if as_json:
        emit({"features": catalogue(families or "all").to_dict("records")})
        return 0
    if not families:
        for row in family_table().itertuples():
            show(f"{row.family:<16} {row.features:>4} features  {row.cost_ns:>4g} ns a pixel  {row.what}")
        return 0
    for row in catalogue(families).itertuples():
        show(f"{row.name}  [{row.unit}]  {row.definition}")
    return 0
