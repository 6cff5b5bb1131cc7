"""Colours, figure style and number formats that the whole page shares."""

from __future__ import annotations

import math
from typing import Any

from bokeh.models import HoverTool
from bokeh.plotting import figure

INK = "#1b2430"
MUTED = "#66707f"
RULE = "#e2e6eb"
GOOD = "#1f7a4d"
WARN = "#a35c00"
BAD = "#c02637"
KIND_COLORS = {"negative": "#3566b8", "positive": "#d9741a", "sample": "#7d8794"}
KIND_MARKERS = {"negative": "circle", "positive": "triangle", "sample": "square"}
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def new_figure(hover: HoverTool | None = None, **options: Any) -> figure:
    """An empty figure in the page's style; the toolbar shows itself when the pointer is over the plot."""
    tools = ["pan", "box_zoom", "reset", "save", *([hover] if hover is not None else [])]
    plot = figure(tools=tools, active_drag=None, toolbar_location="above", **options)
    plot.toolbar.autohide = True
    plot.toolbar.logo = None
    plot.outline_line_color = None
    plot.background_fill_color = plot.border_fill_color = "#ffffff"
    plot.grid.grid_line_color = RULE
    for axis in plot.axis:
        axis.axis_line_color = axis.major_tick_line_color = "#b6bec8"
        axis.minor_tick_line_color = None
        axis.major_label_text_color = MUTED
        axis.axis_label_text_color = INK
        axis.major_label_text_font = axis.axis_label_text_font = _FONT
        axis.major_label_text_font_size = "12px"
        axis.axis_label_text_font_size = "13px"
        axis.axis_label_text_font_style = "normal"
    plot.title.text_font = _FONT
    plot.title.text_font_size = "14px"
    plot.title.text_font_style = "bold"
    plot.title.text_color = INK
    return plot


def finite(value: Any) -> float | None:
    """``value`` as a finite float, else None (None, NaN, infinity, text that is no number)."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def number_text(value: Any, digits: int = 3) -> str:
    """``17600 → "17,600"``, ``0.91234 → "0.912"``, missing → ``"–"``."""
    number = finite(value)
    if number is None:
        return "–"
    if abs(number) >= 1000 or number == int(number):
        return f"{number:,.0f}".replace("-", "−") if abs(number) < 1e9 else f"{number:.{digits}g}"
    return f"{number:.{digits}g}".replace("-", "−")


def duration_text(seconds: Any) -> str:
    """``7.2 → "7.2 s"``, ``102 → "1 min 42 s"``, ``7300 → "2 h 1 min"``."""
    number = finite(seconds)
    if number is None:
        return "–"
    if number < 60:
        return f"{number_text(number)} s"
    whole = round(number)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def quality_word(z_prime: Any) -> tuple[str, str]:
    """Word and CSS class of a Z′ factor after Zhang, Chung & Oldenburg (1999), J. Biomol. Screen. 4, 67–73."""
    value = finite(z_prime)
    if value is None:
        return "not computed", "none"
    if value >= 0.5:
        return "excellent", "good"
    return ("marginal", "warn") if value >= 0 else ("unusable", "bad")
