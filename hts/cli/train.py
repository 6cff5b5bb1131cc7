"""``hts train``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hts.cli.output import Json, emit, say, show, verb

train = typer.Typer(help="Make models.", no_args_is_help=True)

TrainingRecipeArgument = Annotated[
    str, typer.Argument(metavar="RECIPE", help="A YAML file, or nuclei, cells: how the built-in models were made.")
]
Folder = Annotated[
    Path, typer.Option("--out", help="A new folder: recipe.yaml, weights.pt, weights_size.npy, log.csv.")
]
Device = Annotated[str, typer.Option("--device", help="auto (a GPU where there is one), cpu, cuda, cuda:1, mps.")]
TrainingSettings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Set any key of the training recipe; can be repeated."),
]


@train.callback()
def _root() -> None:
    """Make models."""


@train.command()
@verb
def cellpose(
    recipe: TrainingRecipeArgument,
    out: Folder,
    settings: TrainingSettings = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Train a Cellpose network on random scenes with a known truth, and the size model that goes with it.

    Example: hts train cellpose nuclei --out my-nuclei --set steps=20000 --set seed=1
    """
    from hts.train.cellpose import load_training_recipe, make_model, parse_settings

    chosen = load_training_recipe(recipe, parse_settings(settings or []))
    made = make_model(chosen, out, say, device)
    if as_json:
        emit(made.to_json())
    else:
        for line in made.lines():
            show(line)
