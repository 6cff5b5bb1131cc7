"""Reports of finished runs: one self-contained HTML page, with plate maps, dose response, quality and overlays.

The names are resolved on first use, so that ``import hts.report.data`` loads neither Bokeh nor an imaging library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hts.pictures import composite, outline_colors, outline_rgba, shrink
    from hts.report.build import report_data, write_report
    from hts.report.data import Overlay, ReportData
    from hts.report.page import write_page

__all__ = [
    "Overlay",
    "ReportData",
    "composite",
    "outline_colors",
    "outline_rgba",
    "report_data",
    "shrink",
    "write_page",
    "write_report",
]

_HOME = {
    "Overlay": "hts.report.data",
    "ReportData": "hts.report.data",
    "composite": "hts.pictures",
    "outline_colors": "hts.pictures",
    "outline_rgba": "hts.pictures",
    "shrink": "hts.pictures",
    "report_data": "hts.report.build",
    "write_page": "hts.report.page",
    "write_report": "hts.report.build",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
