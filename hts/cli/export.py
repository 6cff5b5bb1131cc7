"""``hts export``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hts.cli.output import Json, Out, PlateArgument, emit, show, verb
from hts.errors import UsageError

AnnData = Annotated[Path | None, typer.Option("--anndata", metavar="FILE.h5ad", help="One AnnData file.")]
Rows = Annotated[str, typer.Option("--rows", metavar="cells|wells", help="What its rows are.")]
Tables = Annotated[bool, typer.Option("--tables", help="A feature table (ngio) beside every label image of the plate.")]


@verb
def export(
    plate: PlateArgument,
    anndata: AnnData = None,
    rows: Rows = "cells",
    tables: Tables = False,
    out: Out = None,
    as_json: Json = False,
) -> int:
    """Write the tables of a finished run in the forms of other tools.

    Example: hts export plate.ome.zarr --anndata cells.h5ad --tables
    """
    from hts.engine.exports import export_anndata, export_feature_tables

    if anndata is None and not tables:
        raise UsageError("what to write", found="nothing", fix="add --anndata FILE.h5ad, --tables, or both")
    told: dict[str, object] = {"plate": str(plate)}
    if anndata is not None:
        told |= {"anndata": str(anndata), "rows": export_anndata(plate, anndata, out, rows)}
    if tables:
        told["tables"] = export_feature_tables(plate, out)
    if as_json:
        emit(told)
    else:
        show("\n".join(f"{name}: {value}" for name, value in told.items()))
    return 0
