"""``hts validate``"""

from __future__ import annotations

from typing import Annotated

import typer

from hts.cli.output import FAILED, Json, emit, show, verb

Place = Annotated[
    str,
    typer.Argument(
        metavar="PLATE", help="An OME-Zarr plate or image: folder, address or zip file.", show_default=False
    ),
]
Pixels = Annotated[bool, typer.Option("--pixels", help="Also decode every chunk of the full images.")]


@verb
def validate(plate: Place, pixels: Pixels = False, as_json: Json = False) -> int:
    """Say what is wrong with anybody's OME-Zarr plate (0.4 or 0.5) and how to mend it. Exit code 1: there are errors.

    Example: hts validate plate.ome.zarr --pixels
    """
    from hts.store.validate import validate as validate_plate

    found = validate_plate(plate, every_plane=pixels)
    if as_json:
        emit(found.to_json())
    else:
        for line in found.lines():
            show(line)
    return 0 if found.ok else FAILED
