"""Stages by name, found through entry points: ours and anybody else's in the same way."""

from __future__ import annotations

import difflib
import functools
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from hts.errors import NotFoundError


@functools.cache
def _points(group: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=group)}


def plugin_names(group: str) -> tuple[str, ...]:
    """Names registered under an entry-point group, sorted."""
    return tuple(sorted(_points(group)))


@functools.cache
def load_plugin(group: str, name: str) -> Any:
    """The object registered as `name`, instantiated when it is a class.

    Raises
    ------
    NotFoundError
        with the nearest name when nobody registered it; with the reason when its package cannot be imported.
    """
    points = _points(group)
    if name not in points:
        nearest = difflib.get_close_matches(name, points, 1)
        hint = f"did you mean {nearest[0]}?" if nearest else "install the package that brings it"
        kind = group.removeprefix("hts.")
        raise NotFoundError(f"one of the {kind} {', '.join(sorted(points))}", found=repr(name), fix=hint)
    try:
        loaded = points[name].load()
    except (ImportError, AttributeError) as error:
        raise NotFoundError(
            f"{name!r} can be loaded from {points[name].value}",
            found=f"{type(error).__name__}: {error}",
            fix="install or repair the package that brings it",
        ) from error
    return loaded() if isinstance(loaded, type) else loaded
