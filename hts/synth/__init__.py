"""Plates with a known truth, written in the layout a microscope exports.

The names are resolved on first use, so that the knobs (:mod:`hts.synth.spec`) can be read without loading SciPy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hts.synth.plate import write_plate
    from hts.synth.render import RenderedField, render_field
    from hts.synth.spec import SynthSpec
    from hts.synth.truth import Truth

__all__ = ["RenderedField", "SynthSpec", "Truth", "render_field", "write_plate"]

_HOME = {
    "RenderedField": "render",
    "SynthSpec": "spec",
    "Truth": "truth",
    "render_field": "render",
    "write_plate": "plate",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
