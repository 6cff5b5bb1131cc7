"""`hts`: from a folder of microscope images to per-well profiles.

>>> import hts
>>> plate = hts.convert("images/", "plate.ome.zarr")            # doctest: +SKIP
>>> recipe = hts.Recipe.load("translocation")                   # doctest: +SKIP
>>> with hts.connect("local") as client:                        # doctest: +SKIP
...     run = hts.submit(plate, recipe, client)
...     profiles = run.result().profiles

Importing `hts` imports nothing heavy; each name below is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hts.acquire import open_source
    from hts.engine import Progress, Run, RunResult, connect, convert, status, submit
    from hts.recipe import Recipe
    from hts.report import write_report
    from hts.stages.measure.arrays_api import features, measure
    from hts.stages.segment.arrays_api import segment
    from hts.store import Plate
    from hts.synth import SynthSpec, write_plate

__version__ = "0.1.0"

_HOME = {
    "Plate": "hts.store",
    "Progress": "hts.engine",
    "Recipe": "hts.recipe",
    "Run": "hts.engine",
    "RunResult": "hts.engine",
    "SynthSpec": "hts.synth",
    "connect": "hts.engine",
    "convert": "hts.engine",
    "features": "hts.stages.measure.arrays_api",
    "measure": "hts.stages.measure.arrays_api",
    "open_source": "hts.acquire",
    "segment": "hts.stages.segment.arrays_api",
    "status": "hts.engine",
    "submit": "hts.engine",
    "write_plate": "hts.synth",
    "write_report": "hts.report",
}

__all__ = [
    "Plate",
    "Progress",
    "Recipe",
    "Run",
    "RunResult",
    "SynthSpec",
    "__version__",
    "connect",
    "convert",
    "features",
    "measure",
    "open_source",
    "segment",
    "status",
    "submit",
    "write_plate",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'hts' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
