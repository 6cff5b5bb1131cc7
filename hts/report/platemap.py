"""The plate as squares in its own geometry, coloured by any numeric feature chosen from a list."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from bokeh.layouts import row
from bokeh.models import (
    BasicTickFormatter,
    ColorBar,
    ColumnDataSource,
    CustomJS,
    CustomJSHover,
    Div,
    FixedTicker,
    HoverTool,
    LinearColorMapper,
    NoOverlap,
    Select,
    TextInput,
)
from bokeh.models.layouts import Column
from bokeh.palettes import Viridis256
from bokeh.plotting import figure
from numpy.typing import NDArray

from hts.model import WellId, row_name
from hts.report._style import BAD, INK, MUTED, new_figure
from hts.report.data import ReportData

LIMIT_PERCENT = (1.0, 99.0)
MAP_VALUES = 4_000_000
"""Numbers that the page takes as they are, 20 MB; of larger profiles it takes counts, medians and readouts."""
_WELL_SIDE = 0.9
_WELL_INSET = 0.08
_PLOT_WIDTH_PX = 1040
_MARGIN_X_PX, _MARGIN_Y_PX = 150, 78
_READOUT_GROUP = "Readout"


@dataclass(frozen=True)
class MapFeature:
    """One choice of the plate map; ``values`` is (rows · columns) float32, row by row, NaN where there is none."""

    key: str
    group: str
    values: NDArray[np.float32]


@dataclass(frozen=True)
class Grid:
    """Every position of the plate, row by row."""

    rows: int
    columns: int

    @classmethod
    def of(cls, data: ReportData) -> Grid:
        """The layout, grown where a well lies outside it, so that no well is lost."""
        names = [*_column(data.wells, "Well"), *_column(data.profiles, "Metadata_Well")]
        if data.dose is not None:
            names += [*data.dose["Well"]]
        wells = [WellId.parse(name) for name in names]
        return cls(
            max([data.rows, *(well.row + 1 for well in wells)]),
            max([data.columns, *(well.column + 1 for well in wells)]),
        )

    @property
    def wells(self) -> list[WellId]:
        return [WellId(row, column) for row in range(self.rows) for column in range(self.columns)]

    def positions(self, names: pd.Series) -> NDArray[np.int64]:
        """Index into the grid of each well name."""
        wells = [WellId.parse(name) for name in names]
        return np.array([well.row * self.columns + well.column for well in wells], np.int64)

    def spread(self, names: pd.Series, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, …) values of named wells onto the whole grid, NaN elsewhere; infinities become NaN."""
        spread = np.full((self.rows * self.columns, *values.shape[1:]), np.nan, np.float32)
        spread[self.positions(names)] = np.where(np.isfinite(values), values, np.nan)
        return spread


def plate_features(data: ReportData, grid: Grid) -> tuple[MapFeature, ...]:
    """Everything that can be mapped: counts first, the readout, profile columns by kind, layout, run."""
    found = [*_profile_features(data, grid), *_readout_feature(data, grid), *_run_features(data, grid)]
    rank = {"Count": 0, _READOUT_GROUP: 1, "Layout": 8, "Run": 9}
    return tuple(sorted(found, key=lambda feature: (rank.get(feature.group, 5), feature.group)))


def robust_limits(values: NDArray[np.float32]) -> tuple[float, float]:
    """1 and 99 percent quantiles of the finite values, widened when they are equal."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = (float(limit) for limit in np.percentile(finite, LIMIT_PERCENT))
    if high > low:
        return low, high
    margin = abs(low) * 0.05 or 0.5
    return low - margin, high + margin


def plate_map(data: ReportData) -> Column:
    """Search box, feature list and map, the readout shown first; runs without a server."""
    grid = Grid.of(data)
    features = plate_features(data, grid)
    shown = next((feature for feature in features if feature.group == _READOUT_GROUP), features[0])
    wells = _well_source(data, grid, shown)
    mapper = LinearColorMapper(palette=Viridis256, nan_color="#eceff3")
    mapper.low, mapper.high = robust_limits(shown.values)
    plot = _map_figure(data, grid, wells, mapper)
    plot.title.text = shown.key
    search, select = _chooser(features, wells, mapper, plot)
    select.value = shown.key
    without = "; means and SDs are in profiles.parquet" if _left_out(data) else ""
    hint = Div(text=f"{len(features)} features{without}", styles={"color": MUTED, "padding-top": "26px"})
    search.js_on_change("value_input", _search_callback(features, select, hint))
    controls = row(search, select, hint, sizing_mode="stretch_width", css_classes=["controls"], spacing=14)
    controls.styles = {"flex-wrap": "wrap"}
    return Column(children=[controls, plot], sizing_mode="stretch_width")


def _map_figure(data: ReportData, grid: Grid, wells: ColumnDataSource, mapper: LinearColorMapper) -> figure:
    inner_px = _PLOT_WIDTH_PX - _MARGIN_X_PX
    plot = new_figure(
        _hover(data),
        x_range=(0.5, grid.columns + 0.5),
        y_range=(grid.rows + 0.5, 0.5),
        x_axis_location="above",
        width=_PLOT_WIDTH_PX,
        height=round(inner_px / grid.columns * grid.rows) + _MARGIN_Y_PX,
        sizing_mode="scale_width",
        name="plate_map",
    )
    plot.grid.grid_line_color = None
    _name_axes(plot, grid)
    squares = plot.rect(
        "x", "y", _WELL_SIDE, _WELL_SIDE, source=wells, line_color="edge", line_width="edge_width",
        fill_color={"field": "value", "transform": mapper}, fill_alpha="alpha", border_radius=3,
        hatch_pattern="hatch", hatch_color="#b3bbc6", hatch_scale=12, hatch_weight=1,
    )  # fmt: skip
    plot.select_one(HoverTool).renderers = [squares]
    _mark_failed(plot, data, grid)
    _mark_controls(plot, data, grid)
    bar = ColorBar(
        color_mapper=mapper, width=12, label_standoff=8, padding=6, major_label_text_font_size="12px",
        major_label_text_color=MUTED, bar_line_color=None, major_tick_line_color=None,
        formatter=BasicTickFormatter(precision="auto"),
    )  # fmt: skip
    plot.add_layout(bar, "right")
    return plot


def _name_axes(plot: figure, grid: Grid) -> None:
    for axis in plot.axis:
        axis.axis_line_color = axis.major_tick_line_color = None
        axis.major_label_text_color = INK
        axis.major_label_policy = NoOverlap()
        axis.major_label_text_font_size = "12px" if max(grid.rows * 2, grid.columns) <= 36 else "10px"
    plot.xaxis.ticker = FixedTicker(ticks=list(range(1, grid.columns + 1)))
    plot.yaxis.ticker = FixedTicker(ticks=list(range(1, grid.rows + 1)))
    plot.yaxis.major_label_overrides = {index + 1: row_name(index) for index in range(grid.rows)}


def _well_source(data: ReportData, grid: Grid, shown: MapFeature) -> ColumnDataSource:
    """One row a position: geometry, look, and what the hover shows."""
    wells = grid.wells
    expected = np.zeros(len(wells), bool)
    expected[grid.positions(_column(data.wells, "Well"))] = True
    failed = np.zeros(len(wells), bool)
    failed[grid.positions(_with_status(data, "failed"))] = True
    status = _status_texts(data, grid)
    source = {
        "x": [well.column + 1 for well in wells],
        "y": [well.row + 1 for well in wells],
        "well": [well.name for well in wells],
        "status": status,
        "value": shown.values,
        "hatch": ["/" if wanted and np.isnan(v) else " " for wanted, v in zip(expected, shown.values, strict=True)],
        "expected": expected.astype(np.uint8),
        "alpha": np.where(expected, 1.0, 0.35),
        "edge": np.select([failed, expected], [BAD, "#ffffff"], "#dfe3e8").tolist(),
        "edge_width": np.where(failed, 2.0, 0.8),
    }
    names = _column(data.profiles, "Metadata_Well")
    for index, name in enumerate(_layout_columns(data)):
        texts = np.full(len(wells), "–", object)
        texts[grid.positions(names)] = ["–" if pd.isna(value) else str(value) for value in data.profiles[name]]
        source[f"layout_{index}"] = list(texts)
    return ColumnDataSource(source)


def _status_texts(data: ReportData, grid: Grid) -> list[str]:
    texts = ["not in this plate"] * (grid.rows * grid.columns)
    names, statuses = _column(data.wells, "Well"), _column(data.wells, "Status")
    reasons = _column(data.wells, "Reason") if "Reason" in data.wells else [""] * len(names)
    for position, status, reason in zip(grid.positions(names), statuses, reasons, strict=True):
        has_reason = status != "done" and not pd.isna(reason) and str(reason)
        texts[position] = f"{status}: {reason}" if has_reason else str(status)
    return texts


def _hover(data: ReportData) -> HoverTool:
    layout = [(name.removeprefix("Metadata_"), f"@layout_{index}") for index, name in enumerate(_layout_columns(data))]
    number = CustomJSHover(code="return Number.isFinite(value) ? String(Number(value.toPrecision(5))) : 'no value'")
    return HoverTool(
        tooltips=[("well", "@well"), ("value", "@value{custom}"), *layout, ("status", "@status")],
        formatters={"@value": number},
        point_policy="follow_mouse",
    )


def _mark_failed(plot: figure, data: ReportData, grid: Grid) -> None:
    """A red ✕; in data units, so that it fits the well on any plate."""
    at = grid.positions(_with_status(data, "failed"))
    x, y, arm = at % grid.columns + 1.0, at // grid.columns + 1.0, 0.2
    for color, width in (("#ffffff", 5.5), (BAD, 2.2)):  # The white below keeps it legible on any colour.
        for sign in (1, -1):
            ends = (x - arm, y - sign * arm, x + arm, y + sign * arm)
            plot.segment(*ends, line_color=color, line_width=width, line_cap="round")


def _mark_controls(plot: figure, data: ReportData, grid: Grid) -> None:
    """A small white disc with − or + in the corner of control wells; relatively larger where wells are small."""
    if data.dose is None:
        return
    controls = data.dose[data.dose["Kind"].isin(["negative", "positive"])]
    radius = 0.14 if grid.columns <= 12 else 0.19 if grid.columns <= 24 else 0.27
    corner, arm = 0.5 + _WELL_INSET + radius, 0.56 * radius
    at = grid.positions(controls["Well"])
    x, y = at % grid.columns + corner, at // grid.columns + corner
    plot.circle(x, y, radius=radius, fill_color="#ffffff", fill_alpha=0.94, line_color=None)
    plus = (controls["Kind"] == "positive").to_numpy(bool)
    stroke = {"line_color": INK, "line_width": 1.5}
    plot.segment(x - arm, y, x + arm, y, **stroke)
    plot.segment(x[plus], y[plus] - arm, x[plus], y[plus] + arm, **stroke)


def _chooser(
    features: tuple[MapFeature, ...], wells: ColumnDataSource, mapper: LinearColorMapper, plot: figure
) -> tuple[TextInput, Select]:
    options: dict[str, list[tuple[str, str]]] = {}
    for feature in features:
        options.setdefault(feature.group, []).append((feature.key, feature.key))
    select = Select(
        title="Feature",
        value=features[0].key,
        options=options,
        sizing_mode="stretch_width",
        min_width=230,
        max_width=560,
    )
    search = TextInput(title="Search", placeholder="e.g. area, intensity DNA", width=230)
    values = ColumnDataSource({feature.key: feature.values for feature in features})
    # A column source and no dict: arrays cross to the browser as they are, whatever the names.
    limits = ColumnDataSource({feature.key: np.array(robust_limits(feature.values)) for feature in features})
    arguments = {"wells": wells, "values": values, "limits": limits, "mapper": mapper, "title": plot.title}
    select.js_on_change("value", CustomJS(args=arguments, code=_SHOW_FEATURE))
    return search, select


def _search_callback(features: tuple[MapFeature, ...], select: Select, hint: Div) -> CustomJS:
    catalog = {"key": [f.key for f in features], "group": [f.group for f in features]}
    return CustomJS(args={"catalog": ColumnDataSource(catalog), "select": select, "hint": hint}, code=_FILTER_FEATURES)


_SHOW_FEATURE = """
const value = values.data[this.value]
if (value == null) { return }
const [low, high] = limits.data[this.value]
mapper.setv({low, high})
title.text = this.value
const hatch = Array.from(value, (v, i) => wells.data.expected[i] && Number.isNaN(v) ? '/' : ' ')
wells.data = {...wells.data, value, hatch}
"""

_FILTER_FEATURES = """
const words = this.value_input.toLowerCase().split(/\\s+/).filter(Boolean)
const options = {}
let first = null, count = 0, keeps = false
catalog.data.key.forEach((key, i) => {
  const text = key.toLowerCase()
  if (!words.every((word) => text.includes(word))) { return }
  const group = catalog.data.group[i]
  ;(options[group] ??= []).push([key, key])
  first = first ?? key
  count += 1
  keeps = keeps || key === select.value
})
const total = catalog.data.key.length
hint.text = words.length === 0 ? `${total} features` : `${count} of ${total} features`
if (count === 0) { return }
const chosen = keeps ? select.value : first
select.options = options
select.value = chosen
"""


def _profile_features(data: ReportData, grid: Grid) -> Iterator[MapFeature]:
    numeric = data.profiles.select_dtypes("number")
    if numeric.empty or "Metadata_Well" not in data.profiles:
        return
    left_out = _left_out(data)
    numeric = numeric[[name for name in numeric if name not in left_out]]
    spread = grid.spread(data.profiles["Metadata_Well"], numeric.to_numpy(np.float32, na_value=np.nan))
    for index, name in enumerate(map(str, numeric.columns)):
        yield MapFeature(name, _group(name, data.readout_name), np.ascontiguousarray(spread[:, index]))


def _left_out(data: ReportData) -> frozenset[str]:
    """Means and SDs of a profile so wide that the page would be tens of megabytes; the readout stays."""
    names = [str(name) for name in data.profiles.select_dtypes("number")]
    if len(names) * len(data.profiles) <= MAP_VALUES:
        return frozenset()
    return frozenset(name for name in names if name.startswith(("Mean_", "StDev_")) and name != data.readout_name)


def _readout_feature(data: ReportData, grid: Grid) -> Iterator[MapFeature]:
    """The readout well by well, unless the profiles have a column of that very name."""
    if data.dose is None or data.dose.empty or data.readout_name in data.profiles:
        return
    values = data.dose["Value"].to_numpy(np.float32, na_value=np.nan)
    yield MapFeature(data.readout_name, _READOUT_GROUP, grid.spread(data.dose["Well"], values))


def _run_features(data: ReportData, grid: Grid) -> Iterator[MapFeature]:
    for name in ("Cells", "FieldsUsed", "Seconds"):
        values = pd.to_numeric(data.wells[name], errors="coerce") if name in data.wells else pd.Series(dtype=float)
        if name == "Cells" or values.notna().any():
            spread = grid.spread(_column(data.wells, "Well") if len(values) else pd.Series(dtype=str),
                                 values.to_numpy(np.float32, na_value=np.nan))  # fmt: skip
            yield MapFeature(name, "Run", spread)


def _group(name: str, readout: str) -> str:
    if name.startswith("Count_"):
        return "Count"
    if name == readout:
        return _READOUT_GROUP
    if name.startswith("Metadata_"):
        return "Layout"
    statistic, _, rest = name.partition("_")
    compartment, _, family = rest.partition("_")
    return f"{statistic} · {compartment}" if family else "Other"


def _layout_columns(data: ReportData) -> list[str]:
    return [
        str(name)
        for name in data.profiles.columns
        if str(name).startswith("Metadata_") and name not in ("Metadata_Plate", "Metadata_Well")
    ]


def _with_status(data: ReportData, status: str) -> pd.Series:
    wells = _column(data.wells, "Well")
    return wells[(_column(data.wells, "Status") == status).to_numpy(bool)]


def _column(table: pd.DataFrame, name: str) -> pd.Series:
    return table[name] if name in table else pd.Series(dtype=object)
