"""``hts status``"""

from __future__ import annotations

from hts.cli.output import Json, Out, PlateArgument, emit, show, verb


@verb
def status(plate: PlateArgument, out: Out = None, as_json: Json = False) -> int:
    """Say what is done, what failed and why, and which planes are not as expected.

    Example: hts status plate.ome.zarr
    """
    from hts.engine import status as plate_status

    found = plate_status(plate, out)
    if as_json:
        emit(found.to_json())
        return 0
    for line in found.lines():
        show(line)
    return 0
