"""The folders that microscopes leave behind, one vendor a module; each follows :class:`hts.synth.scan.Microscope`."""

from __future__ import annotations

import difflib
import importlib
from typing import cast

from hts.errors import UsageError
from hts.synth.scan import Microscope

MICROSCOPES: tuple[str, ...] = (
    "arrayscan",
    "cellvoyager",
    "imagexpress",
    "imagexpress_db",
    "incucyte",
    "manifest",
    "nikon",
    "ome_tiff",
    "operetta",
    "scanr",
    "zeiss",
)
"""Names of the layouts; each is a module here."""


def microscope(name: str) -> Microscope:
    """The layout of a name; UsageError when there is none of this name."""
    require_microscope(name)
    return cast(Microscope, importlib.import_module(f"hts.synth.microscopes.{name}"))


def require_microscope(name: str) -> None:
    """Check a name without loading anything.

    Raises
    ------
    UsageError
        when there is none of this name.
    """
    if name not in MICROSCOPES:
        near = difflib.get_close_matches(name, MICROSCOPES, n=1)
        raise UsageError(
            f"a microscope: one of {', '.join(MICROSCOPES)}",
            found=repr(name),
            fix=f"did you mean {near[0]}?" if near else "choose one of them",
        )
