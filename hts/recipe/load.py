"""Recipes from YAML files, built-in names and ``--set section.key=value``."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from hts.errors import NotFoundError, RecipeError, UsageError


def builtin_names() -> tuple[str, ...]:
    """Names of the recipes in the package."""
    folder = files("hts.recipe") / "builtin"
    return tuple(sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")))


def read_recipe(source: str | Path) -> tuple[str, dict[str, Any]]:
    """Name and content of a YAML file or a built-in recipe.

    Raises
    ------
    NotFoundError
        when it is neither a file nor a built-in name.
    RecipeError
        when the file is not YAML or not a mapping.
    """
    path = Path(source)
    if path.suffix in {".yaml", ".yml"} or path.is_file():
        text, name = _read_text(path), str(path)
    elif str(source) in builtin_names():
        text, name = (files("hts.recipe") / "builtin" / f"{source}.yaml").read_text("utf-8"), str(source)
    else:
        nearest = difflib.get_close_matches(str(source), builtin_names(), 1, cutoff=0.5)
        raise NotFoundError(
            f"a YAML file or one of the built-in recipes {', '.join(builtin_names())}",
            found=repr(str(source)),
            fix=f"did you mean {nearest[0]}?" if nearest else "check the path",
        )
    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise RecipeError(f"{name} is YAML", found=str(error)) from None
    if not isinstance(data, dict):
        raise RecipeError(f"{name} holds sections", found=type(data).__name__)
    return name, data


def _read_text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise NotFoundError(f"a recipe file at {path}", found="no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} can be read as UTF-8 text", found=str(error)) from None


def parse_overrides(settings: Iterable[str]) -> dict[str, Any]:
    """``["channels.dna=Channel2"]`` as ``{"channels.dna": "Channel2"}``.

    Values are YAML, except that those of ``channels`` are names as they stand: a channel ``01`` is no number.
    """
    overrides = {}
    for setting in settings:
        key, found, value = setting.partition("=")
        if not found or not key.strip():
            raise UsageError("--set section.key=value", found=repr(setting))
        overrides[key.strip()] = _value(key.strip(), value)
    return overrides


def _value(key: str, text: str) -> Any:
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        return text
    is_quoted = text.strip()[:1] in {'"', "'"}
    if key.startswith("channels.") and value is not None and not is_quoted:
        return text.strip()
    return value


def apply_overrides(data: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of `data` with dotted keys set; sections on the way are made when absent."""
    result: dict[str, Any] = _copy(data)
    for dotted, value in overrides.items():
        *sections, key = dotted.split(".")
        target = result
        for section in sections:
            inner = target.get(section)
            if inner is None:
                inner = target[section] = {}
            if not isinstance(inner, dict):
                raise RecipeError(f"{dotted} leads to a key inside {section}", found=f"{section} = {inner!r}")
            target = inner
        target[key] = value
    return result


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(inner) for key, inner in value.items()}
    return [_copy(inner) for inner in value] if isinstance(value, list) else value
