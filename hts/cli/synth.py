"""``hts synth``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hts.cli.output import Json, emit, show, verb


@verb
def synth(
    dst: Annotated[Path, typer.Argument(metavar="DST", help="A new folder.", show_default=False)],
    wells: Annotated[str, typer.Option(help="Wells to fill, such as A01,B02-D11.")] = "B02-D11",
    fields: Annotated[int, typer.Option(help="Fields a well.")] = 2,
    size_px: Annotated[int, typer.Option(help="Edge of a field in pixels, up to 2048.")] = 512,
    channels: Annotated[int, typer.Option(help="1 to 5; 2 are DNA and Reporter, 5 the stains of Cell Painting.")] = 2,
    cells: Annotated[int, typer.Option(help="Cells on 512 x 512 pixels.")] = 60,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    pixel_size_um: Annotated[float, typer.Option(help="Edge of a pixel in micrometres.")] = 0.65,
    vignetting: Annotated[float, typer.Option(help="Part of the light lost in the darkest corner.")] = 0.25,
    noise: Annotated[float, typer.Option(help="Camera noise; 0 is none, 1 is usual.")] = 1.0,
    touching: Annotated[float, typer.Option(help="Part of the cells put against another nucleus.")] = 0.25,
    toxicity: Annotated[float, typer.Option(help="Part of the cells lost at full effect.")] = 0.1,
    ec50: Annotated[float, typer.Option(help="Dose of half effect in µM.")] = 0.3,
    hill: Annotated[float, typer.Option(help="Hill slope of the dose response.")] = 1.5,
    missing_field: Annotated[bool, typer.Option(help="Leave out the files of one field.")] = True,
    blurred_field: Annotated[bool, typer.Option(help="Put one field out of focus.")] = True,
    microscope: Annotated[
        str, typer.Option(help="Whose layout the files have; an unknown name lists them.")
    ] = "imagexpress",
    z_planes: Annotated[int, typer.Option(help="Z planes a field; the middle one is in focus.")] = 1,
    time_points: Annotated[int, typer.Option(help="Time points a field.")] = 1,
    plate_name: Annotated[str, typer.Option(help="Name of the plate.")] = "synthetic",
    as_json: Json = False,
) -> int:
    """Make a plate with known truth in the layout of a microscope.

    Example: hts synth made/ --wells A01-H12 --size-px 1024 --seed 7
    """
    from hts.synth import SynthSpec, write_plate

    spec = SynthSpec(
        wells=wells,
        fields=fields,
        size_px=size_px,
        channels=channels,
        cells_per_field=cells,
        seed=seed,
        pixel_size_um=pixel_size_um,
        missing_field=missing_field,
        blurred_field=blurred_field,
        vignetting=vignetting,
        noise=noise,
        touching=touching,
        toxicity=toxicity,
        ec50=ec50,
        hill=hill,
        microscope=microscope,
        z_planes=z_planes,
        time_points=time_points,
        plate_name=plate_name,
    )
    truth = write_plate(dst, spec)
    made = {name: str(getattr(truth, name)) for name in ("plate", "layout", "cells", "labels")}
    if as_json:
        emit(made)
    else:
        for name, path in made.items():
            show(f"{name + ':':<8}{path}")
    return 0
