"""``hts convert``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from hts.cli.output import FAILED, FAILED_WELLS, Counter, Json, emit, show, verb

Source = Annotated[
    str,
    typer.Argument(
        metavar="SRC",
        help="A folder that a microscope wrote, an .nd2 or .czi file, a CSV manifest or an OME-Zarr plate; "
        "a path, or an address such as s3://bucket/folder.",
        show_default=False,
    ),
]
Reader = Annotated[str | None, typer.Option(help="Name of a reader; by default the folder decides.")]
Pattern = Annotated[str | None, typer.Option(help="Regular expression with named groups, or a preset's name.")]
Wells = Annotated[str | None, typer.Option("--wells", metavar="A01,B02-B05", help="Only these wells.")]
Channels = Annotated[str | None, typer.Option("--channels", metavar="DAPI,GFP", help="Only these channels.")]
Fields = Annotated[str | None, typer.Option("--fields", metavar="1,3-5", help="Only these fields, by their numbers.")]


@verb
def convert(
    src: Source,
    dst: Annotated[
        str, typer.Argument(metavar="DST.ome.zarr", help="The plate to make; a path or an address.", show_default=False)
    ],
    reader: Reader = None,
    pattern: Pattern = None,
    wells: Wells = None,
    channels: Channels = None,
    fields: Fields = None,
    project: Annotated[
        Literal["max", "mean", "none"], typer.Option(help="Replace each z stack by its maximum or mean.")
    ] = "none",
    remove_offset: Annotated[
        bool, typer.Option("--remove-offset", help="Subtract the constant that all pixels carry (ScanR: 32,768).")
    ] = False,
    pixel_size_um: Annotated[
        float | None, typer.Option(help="Edge of a pixel in µm, where the files do not tell it or tell it wrongly.")
    ] = None,
    layout: Annotated[Path | None, typer.Option(help="CSV with what was put into the wells.")] = None,
    recipe: Annotated[str | None, typer.Option(help="Recipe whose section acquire names reader and pattern.")] = None,
    ngff: Annotated[Literal["0.5", "0.4"], typer.Option(help="Version of OME-Zarr: 0.5 is Zarr v3, sharded.")] = "0.5",
    rewrite: Annotated[bool, typer.Option("--rewrite", help="Copy a plate that is OME-Zarr already.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read every plane back and compare with its source.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Convert again what is converted already.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Threads; by default one for each core.")] = None,
    as_json: Json = False,
) -> int:
    """Convert a microscope's plate to OME-Zarr, without loss.

    Exit code 3: a well has no plane that could be read. Exit code 1: among others, a plane is not equal to its source.

    Example: hts convert images/ plate.ome.zarr --layout layout.csv --verify
    """
    from hts.engine import Conversion, ConvertOptions
    from hts.recipe import Recipe

    options = ConvertOptions(
        reader=reader,
        pattern=pattern,
        layout=layout,
        part=part_of(wells, channels, fields),
        project=project,
        remove_offset=remove_offset,
        ngff=ngff,
        pixel_size_um=pixel_size_um,
        rewrite=rewrite,
        overwrite=overwrite,
        workers=workers,
    )
    conversion = Conversion.prepare(src, dst, options, Recipe.load(recipe) if recipe else None)
    plate = conversion.run(Counter("convert"))
    verification = conversion.verify(Counter("verify")) if verify else None
    result = _summary(plate, verification)
    if as_json:
        emit(result)
    else:
        _show(result)
    if verification is not None and verification.different:
        return FAILED
    return FAILED_WELLS if result["wells_without_a_plane"] else 0


def part_of(wells: str | None, channels: str | None, fields: str | None) -> Any:
    """The part of a plate that the options name."""
    from hts.acquire.select import Part, parse_fields
    from hts.errors import UsageError
    from hts.model import parse_wells

    names = None if channels is None else tuple(filter(None, (name.strip() for name in channels.split(","))))
    if names == ():
        raise UsageError("names of channels, such as DAPI,GFP", found=repr(channels))
    return Part(
        wells=None if wells is None else parse_wells(wells),
        fields=None if fields is None else parse_fields(fields),
        channels=names,
    )


def _summary(plate: Any, verification: Any) -> dict[str, Any]:
    from hts.engine import plate_notes
    from hts.locations import printable

    planes = plate.completeness()
    without = set(planes["Well"]) - set(planes.loc[planes["Status"] == "found", "Well"])
    summary = {
        "plate": printable(str(plate.path)),
        "version": plate.version,
        "wells": len(plate.wells),
        "channels": list(plate.channels) if len(without) < len(plate.wells) else [],
        "planes": {str(status): int(n) for status, n in planes["Status"].value_counts().items()},
        "wells_without_a_plane": sorted(without),
        "issues": planes[planes["Status"] != "found"].to_dict("records"),
        "notes": plate_notes(plate),
    }
    if verification is not None:
        summary["verified"] = {"equal": verification.equal, "different": list(verification.different)}
    return summary


def _show(result: dict[str, Any]) -> None:
    from hts.engine import plane_problem

    show(f"{result['plate']}: {result['wells']} wells, channels {', '.join(result['channels'])}")
    show("planes: " + ", ".join(f"{n} {status}" for status, n in result["planes"].items()))
    for row in result["issues"][:20]:
        show(f"  {row['Well']} field {row['Field']} {plane_problem(row)}")
    if len(result["issues"]) > 20:
        show(f"  … and {len(result['issues']) - 20} more; --json lists them all")
    for note in result["notes"]:
        show(f"note: {note}")
    if "verified" in result:
        different = result["verified"]["different"]
        show(f"verified: {result['verified']['equal']} planes equal their source, {len(different)} do not")
        for line in different[:20]:
            show(f"  {line}")
