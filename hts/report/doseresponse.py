"""The readout against dose, and between the controls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from bokeh.models import (
    BoxAnnotation,
    ColumnDataSource,
    FixedTicker,
    HoverTool,
    Label,
    NoOverlap,
    Span,
    TeeHead,
    Whisker,
)
from bokeh.plotting import figure
from numpy.typing import NDArray

from hts.report._style import INK, KIND_COLORS, KIND_MARKERS, MUTED, finite, new_figure, number_text
from hts.report.data import ReportData

FIT_COLOR = "#1b2430"
_ZERO_GAP = 0.16
_MAX_LABELLED_DOSES = 14
_MIN_LABEL_GAP = 0.035
_HEIGHT_PX = 400


@dataclass(frozen=True)
class DoseAxis:
    """Log₁₀ of the dose, with dose 0 in a place of its own left of the lowest positive dose.

    ``zero`` is None when no well has dose 0; ``low`` and ``high`` are log₁₀ of the positive doses.
    """

    low: float
    high: float
    zero: float | None

    @classmethod
    def of(cls, doses: NDArray[np.float64]) -> DoseAxis:
        positive = doses[doses > 0]
        low, high = (float(np.log10(positive.min())), float(np.log10(positive.max()))) if positive.size else (0.0, 0.0)
        span = max(high - low, 0.5)
        return cls(low, high, low - span * _ZERO_GAP if (doses == 0).any() else None)

    @property
    def span(self) -> float:
        return max(self.high - (self.low if self.zero is None else self.zero), 0.5)

    def place(self, doses: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where doses ≥ 0 lie on the axis."""
        zero = np.nan if self.zero is None else self.zero
        return np.where(doses > 0, np.log10(np.where(doses > 0, doses, 1.0)), zero)

    def ticks(self, doses: NDArray[np.float64]) -> dict[float, str]:
        """Position → label: the doses themselves while they are few and apart, else decades."""
        positive = np.unique(doses[doses > 0])
        places = np.log10(positive)
        if len(positive) > _MAX_LABELLED_DOSES:
            decades = 10.0 ** np.arange(np.floor(self.low), np.ceil(self.high) + 1)
            positive = decades[(np.log10(decades) >= self.low - 1e-9) & (np.log10(decades) <= self.high + 1e-9)]
            places = np.log10(positive)
        kept: dict[float, str] = {} if self.zero is None else {self.zero: "0"}
        for place, dose in zip(places, positive, strict=True):
            if not kept or place - max(kept) >= _MIN_LABEL_GAP * self.span:
                kept[float(place)] = number_text(dose)
        return kept


def usable_doses(data: ReportData) -> pd.DataFrame:
    """Rows that can be drawn: a finite value at a dose of 0 or more; at least two doses, else no row."""
    if data.dose is None:
        return pd.DataFrame(columns=["Dose", "Value", "Well", "Kind"])
    table = data.dose.assign(
        Dose=pd.to_numeric(data.dose["Dose"], errors="coerce"), Value=pd.to_numeric(data.dose["Value"], errors="coerce")
    )
    drawn = np.isfinite(table["Value"]) & np.isfinite(table["Dose"]) & (table["Dose"] >= 0)
    usable: pd.DataFrame = table.loc[drawn]
    return usable if usable["Dose"].nunique() > 1 else usable.iloc[:0]


def four_parameter(dose: NDArray[np.float64], fit: Mapping[str, float]) -> NDArray[np.float64]:
    """``bottom + (top - bottom) / (1 + (ec50 / dose) ** hill)`` at positive doses (Hill 1910)."""
    response: NDArray[np.float64] = fit["bottom"] + (fit["top"] - fit["bottom"]) / (
        1.0 + (fit["ec50"] / dose) ** fit["hill"]
    )
    return response


def dose_response(data: ReportData) -> figure | None:
    """Wells, mean ± SD of each dose, and the fitted curve; None when fewer than two doses can be drawn."""
    table = usable_doses(data)
    if table.empty:
        return None
    doses = table["Dose"].to_numpy(float)
    axis = DoseAxis.of(doses)
    hover = HoverTool(tooltips=[("well", "@Well"), (data.dose_name, "@Dose"), (data.readout_name, "@Value")])
    left = axis.low if axis.zero is None else axis.zero
    pad = axis.span * 0.05
    plot = new_figure(
        hover, height=_HEIGHT_PX, sizing_mode="stretch_width", x_range=(left - pad, axis.high + pad),
        x_axis_label=data.dose_name, y_axis_label=data.readout_name, toolbar_inner=True,
    )  # fmt: skip
    ticks = axis.ticks(doses)
    plot.xaxis.ticker = FixedTicker(ticks=list(ticks))
    plot.xaxis.major_label_overrides = ticks
    plot.xaxis.major_label_policy = NoOverlap(min_distance=6)
    plot.xgrid.grid_line_color = None
    if axis.zero is not None:
        edge = (axis.zero + axis.low) / 2
        plot.add_layout(BoxAnnotation(right=edge, fill_color="#f1f3f6", fill_alpha=0.9, line_color=None, level="image"))
    hover.renderers = _draw_wells(plot, table, axis)
    _draw_means(plot, table, axis)
    _draw_fit(plot, data.fit, axis)
    _place_legend(plot)
    return plot


def control_strip(data: ReportData) -> figure | None:
    """Readout of negative and positive control wells, with the mean ± 3 SD bands that Z′ compares."""
    if data.dose is None:
        return None
    table = data.dose[data.dose["Kind"].isin(["negative", "positive"])]
    table = table.assign(Value=pd.to_numeric(table["Value"], errors="coerce"))
    table = table[np.isfinite(table["Value"])]
    if table.empty:
        return None
    hover = HoverTool(tooltips=[("well", "@Well"), (data.readout_name, "@Value")])
    plot = new_figure(
        hover, height=300, sizing_mode="stretch_width", x_range=(-0.6, 1.6), y_axis_label=data.readout_name,
        toolbar_inner=True,
    )  # fmt: skip
    plot.xgrid.grid_line_color = None
    labels, renderers = {}, []
    for place, kind in enumerate(("negative", "positive")):
        group = table[table["Kind"] == kind]
        labels[place] = f"{kind} (n = {len(group)})"
        if group.empty:
            continue
        _draw_band(plot, place, kind, group["Value"].to_numpy(float))
        x = place + _spread(np.zeros(len(group)), 0.55)
        renderers.append(_draw_points(plot, group.assign(x=x), kind, size=8))
    hover.renderers = renderers
    plot.xaxis.ticker = FixedTicker(ticks=[0, 1])
    plot.xaxis.major_label_overrides = labels
    plot.xaxis.major_label_text_color = INK
    return plot


def _draw_band(plot: figure, place: int, kind: str, values: NDArray[np.float64]) -> None:
    mean = float(values.mean())
    if len(values) > 1:
        reach = 3 * float(values.std(ddof=1))
        plot.quad(place - 0.38, place + 0.38, mean + reach, mean - reach, fill_color=KIND_COLORS[kind], fill_alpha=0.1,
                  line_color=None)  # fmt: skip
    plot.segment(place - 0.38, mean, place + 0.38, mean, line_color=KIND_COLORS[kind], line_width=2)


def _draw_wells(plot: figure, table: pd.DataFrame, axis: DoseAxis) -> list[object]:
    renderers = []
    for kind in ("sample", "negative", "positive"):
        group = table[table["Kind"] == kind]
        if group.empty:
            continue
        doses = group["Dose"].to_numpy(float)
        x = axis.place(doses) + _spread(doses, 0.016 * axis.span)
        renderers.append(_draw_points(plot, group.assign(x=x), kind, size=7, legend_label=kind))
    return renderers


def _draw_points(plot: figure, group: pd.DataFrame, kind: str, **options: object) -> object:
    source = ColumnDataSource({name: group[name].tolist() for name in group.columns if name in _SHOWN})
    return plot.scatter(
        "x", "Value", source=source, marker=KIND_MARKERS[kind], fill_color=KIND_COLORS[kind], fill_alpha=0.65,
        line_color="#ffffff", line_width=0.6, **options,
    )  # fmt: skip


_SHOWN = frozenset({"x", "Value", "Dose", "Well"})


def _draw_means(plot: figure, table: pd.DataFrame, axis: DoseAxis) -> None:
    by_dose = table.groupby("Dose")["Value"]
    mean, sd = by_dose.mean(), by_dose.std().fillna(0.0)
    x = axis.place(mean.index.to_numpy(float))
    source = ColumnDataSource(
        {"x": x, "mean": mean.to_numpy(), "upper": (mean + sd).to_numpy(), "lower": (mean - sd).to_numpy()}
    )
    head = TeeHead(size=8, line_color=INK)
    plot.add_layout(Whisker(base="x", upper="upper", lower="lower", source=source, line_color=INK, line_width=1.2,
                            upper_head=head, lower_head=head))  # fmt: skip
    plot.scatter("x", "mean", source=source, marker="dash", size=16, line_color=INK, line_width=2.4,
                 legend_label="mean ± SD")  # fmt: skip


def _draw_fit(plot: figure, fit: Mapping[str, float] | None, axis: DoseAxis) -> None:
    values = {name: finite((fit or {}).get(name)) for name in ("bottom", "top", "ec50", "hill")}
    parameters = {name: value for name, value in values.items() if value is not None}
    if len(parameters) < len(values) or parameters["ec50"] <= 0:
        return
    x = np.linspace(axis.low, axis.high, 240)
    curve = four_parameter(10.0**x, parameters)
    plot.line(x, curve, line_color=FIT_COLOR, line_width=2, legend_label="fit (4PL)")
    ec50_at = float(np.log10(parameters["ec50"]))
    if axis.low <= ec50_at <= axis.high:
        plot.add_layout(Span(location=ec50_at, dimension="height", line_dash="dashed", line_color=MUTED))
        text = f"EC50 {number_text(parameters['ec50'])}"
        label = {"x_offset": 6, "text": text, "text_color": INK, "text_font_size": "12px"}
        plot.add_layout(Label(x=ec50_at, y=6, y_units="screen", **label))


def _place_legend(plot: figure) -> None:
    legend = plot.legend[0]
    legend.orientation = "horizontal"
    legend.border_line_color = None
    legend.label_text_font_size = "12px"
    legend.label_text_color = INK
    legend.padding, legend.margin, legend.spacing = 4, 0, 16
    legend.click_policy = "hide"
    plot.add_layout(legend, "above")


def _spread(groups: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """Offsets in ±``width``/2 that tell the members of a group apart; the same on every run."""
    golden = 0.6180339887
    offsets = np.zeros(len(groups))
    for value in np.unique(groups):
        members = np.flatnonzero(groups == value)
        offsets[members] = (np.arange(1, len(members) + 1) * golden % 1 - 0.5) * width
    return offsets
