"""``hts models``"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hts.cli.output import Json, emit, say, show, verb

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="A model's name (builtin:nuclei, cyto3) or a file.", show_default=False)
]
Force = Annotated[bool, typer.Option("--force", help="Fetch it again although it is there.")]

models = typer.Typer(
    help="The networks there are for segmentation: list, show one, fetch one. Example: hts models list",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@models.command("list")
@verb
def list_models(as_json: Json = False) -> int:
    """List the models that are shipped, those that are installed, and those that can be pulled.

    Example: hts models list
    """
    from hts.stages.segment.networks.pull import published_models
    from hts.stages.segment.networks.weights import builtin_names, installed_names, models_folder

    there = (*builtin_names(), *installed_names())
    absent = [model.name for model in published_models() if model.name not in there]
    if as_json:
        emit({"installed": list(there), "can_be_pulled": absent, "folder": str(models_folder())})
        return 0
    for name in there:
        show(name)
    for name in absent:
        show(f"{name}  (not here; hts models pull {name})")
    return 0


@models.command("show")
@verb
def show_model(name: Name, as_json: Json = False) -> int:
    """Say where a model lies, what it is and what its content hash is.

    Example: hts models show builtin:nuclei
    """
    from hts.stages.segment.networks.weights import find_weights

    _tell(find_weights(name).to_json(), as_json)
    return 0


@models.command("pull")
@verb
def pull_model(name: Name, force: Force = False, as_json: Json = False) -> int:
    """Fetch a model that Cellpose publishes into our folder of models ($HTS_MODELS). Nothing else fetches anything.

    Example: hts models pull cyto3
    """
    from hts.stages.segment.networks.pull import pull

    say(f"fetching {name}")
    _tell(pull(name, force).to_json(), as_json)
    return 0


def _tell(facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        emit(facts)
        return
    for key, value in facts.items():
        if value is not None:
            show(f"{key:<12} {value}")
