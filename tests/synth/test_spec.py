from __future__ import annotations

import pickle

import numpy as np
import pytest

from hts.errors import UsageError
from hts.model import PlateLayout, WellId
from hts.synth.spec import MAX_DOSE_UM, SynthSpec, faults, generator, hill_effect, treatments


def test_default_is_thirty_wells_on_a_96_well_plate():
    spec = SynthSpec()
    assert len(spec.well_ids) == 30
    assert spec.layout == PlateLayout(8, 12)
    assert spec.channel_names == ("DNA", "Reporter")
    assert spec.cells_in_field == 60


def test_cells_scale_with_the_area_of_the_field():
    assert SynthSpec(size_px=1024).cells_in_field == 4 * SynthSpec(size_px=512).cells_in_field


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size_px": 4096}, r"size_px Input should be less than or equal to 2048[\s\S]*found: 4096"),
        ({"colour": "red"}, "colour Extra inputs are not permitted"),
        ({"wells": "moon"}, "well name is a row and a column"),
        ({"wells": "A01-ZZ99"}, "up to 1536 wells"),
        ({"cells_per_field": 400}, r"at most 149 cells[\s\S]*cells_per_field = 400[\s\S]*raise pixel_size_um"),
        ({"ec50": float("inf")}, "ec50 Input should be a finite number"),
        ({"plate_name": "../up"}, "plate_name String should match pattern"),
        ({"microscope": "imagexpres"}, r"a microscope: one of [\s\S]*did you mean imagexpress"),
        ({"z_planes": 0}, "z_planes Input should be greater than or equal to 1"),
        ({"plate_name": "Truth"}, "a plate name other than truth"),
    ],
)
def test_impossible_plates_are_refused(values, message):
    with pytest.raises(UsageError, match=message):
        SynthSpec(**values)


def test_every_knob_has_a_description():
    assert all(field.description for field in SynthSpec.model_fields.values())
    assert len(SynthSpec.model_fields) <= 20


def test_spec_is_frozen_and_travels():
    spec = SynthSpec(seed=3)
    with pytest.raises(ValueError, match="frozen"):
        spec.seed = 4
    assert pickle.loads(pickle.dumps(spec)) == spec


def test_columns_are_doses_and_rows_replicates():
    plan = treatments(SynthSpec())
    by_column = {column: {plan[WellId(row, column)] for row in (1, 2, 3)} for column in range(1, 11)}
    assert all(len(replicates) == 1 for replicates in by_column.values())
    columns = [by_column[column].pop() for column in range(1, 11)]
    assert [item.control for item in columns] == [-1, -1, 0, 0, 0, 0, 0, 0, 0, 1]
    doses = [item.dose_uM for item in columns]
    assert doses[:2] == [0, 0]
    assert doses[-1] == MAX_DOSE_UM
    steps = np.diff(np.log10(doses[2:-1]))
    assert steps == pytest.approx(np.full(6, 0.5), abs=1e-3)


@pytest.mark.parametrize(("wells", "controls"), [("B02", [-1]), ("B02-B03", [-1, 1]), ("B02-B04", [-1, 0, 1])])
def test_few_columns_still_have_controls(wells, controls):
    assert [item.control for item in treatments(SynthSpec(wells=wells)).values()] == controls


def test_hill_equation():
    assert hill_effect(0, 0.3, 1.5) == 0
    assert hill_effect(0.3, 0.3, 1.5) == pytest.approx(0.5)
    assert hill_effect(3.0, 0.3, 2.0) == pytest.approx(100 / 101)


@pytest.mark.parametrize("seed", range(20))
def test_faults_differ_and_spare_the_controls(seed):
    spec = SynthSpec(seed=seed, wells="B02-C05")
    missing, blurred = faults(spec)
    assert len(missing) == len(blurred) == 1
    assert missing != blurred
    assert all(treatments(spec)[key.well].control == 0 for key in missing + blurred)


def test_faults_are_made_on_request_and_where_there_is_room():
    assert faults(SynthSpec(missing_field=False))[0] == ()
    assert faults(SynthSpec(blurred_field=False))[1] == ()
    assert faults(SynthSpec(wells="B02-B03")) == ((), ())
    missing, blurred = faults(SynthSpec(wells="B02-B04", fields=1))
    assert [str(key) for key in missing] == ["B03 field 1"]
    assert blurred == ()


def test_streams_are_independent():
    spec = SynthSpec()
    assert generator(spec, 0, 1).random() == generator(spec, 0, 1).random()
    draws = {generator(SynthSpec(seed=seed), 0, key).random() for seed in (0, 1) for key in (1, 2)}
    assert len(draws) == 4
