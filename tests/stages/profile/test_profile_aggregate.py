"""From cells to the row of a well."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydantic import ValidationError

from hts.errors import RecipeError
from hts.stages.profile import ProfileParams, aggregate_cells, profile_columns

pytestmark = pytest.mark.usefixtures("text_type")

FEATURES = ["Nuclei_A", "Cytoplasm_B"]
OBJECTS = ("nuclei", "cells", "cytoplasm")


def cells(a=(1.0, 2.0, 6.0), b=(4.0, np.nan, 3.0)):
    """Three cells; the second one has no cytoplasm."""
    table = {"Metadata_Well": ["B02"] * len(a), "ObjectNumber": range(1, len(a) + 1)}
    for name in ("Nuclei", "Cells"):
        table[f"Metadata_{name}_ObjectNumber"] = range(1, len(a) + 1)
    table["Metadata_Cytoplasm_ObjectNumber"] = np.where(np.isnan(b), 0, np.arange(1, len(a) + 1))
    return pd.DataFrame({**table, "Nuclei_A": np.array(a, float), "Cytoplasm_B": np.array(b, float)})


def row_of(table, objects=OBJECTS, features=FEATURES, **settings):
    return aggregate_cells(table, features, objects, ProfileParams(**settings))


def test_counts_and_statistics():
    row = row_of(cells())
    assert row["Count_Nuclei"] == row["Count_Cells"] == 3
    assert row["Count_Cytoplasm"] == 2
    assert (row["Mean_Nuclei_A"], row["Median_Nuclei_A"]) == (3, 2)
    assert row["StDev_Nuclei_A"] == pytest.approx(7**0.5)
    assert (row["Mean_Cytoplasm_B"], row["Median_Cytoplasm_B"]) == (3.5, 3.5)
    assert all(type(value) is float for value in row.values())


@settings(deadline=None)
@given(
    values=hnp.arrays(
        np.float64, st.integers(0, 20), elements=st.floats(-1e6, 1e6) | st.sampled_from([np.nan, np.inf, -np.inf])
    )
)
def test_statistics_equal_numpy_on_the_finite_values(values):
    row = row_of(cells(values, values), objects=("nuclei",))
    finite = values[np.isfinite(values)]
    assert row["Count_Nuclei"] == len(values)
    expected = {
        "Mean": np.mean(finite) if finite.size else np.nan,
        "Median": np.median(finite) if finite.size else np.nan,
        "StDev": np.std(finite, ddof=1) if finite.size > 1 else np.nan,
    }
    for name, value in expected.items():
        assert row[f"{name}_Nuclei_A"] == pytest.approx(value, rel=1e-9, abs=1e-6, nan_ok=True)


def test_a_well_without_cells_has_counts_of_zero():
    row = row_of(cells((), ()), readouts={"r": "Nuclei_A > Cytoplasm_B"}, filter="Nuclei_A > 1")
    counts = {name: row.pop(name) for name in list(row) if name.startswith("Count_")}
    assert counts == {"Count_Nuclei": 0, "Count_Cells": 0, "Count_Cytoplasm": 0}
    assert len(row) == 9
    assert np.isnan(list(row.values())).all()


def test_orphans_count_in_their_own_set_only():
    """A cell without a nucleus: it has no value of the nucleus, and is no nucleus."""
    table = cells()
    orphan = {"Metadata_Well": "B02", "Metadata_Cells_ObjectNumber": 4, "Metadata_Nuclei_ObjectNumber": 0}
    table.loc[3] = {**orphan, "Metadata_Cytoplasm_ObjectNumber": 4, "ObjectNumber": 4, "Cytoplasm_B": 10.0}
    row = row_of(table, readouts={"above": "Nuclei_A > 1"})
    assert (row["Count_Nuclei"], row["Count_Cells"], row["Count_Cytoplasm"]) == (3, 4, 3)
    assert row["Mean_Nuclei_A"] == 3
    assert row["Mean_Cytoplasm_B"] == pytest.approx(17 / 3)
    assert row["Mean_Readout_above"] == pytest.approx(2 / 3)


def test_only_cells_that_meet_the_filter_count():
    row = row_of(cells(), filter="Nuclei_A < 5 and Nuclei_A > 1")
    assert (row["Count_Nuclei"], row["Count_Cytoplasm"], row["Mean_Nuclei_A"]) == (1, 0, 2)
    assert row_of(cells(), filter="Cytoplasm_B < 100")["Count_Nuclei"] == 2


def test_readouts_are_computed_for_each_cell():
    row = row_of(cells(), readouts={"ratio": "Nuclei_A / (Cytoplasm_B - 4)", "twice": "2 * Nuclei_A"})
    assert row["Mean_Readout_ratio"] == -6  # 1 / 0 and nothing / … are left out
    assert row["Median_Readout_twice"] == 4
    assert np.isnan(row["StDev_Readout_ratio"])


def test_a_cell_without_a_value_is_neither_true_nor_false():
    row = row_of(cells(), readouts={"hit": "Nuclei_A > Cytoplasm_B"})
    assert row["Mean_Readout_hit"] == 0.5  # 1 > 4, nothing, 6 > 3


def test_a_readout_without_columns_is_a_constant():
    assert row_of(cells(), readouts={"one": "1"})["Mean_Readout_one"] == 1


@pytest.mark.parametrize("statistics", [("mean",), ("sd", "median"), ("mean", "median", "sd")])
@pytest.mark.parametrize("objects", [("nuclei",), OBJECTS])
def test_the_columns_are_known_beforehand(statistics, objects):
    chosen = {"aggregate": statistics, "readouts": {"x": "Nuclei_A", "y": "Nuclei_A > 1"}}
    row = row_of(cells(), objects=objects, **chosen)
    assert list(row) == profile_columns(FEATURES, objects, ProfileParams(**chosen))
    assert len(row) == len(objects) + 4 * len(statistics)


def test_no_features_at_all():
    assert row_of(cells(), features=[]) == {"Count_Nuclei": 3, "Count_Cells": 3, "Count_Cytoplasm": 2}


@pytest.mark.parametrize(
    "expression",
    [
        "Nuclei_Z + 1",
        "Nuclei_A.nothing",
        "Nuclei_A + 'x'",
        "'x'",
        "[Nuclei_A]",
        "Nuclei_A if 1 else 2",
        "1 / 0",
        "~Nuclei_A",
    ],
)
def test_a_readout_that_cannot_be_computed_names_its_key(expression):
    with pytest.raises(RecipeError, match=r"profile\.readouts\.bad (can be computed|is a number) for every cell"):
        row_of(cells(), readouts={"bad": expression})


@pytest.mark.parametrize("query", ["Nuclei_Z > 1", "Nuclei_A > 'x'", "'x'"])
def test_a_filter_that_cannot_be_computed_names_its_key(query):
    with pytest.raises(RecipeError, match=r"profile\.filter (can be computed|is a number) for every cell"):
        row_of(cells(), filter=query)


@pytest.mark.parametrize("query", ["Nuclei_A", "1", "Nuclei_A - 2"])
def test_a_filter_is_true_or_false(query):
    with pytest.raises(RecipeError, match=r"profile\.filter is true or false for every cell\n  found"):
        row_of(cells(), filter=query)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"readouts": {"a": "b +"}}, "'b \\+' is not an expression over columns"),
        ({"readouts": {"a b": "c"}}, "a readout has a name such as translocation, not 'a b'"),
        ({"filter": "a >"}, "'a >' is not an expression over columns"),
        ({"aggregate": ["max"]}, "'mean', 'median' or 'sd'"),
        ({"filters": "a > 1"}, "Extra inputs are not permitted"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        ProfileParams(**settings)


def test_the_columns_that_expressions_use():
    params = ProfileParams(readouts={"a": "sqrt(X) + Y", "b": "X > 1"}, filter="Z > 0 and Y < 3")
    assert sorted(params.cell_columns()) == ["X", "Y", "Z"]
    assert ProfileParams().cell_columns() == ()
