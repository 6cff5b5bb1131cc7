from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from bokeh.models import Div, HoverTool, Select
from bokeh.models.layouts import Column
from bokeh.plotting import figure

from hts.model import PLATE_FORMATS
from hts.report import platemap
from hts.report.data import ReportData
from hts.report.platemap import Grid, plate_features, plate_map, robust_limits

MakeData = Callable[..., ReportData]


def squares(drawn: Column) -> dict[str, list[object]]:
    source = drawn.select_one({"type": figure}).renderers[0].data_source
    return {name: list(values) for name, values in source.data.items()}


@pytest.mark.parametrize("rows_columns", PLATE_FORMATS.values(), ids=str)
def test_every_format_has_a_square_for_each_well(make_data: MakeData, rows_columns: tuple[int, int]) -> None:
    rows, columns = rows_columns
    source = squares(plate_map(make_data(rows, columns, overlays=0)))
    assert len(source["well"]) == rows * columns
    assert (source["x"][0], source["y"][0], source["well"][0]) == (1, 1, "A01")
    assert (source["x"][-1], source["y"][-1]) == (columns, rows)


def test_values_sit_in_their_wells_whatever_the_order(make_data: MakeData) -> None:
    data = make_data(overlays=0)
    shuffled = make_data(overlays=0, profiles=data.profiles.sample(frac=1, random_state=3))
    grid = Grid.of(data)
    first, second = plate_features(data, grid), plate_features(shuffled, grid)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.values, other.values)
    count = data.profiles.set_index("Metadata_Well")["Count_Nuclei"]
    assert first[0].values.reshape(8, 12)[2, 4] == count["C05"]


def test_counts_come_first_then_the_readout_then_the_rest(make_data: MakeData) -> None:
    data = make_data(overlays=0)
    features = plate_features(data, Grid.of(data))
    assert [feature.key for feature in features[:2]] == ["Count_Nuclei", "translocation"]
    groups = [feature.group for feature in features]
    assert groups == sorted(groups, key=groups.index)
    assert groups[-1] == "Run"
    assert {"Mean · Nuclei", "Median · Cells", "Layout"} <= set(groups)
    select = plate_map(data).select_one({"type": Select})
    assert list(select.options)[:2] == ["Count", "Readout"]
    assert select.value == "translocation"


def test_failed_and_empty_wells_are_marked(make_data: MakeData) -> None:
    source = squares(plate_map(make_data(overlays=0)))
    at = source["well"].index("D05")
    assert source["hatch"][at] == "/"
    assert source["status"][at] == "failed: all planes of channel Channel2 are unreadable"
    assert source["edge_width"][at] == 2
    assert np.isnan(source["value"][at])
    assert source["hatch"][0] == " "
    assert source["status"][0] == "done"


def test_a_well_outside_the_layout_is_not_lost(make_data: MakeData) -> None:
    data = make_data(overlays=0)
    grid = Grid.of(make_data(overlays=0, rows=4, columns=6, wells=data.wells))
    assert (grid.rows, grid.columns) == (8, 12)


def test_infinite_values_count_as_missing(make_data: MakeData) -> None:
    data = make_data(overlays=0)
    profiles = data.profiles.assign(Mean_Cells_Ratio=np.inf)
    features = plate_features(make_data(overlays=0, profiles=profiles), Grid.of(data))
    ratio = next(feature for feature in features if feature.key == "Mean_Cells_Ratio")
    assert np.isnan(ratio.values).all()


def test_nullable_columns_are_mapped(make_data: MakeData) -> None:
    data = make_data(overlays=0)
    profiles = data.profiles.assign(Count_Cells=pd.array([pd.NA, *range(1, len(data.profiles))], dtype="Int64"))
    features = plate_features(make_data(overlays=0, profiles=profiles), Grid.of(data))
    cells = next(feature for feature in features if feature.key == "Count_Cells")
    assert np.isnan(cells.values[0])
    assert cells.values[1] == 1


def test_hover_names_the_layout_columns(make_data: MakeData) -> None:
    hover = plate_map(make_data(overlays=0)).select_one({"type": HoverTool})
    assert [name for name, _ in hover.tooltips][:4] == ["well", "value", "Compound", "Dose"]
    assert hover.tooltips[-1] == ("status", "@status")


@pytest.mark.parametrize(
    ("values", "limits"),
    [
        (np.arange(101.0), (1.0, 99.0)),
        ([5.0, 5.0], (4.75, 5.25)),
        ([0.0], (-0.5, 0.5)),
        ([np.nan, np.inf], (0.0, 1.0)),
        ([], (0.0, 1.0)),
    ],
)
def test_limits_are_robust(values: list[float], limits: tuple[float, float]) -> None:
    assert robust_limits(np.array(values, np.float32)) == pytest.approx(limits)


def test_of_a_very_wide_profile_the_map_leaves_out_means_and_says_so(
    make_data: MakeData, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_data()
    monkeypatch.setattr(platemap, "MAP_VALUES", 300)
    keys = [feature.key for feature in plate_features(data, Grid.of(data))]
    assert not [key for key in keys if key.startswith(("Mean_", "StDev_")) and key != data.readout_name]
    assert data.readout_name in keys
    assert any(key.startswith("Median_") for key in keys)
    hints = [model.text for model in plate_map(data).select({"type": Div})]
    assert any("means and SDs are in profiles.parquet" in text for text in hints)
