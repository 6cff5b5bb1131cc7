"""``hts run``"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hts.cli.output import (
    FAILED_WELLS,
    Counter,
    Json,
    Out,
    PlateArgument,
    RecipeArgument,
    Settings,
    Wells,
    emit,
    number,
    say,
    show,
    verb,
)

if TYPE_CHECKING:
    from hts.engine import Run
    from hts.locations import Location
    from hts.recipe import Recipe

Cluster = Annotated[
    str, typer.Option(metavar="local|ADDRESS", help="Where to run: local, or a Dask scheduler's address.")
]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes of the local cluster; one a CPU core by default.")]
_POLL_S = 0.2


@verb
def run(
    plate: PlateArgument,
    recipe: RecipeArgument,
    settings: Settings = None,
    out: Out = None,
    cluster: Cluster = "local",
    workers: Workers = None,
    wells: Wells = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Compute again what is committed.")] = False,
    as_json: Json = False,
) -> int:
    """Run a recipe on a plate: segmentation, features, profiles, report. The same command again goes on where it ended.

    Example: hts run plate.ome.zarr translocation --set channels.dna=DAPI --set channels.reporter=GFP
    """
    from hts.locations import location
    from hts.model import parse_wells
    from hts.recipe import Recipe

    loaded = Recipe.load(recipe, settings or [])
    chosen = None if wells is None else parse_wells(wells)
    summary = execute(
        location(plate), loaded, {"out": out, "wells": chosen, "overwrite": overwrite}, (cluster, workers)
    )
    if as_json:
        emit(summary)
    else:
        show_summary(summary)
    return FAILED_WELLS if summary["wells"]["failed"] else 0


def execute(
    plate: Location, recipe: Recipe, options: dict[str, Any], cluster: tuple[str, int | None]
) -> dict[str, Any]:
    """Run, wait with progress on stderr, write the report; the summary that ``--json`` prints."""
    from hts.engine import connect, prepare, submit
    from hts.report import write_report
    from hts.store import ensure_writable

    # Everything a user can have got wrong is said before a cluster starts.
    ensure_writable(prepare(plate, recipe, **options).results)
    with connect(*cluster) as client:
        going = submit(plate, recipe, client, **options)
        say(f"dashboard: {going.dashboard}")
        try:
            _watch(going)
        except KeyboardInterrupt:
            going.cancel()
            going.wait(30)
            raise
        result = going.result()
    report = write_report(plate, result.results)
    return result.to_json() | {"report": str(report)}


def _watch(going: Run) -> None:
    logging.getLogger("distributed").setLevel(logging.ERROR)
    counter = Counter("wells")
    ended = False
    while not ended:
        ended = going.wait(_POLL_S)
        now = going.progress()
        detail = f", {now.cells} cells" + (f", {now.failed} failed" if now.failed else "")
        counter(now.done + now.failed, now.expected, detail)


def show_summary(summary: dict[str, Any]) -> None:
    """The end of a run for people."""
    wells, quality = summary["wells"], summary["quality"]
    show(
        f"{wells['done']} of {wells['expected']} wells done ({wells['skipped']} were done before), "
        f"{wells['failed']} failed, {summary['seconds']:.1f} s"
    )
    for well, reason in summary["failures"].items():
        show(f"  failed {well}: {reason}")
    for note in summary["notes"]:
        show(f"note: {note}")
    show(
        f"quality: {quality['readout']}  Z' {number(quality['z_prime'])}  SSMD {number(quality['ssmd'], 1)}  "
        f"EC50 {number(quality.get('ec50'))}  fields {quality['fields_used']} of {quality['fields_expected']}"
    )
    for name in ("plate", "cells", "profiles", "report"):
        show(f"{name + ':':<10}{summary[name]}")
