"""Write the report: everything in one HTML file that opens from disk, with no server and no network."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bokeh.embed import components
from bokeh.resources import Resources
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from hts.errors import StoreError
from hts.pictures import jpeg_uri, png_uri, shrink
from hts.report import summary
from hts.report.data import Overlay, ReportData
from hts.report.doseresponse import control_strip, dose_response
from hts.report.platemap import plate_map

PICTURE_LIMIT_PX = 1024
_TEMPLATE = "page.html.jinja"


@dataclass(frozen=True)
class Picture:
    """An overlay as the page embeds it."""

    title: str
    reason: str
    well: str
    field: int
    width_px: int
    height_px: int
    image_uri: str
    outlines_uri: str


def write_page(data: ReportData, path: Path) -> Path:
    """Write the page and return its path; an older page stays until the new one is complete.

    Raises
    ------
    StoreError
        when the file cannot be written.
    """
    text = render(data)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        _discard(partial)
        raise StoreError(
            f"the report is written to {path}",
            found=f"{type(error).__name__}: {error.strerror or error}",
            cause="the folder is read-only, the disk is full, or a part of the path is a file",
            fix="free space or choose another folder (--out), then write the report again; nothing else is lost",
        ) from error
    return path


def render(data: ReportData) -> str:
    """The page as text."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(_TEMPLATE).render(_context(data))


def _context(data: ReportData) -> dict[str, Any]:
    plots = {"plate": plate_map(data), "dose": dose_response(data), "strip": control_strip(data)}
    script, divs = components({name: plot for name, plot in plots.items() if plot is not None})
    resources = Resources(mode="inline", components=["bokeh", "bokeh-widgets"])
    return {
        "data": data,
        "recipe": summary.recipe_name(data),
        "started": data.provenance.get("run started", ""),
        "tiles": summary.tiles(data),
        "trouble": summary.trouble(data),
        "quality": summary.quality_rows(data),
        "controls": summary.control_sentence(data),
        # Bokeh escapes the values inside its script; these three are the only raw markup of the page.
        "bokeh_js": Markup(resources.render_js()),
        "bokeh_script": Markup(script),
        "plots": {name: Markup(div) for name, div in divs.items()},
        "pictures": [_picture(overlay) for overlay in data.overlays],
        "legend": _legend(data.overlays),
    }


def _picture(overlay: Overlay) -> Picture:
    image = shrink(overlay.image, PICTURE_LIMIT_PX)
    return Picture(
        title=overlay.title,
        reason=overlay.reason,
        well=overlay.well,
        field=overlay.field,
        width_px=image.shape[1],
        height_px=image.shape[0],
        image_uri=jpeg_uri(image),
        outlines_uri=png_uri(shrink(overlay.outlines, PICTURE_LIMIT_PX)),
    )


def _legend(overlays: tuple[Overlay, ...]) -> Mapping[str, str]:
    """Every name once, with its colour; what is no colour is not put into a style."""
    named = {name: color.removeprefix("#") for overlay in overlays for name, color in overlay.legend.items()}
    return {name: color for name, color in named.items() if len(color) == 6 and color.isalnum()}


def _discard(partial: Path) -> None:
    try:
        partial.unlink(missing_ok=True)
    except OSError:
        return  # The folder itself is gone or read-only: nothing was left behind that could be removed.
