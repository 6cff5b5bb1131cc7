from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from bokeh.models import Label, Whisker
from bokeh.plotting import figure

from hts.report.data import ReportData
from hts.report.doseresponse import DoseAxis, control_strip, dose_response, four_parameter, usable_doses

MakeData = Callable[..., ReportData]


def table(rows: list[tuple[float | None, float, str]]) -> pd.DataFrame:
    wells = [f"A{index + 1:02d}" for index in range(len(rows))]
    return pd.DataFrame(rows, columns=["Dose", "Value", "Kind"]).assign(Well=wells)


def legend(plot: figure) -> list[str]:
    return [item.label.value for item in plot.legend[0].items]


def test_dose_zero_stands_apart_from_the_lowest_dose() -> None:
    doses = np.array([0, 1, 10, 100.0])
    places = DoseAxis.of(doses).place(doses)
    assert places[1:].tolist() == [0, 1, 2]
    assert places[0] < -0.2


def test_an_axis_without_zero_or_with_one_dose() -> None:
    assert DoseAxis.of(np.array([1.0, 10.0])).zero is None
    assert DoseAxis.of(np.array([0.0, 5.0])).span > 0
    assert DoseAxis.of(np.array([0.0, 0.0])).zero == -0.08


def test_ticks_are_the_doses_or_the_decades() -> None:
    few = np.array([0, 0.3, 1, 3.0])
    assert list(DoseAxis.of(few).ticks(few).values()) == ["0", "0.3", "1", "3"]
    many = np.geomspace(0.01, 1000, 40)
    assert list(DoseAxis.of(many).ticks(many).values()) == ["0.01", "0.1", "1", "10", "100", "1,000"]


def test_half_of_the_response_is_at_the_ec50() -> None:
    fit = {"bottom": 1.0, "top": 3.0, "ec50": 5.0, "hill": 2.0}
    assert four_parameter(np.array([5.0, 1e9, 1e-9]), fit) == pytest.approx([2.0, 3.0, 1.0])


def test_curve_means_and_ec50_are_drawn(make_data: MakeData) -> None:
    plot = dose_response(make_data(overlays=0))
    assert plot.select_one({"type": Label}).text == "EC50 3.2"
    means = plot.select_one({"type": Whisker}).source.data
    assert len(means["x"]) == 12
    assert (means["upper"] > means["mean"]).all()
    assert "fit (4PL)" in legend(plot)


@pytest.mark.parametrize("fit", [None, {}, {"bottom": 0, "top": 1, "ec50": np.nan, "hill": 1},
                                 {"bottom": 0, "top": 1, "ec50": -1, "hill": 1}])  # fmt: skip
def test_no_curve_without_a_usable_fit(make_data: MakeData, fit: dict[str, float] | None) -> None:
    plot = dose_response(make_data(overlays=0, fit=fit))
    assert "fit (4PL)" not in legend(plot)
    assert plot.select_one({"type": Label}) is None


@pytest.mark.parametrize(
    "dose",
    [
        None,
        table([]),
        table([(None, 1.0, "negative"), (None, 2.0, "positive")]),
        table([(1.0, 1.0, "sample"), (1.0, 2.0, "sample")]),
        table([(1.0, np.nan, "sample"), (2.0, 2.0, "sample")]),
    ],
    ids=["none", "empty", "controls only", "one dose", "one value"],
)
def test_nothing_is_drawn_with_fewer_than_two_doses(make_data: MakeData, dose: pd.DataFrame | None) -> None:
    assert dose_response(make_data(overlays=0, dose=dose)) is None


def test_rows_without_dose_or_value_are_left_out(make_data: MakeData) -> None:
    rows = [(0, 1, "negative"), (1, 2, "sample"), (None, 9, "positive"), (-1, 3, "sample"), (2, np.inf, "sample")]
    usable = usable_doses(make_data(overlays=0, dose=table(rows)))
    assert usable["Well"].tolist() == ["A01", "A02"]


def test_controls_are_drawn_with_their_numbers(make_data: MakeData) -> None:
    strip = control_strip(make_data(overlays=0))
    assert strip.xaxis[0].major_label_overrides == {0: "negative (n = 8)", 1: "positive (n = 8)"}


def test_controls_without_dose_still_make_a_strip(make_data: MakeData) -> None:
    strip = control_strip(make_data(overlays=0, dose=table([(None, 1.0, "negative")])))
    assert strip.xaxis[0].major_label_overrides == {0: "negative (n = 1)", 1: "positive (n = 0)"}
    assert control_strip(make_data(overlays=0, dose=table([(1.0, 1.0, "sample")]))) is None
