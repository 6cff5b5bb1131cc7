"""``hts convert``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hts.cli.output import FAILED_WELLS, Counter, Json, emit, show, verb

Source = Annotated[Path, typer.Argument(metavar="SRC", help="A folder that a microscope wrote.", show_default=False)]
Reader = Annotated[str | None, typer.Option(help="Name of a reader; by default the folder decides.")]
Pattern = Annotated[str | None, typer.Option(help="Regular expression with named groups, or a preset's name.")]


@verb
def convert(
    src: Source,
    dst: Annotated[Path, typer.Argument(metavar="DST.ome.zarr", help="The plate to make.", show_default=False)],
    reader: Reader = None,
    pattern: Pattern = None,
    layout: Annotated[Path | None, typer.Option(help="CSV with what was put into the wells.")] = None,
    recipe: Annotated[str | None, typer.Option(help="Recipe whose section acquire names reader and pattern.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Convert again what is converted already.")] = False,
    as_json: Json = False,
) -> int:
    """Convert a microscope folder to an OME-Zarr plate. Exit code 3: a well has no plane that could be read.

    Example: hts convert images/ plate.ome.zarr --layout layout.csv
    """
    from hts.engine import ConvertOptions, plane_problem, plate_notes
    from hts.engine import convert as convert_plate
    from hts.recipe import Recipe

    options = ConvertOptions(reader=reader, pattern=pattern, layout=layout, overwrite=overwrite)
    loaded = Recipe.load(recipe) if recipe else None
    plate = convert_plate(src, dst, recipe=loaded, options=options, progress=Counter("convert"))
    planes = plate.completeness()
    counts = {str(status): int(n) for status, n in planes["Status"].value_counts().items()}
    notes = plate_notes(plate)
    broken = planes[planes["Status"] != "found"]
    if as_json:
        emit(
            {
                "plate": str(plate.path),
                "wells": len(plate.wells),
                "channels": list(plate.channels),
                "planes": counts,
                "issues": broken.to_dict("records"),
                "notes": notes,
            }
        )
    else:
        show(f"{plate.path}: {len(plate.wells)} wells, channels {', '.join(plate.channels)}")
        show("planes: " + ", ".join(f"{n} {status}" for status, n in counts.items()))
        for row in broken.head(20).to_dict("records"):
            show(f"  {row['Well']} field {row['Field']} {plane_problem(row)}")
        for note in notes:
            show(f"note: {note}")
    without = set(planes["Well"]) - set(planes.loc[planes["Status"] == "found", "Well"])
    return FAILED_WELLS if without else 0
