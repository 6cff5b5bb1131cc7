"""The verbs put together. Importing this stays light: every verb loads what it needs when it runs."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

import hts
from hts.cli import (
    convert,
    demo,
    evaluate,
    export,
    features,
    inspect,
    models,
    plan,
    report,
    run,
    status,
    synth,
    train,
    validate,
)

app = typer.Typer(
    name="hts",
    help="From a folder of microscope images to per-well profiles.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hts {hts.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """From a folder of microscope images to per-well profiles."""


app.command()(demo.demo)
app.command()(synth.synth)
app.command()(inspect.inspect)
app.command()(convert.convert)
app.command()(validate.validate)
app.add_typer(models.models, name="models")
app.command()(plan.plan)
app.command()(run.run)
app.command()(status.status)
app.command()(report.report)
app.command()(export.export)
app.command()(features.features)
app.add_typer(train.train, name="train")
app.add_typer(evaluate.app)


def main() -> None:
    """Entry point of the command ``hts``."""
    # A damaged file ends in one message of ours; the TIFF library's own lines beside it only confuse.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    app()
