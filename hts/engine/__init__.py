"""Plan → Dask → commits. The only package that imports Dask, and the one that knows all the parts."""

from hts.engine.clusters import connect
from hts.engine.conversion import Conversion, ConvertOptions, convert
from hts.engine.facts import plane_problem
from hts.engine.fields import read_projection
from hts.engine.prepare import prepare, results_folder
from hts.engine.results import RunResult, read_manifest
from hts.engine.run import Progress, Run, submit
from hts.engine.state import Status, plate_notes, status

__all__ = [
    "Conversion",
    "ConvertOptions",
    "Progress",
    "Run",
    "RunResult",
    "Status",
    "connect",
    "convert",
    "plane_problem",
    "plate_notes",
    "prepare",
    "read_manifest",
    "read_projection",
    "results_folder",
    "status",
    "submit",
]
