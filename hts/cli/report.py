"""``hts report``"""

from __future__ import annotations

from hts.cli.output import Json, Out, PlateArgument, emit, show, verb


@verb
def report(plate: PlateArgument, out: Out = None, as_json: Json = False) -> int:
    """Write the report of a finished run again, as one HTML page.

    Example: hts report plate.ome.zarr
    """
    from hts.engine import results_folder
    from hts.locations import location
    from hts.report import write_report

    path = write_report(plate, results_folder(location(plate), out))
    if as_json:
        emit({"plate": str(plate), "report": str(path)})
    else:
        show(str(path))
    return 0
