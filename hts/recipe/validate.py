"""Pydantic's complaints in the words of a recipe: the key, what was expected, the nearest known key."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from hts.errors import RecipeError

Model = TypeVar("Model", bound=BaseModel)


def validate(model: type[Model], data: Any, section: str, source: str) -> Model:
    """`data` as `model`.

    Parameters
    ----------
    model : the section's parameter model.
    data : what the YAML says.
    section : dotted place of `data` in the recipe, "" at the top.
    source : name of the recipe, for messages.

    Raises
    ------
    RecipeError
        naming every wrong key, with the nearest known one.
    """
    if not isinstance(data, Mapping):
        raise RecipeError(f"{source}: section {section or 'recipe'} holds keys and values", found=repr(data))
    try:
        return model.model_validate(data)
    except ValidationError as error:
        lines = [_describe(model, problem, section) for problem in error.errors()]
        raise RecipeError(f"recipe {source} is not valid:\n    " + "\n    ".join(lines)) from None


def unknown_key(key: str, known: typing.Iterable[str]) -> str:
    """``unknown key 'metod'; did you mean 'method'?``"""
    names = list(known)
    nearest = difflib.get_close_matches(key, names, 1, cutoff=0.5)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"known keys: {', '.join(names)}"
    return f"unknown key {key!r}; {hint}"


def _describe(model: type[BaseModel], problem: Any, section: str) -> str:
    place = [str(part) for part in problem["loc"]]
    where = ".".join(filter(None, [section, *place]))
    if problem["type"] == "extra_forbidden":
        return f"{where}: {unknown_key(place[-1], _model_at(model, place[:-1]).model_fields)}"
    if problem["type"] == "missing":
        return f"{where}: this key is needed"
    given = "" if isinstance(problem["input"], dict) else f", found {problem['input']!r}"
    return f"{where}: {problem['msg'].removeprefix('Value error, ')}{given}"


def _model_at(model: type[BaseModel], place: list[str]) -> type[BaseModel]:
    """The nested model that a place of the recipe belongs to."""
    for part in place:
        field = model.model_fields.get(part)
        if field is None:
            break
        options = [field.annotation, *typing.get_args(field.annotation)]
        nested = [option for option in options if isinstance(option, type) and issubclass(option, BaseModel)]
        if nested:
            model = nested[0]
    return model
