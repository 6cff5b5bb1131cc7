"""``hts demo``"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from hts.cli.output import FAILED_WELLS, Counter, Json, emit, say, show, verb
from hts.cli.run import Workers, execute, show_summary

SETTINGS = (
    "channels.dna=DNA",
    "channels.reporter=Reporter",
    "profile.controls.negative=Control == -1",
    "profile.controls.positive=Control == 1",
)


@verb
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for everything.")] = Path("hts-demo"),
    workers: Workers = None,
    as_json: Json = False,
) -> int:
    """Make a synthetic plate and take it all the way: folder, OME-Zarr, segmentation, profiles, report.

    Example: hts demo --out somewhere/
    """
    from hts.engine import convert
    from hts.recipe import Recipe
    from hts.synth import SynthSpec, Truth, write_plate

    source, part = out / "microscope", out / ".microscope-part"
    if not source.exists():
        say("synth: a plate of 30 wells with a dose response, one missing and one blurred field")
        shutil.rmtree(part, ignore_errors=True)
        write_plate(part, SynthSpec())
        part.rename(source)
    truth = Truth.load(source)
    plate = convert(truth.plate, out / "demo.ome.zarr", layout=truth.layout, progress=Counter("convert"))
    summary = execute(plate.path, Recipe.load("translocation", SETTINGS), {}, ("local", workers))
    if as_json:
        emit(summary)
    else:
        show_summary(summary)
        show(f"\nopen {summary['report']} in a browser; {truth.cells} holds the truth")
    return FAILED_WELLS if summary["wells"]["failed"] else 0
