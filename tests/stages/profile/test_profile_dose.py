"""Which column is the dose, and the curve through it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hts.errors import RecipeError
from hts.stages.profile.dose import dose_column, fit_logistic, logistic

DOSES = np.repeat([0, 0.01, 0.03, 0.1, 0.3, 1, 3, 10], 3)


def layout(**columns):
    return pd.DataFrame({"Well": ["A01", "A02", "A03", "A04"], **columns})


@pytest.mark.parametrize("name", ["Dose", "SBS_Doses", "cmpd_conc", "Concentration (uM)", "DOSE"])
def test_the_dose_is_found_by_its_name(name):
    assert dose_column(layout(Age=[1, 2, 3, 4], **{name: [0, 1, 2, 2]}), "auto") == name


def test_units_and_constants_are_no_doses():
    table = layout(Dose_unit=["uM"] * 4, stock_conc=[10, 10, 10, 5], conc=[0, 1, 2, np.nan], Dose=[1, 2, 3, 4])
    assert dose_column(table, "auto") == "conc"
    assert dose_column(table.drop(columns=["conc", "Dose"]), "auto") is None
    assert dose_column(table, None) is None


def test_a_named_column_is_taken_whatever_its_name():
    assert dose_column(layout(Level=[1, 2, 3, 4]), "Level") == "Level"


@pytest.mark.usefixtures("text_type")
def test_a_named_column_must_be_there_and_be_of_numbers():
    table = layout(Dose=["0", "1", "high", None], Empty=[None, None, None, None])
    with pytest.raises(
        RecipeError, match=r"profile\.dose names a layout column \(Well, Dose, Empty\)\n  found: 'Level'"
    ):
        dose_column(table, "Level")
    with pytest.raises(RecipeError, match=r"profile\.dose names a column of numbers, Dose is none\n  found: 'high'"):
        dose_column(table, "Dose")
    with pytest.raises(
        RecipeError, match=r"profile\.dose names a column of numbers, Empty is none\n  found: no values"
    ):
        dose_column(table, "Empty")


@settings(deadline=None, max_examples=40)
@given(
    log_ec50=st.floats(np.log(0.03), np.log(3)),
    hill=st.floats(0.6, 4),
    bottom=st.floats(-5, 5),
    effect=st.floats(0.5, 10),
    rising=st.booleans(),
    scale=st.sampled_from([1e-9, 1.0, 1e9]),
)
def test_the_fit_finds_the_curve_again(log_ec50, hill, bottom, effect, rising, scale):
    top = bottom + effect if rising else bottom - effect
    found = fit_logistic(DOSES, scale * logistic(DOSES, bottom, top, log_ec50, hill))
    assert found["ec50"] == pytest.approx(np.exp(log_ec50), rel=0.03)
    assert found["hill"] == pytest.approx(hill, rel=0.05)
    assert found["bottom"] / scale == pytest.approx(bottom, abs=0.03 * effect)
    assert found["top"] / scale == pytest.approx(top, abs=0.06 * effect)
    assert found["r2"] > 0.999


def test_noise_is_borne():
    value = logistic(DOSES, 0.1, 0.9, np.log(0.3), 1.5) + np.random.default_rng(0).normal(0, 0.03, DOSES.size)
    found = fit_logistic(DOSES, value)
    assert found["ec50"] == pytest.approx(0.3, rel=0.2)
    assert (found["bottom"], found["top"]) == (pytest.approx(0.1, abs=0.03), pytest.approx(0.9, abs=0.05))
    assert 0.95 < found["r2"] < 1


def test_the_curve_at_its_ends_and_its_middle():
    with np.errstate(divide="raise", over="raise", invalid="raise"):
        curve = logistic(np.array([0.0, 2.0, 1e300]), 1.0, 5.0, np.log(2.0), 3.0)
    assert curve.tolist() == [1.0, 3.0, 5.0]


@pytest.mark.parametrize(
    "dose",
    [
        [],
        [0, 1, 2],
        [0, 0, 0, 3],
        [0, 1, 2, np.nan],
        [0, 1, 2, np.inf],
        [1, 1, 1, 1],
        [-3, -2, -1, 0, 1, 2],  # logarithms
    ],
)
def test_there_is_no_fit_without_four_doses(dose):
    dose = np.array(dose, float)
    assert fit_logistic(dose, np.arange(dose.size, dtype=float)) is None


def test_values_that_are_not_finite_are_left_out():
    value = logistic(DOSES, 0.0, 1.0, np.log(0.3), 1.5)
    value[[0, 7]] = np.nan, np.inf
    assert fit_logistic(DOSES, value)["ec50"] == pytest.approx(0.3, rel=0.01)


@pytest.mark.filterwarnings("ignore:Covariance of the parameters")
def test_a_flat_response_explains_nothing():
    found = fit_logistic(DOSES, np.full(DOSES.size, 0.25))
    assert found["r2"] == 0
    assert found["bottom"] == pytest.approx(0.25)


def test_doses_that_do_not_determine_the_ec50_give_none():
    """A step between two doses far apart could be anywhere between them; noise has no EC50 at all."""
    doses = np.repeat([0.0, 0.01, 10.0, 30.0], 3)
    rng = np.random.default_rng(0)
    assert fit_logistic(doses, np.where(doses >= 10, 1.0, 0.0) + rng.normal(0, 0.01, doses.size)) is None
    assert fit_logistic(np.repeat(DOSES, 3), rng.normal(50, 5, 3 * DOSES.size)) is None


def test_the_true_ec50_lies_in_its_interval():
    rng = np.random.default_rng(1)
    doses = np.repeat(DOSES, 4)
    inside = 0
    for _ in range(40):
        value = logistic(doses, 0.0, 1.0, float(np.log(0.5)), 1.5) + rng.normal(0, 0.05, doses.size)
        found = fit_logistic(doses, value)
        assert found is not None
        inside += found["ec50_low"] <= 0.5 <= found["ec50_high"]
    assert inside >= 34
