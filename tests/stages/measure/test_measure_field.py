"""The object table of a field: columns, identities, and inputs that do not fit."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from hts.errors import StageError, UsageError
from hts.stages.measure import MeasureParams, Place, feature_catalogue, features, measure_field

NUCLEI = np.array([[1, 1, 0, 0, 4, 4], [1, 1, 0, 0, 4, 4], [0, 0, 2, 2, 0, 0]], dtype=np.int32)
CELLS = np.array([[1, 1, 1, 4, 4, 4], [1, 1, 2, 4, 4, 4], [2, 2, 2, 2, 2, 0]], dtype=np.int32)
LABELS = {"nuclei": NUCLEI, "cells": CELLS, "cytoplasm": np.where(CELLS == NUCLEI, 0, CELLS) * (CELLS != 4)}
IMAGES = {"dna": np.arange(18, dtype=np.uint16).reshape(3, 6), "reporter": np.full((3, 6), 7, dtype=np.uint8)}
FEATURES = sum(info.is_feature for info in feature_catalogue(("nuclei",), IMAGES))


def features_of(compartment):
    return sum(info.is_feature and info.compartment == compartment for info in feature_catalogue(LABELS, IMAGES))


@pytest.fixture(scope="module")
def table():
    return measure_field(LABELS, IMAGES)


def test_one_row_for_each_number(table):
    assert table["Metadata_ObjectNumber"].tolist() == [1, 2, 4]
    assert table["Metadata_Nuclei_ObjectNumber"].tolist() == [1, 2, 4]
    assert table["Metadata_Cytoplasm_ObjectNumber"].tolist() == [1, 2, 0]
    assert table["Metadata_Cells_Parent_Nuclei"].tolist() == [1, 2, 4]
    assert table["Metadata_Cytoplasm_Parent_Nuclei"].tolist() == [1, 2, 0]
    assert table["Metadata_Nuclei_Children_Cytoplasm_Count"].tolist() == [1, 1, 0]
    assert table.index.tolist() == [0, 1, 2]


def test_values_of_each_compartment(table):
    assert table["Nuclei_AreaShape_Area"].tolist() == [4, 2, 4]
    assert table["Cells_AreaShape_Area"].tolist() == [5, 6, 6]
    np.testing.assert_array_equal(table["Cytoplasm_AreaShape_Area"], [1, 4, np.nan])
    assert table["Nuclei_Intensity_IntegratedIntensity_DNA"].tolist() == [14, 29, 30]
    assert table["Nuclei_Intensity_MeanIntensity_Reporter"].tolist() == [7, 7, 7]
    assert table["Nuclei_Correlation_Correlation_DNA_Reporter"].isna().all()
    empty = table.loc[2, [name for name in table if name.startswith("Cytoplasm_")]]
    assert empty.isna().all()
    assert len(empty) == FEATURES


def test_columns_are_exactly_the_catalogue(table):
    catalogue = feature_catalogue(LABELS, IMAGES)
    assert list(table.columns) == [info.column for info in catalogue]
    for info in catalogue:
        identity = np.bool_ if info.column.endswith("_TouchesBorder") else np.int64
        expected = identity if info.family == "identity" else np.float64
        assert table[info.column].dtype == expected, info.column
        assert info.unit, info.column
        assert info.definition, info.column
    by_name = {info.column: info for info in catalogue}
    assert by_name["Cells_Intensity_StdIntensity_Reporter"].channel == "reporter"
    assert by_name["Cells_Correlation_Correlation_DNA_Reporter"].channel == "dna,reporter"
    assert by_name["Cells_AreaShape_Perimeter"].compartment == "cells"


def test_params_choose_families_and_objects(table):
    params = MeasureParams(features=("intensity",), objects=("cells",))
    chosen = measure_field(LABELS, IMAGES, params)
    assert list(chosen.columns) == [info.column for info in feature_catalogue(LABELS, IMAGES, params)]
    assert not any(column.startswith(("Nuclei_", "Cytoplasm_")) or "AreaShape" in column for column in chosen)
    pd.testing.assert_frame_equal(chosen, table[chosen.columns])


def test_a_field_without_objects_or_channels_keeps_its_columns():
    nothing = {name: np.zeros_like(labels) for name, labels in LABELS.items()}
    empty = measure_field(nothing, IMAGES)
    assert empty.shape == (0, len(feature_catalogue(LABELS, IMAGES)))
    assert empty["Nuclei_AreaShape_Area"].dtype == np.float64
    shape_only = measure_field(LABELS, {})
    assert list(shape_only.columns) == [info.column for info in feature_catalogue(LABELS, ())]


def test_measuring_twice_gives_the_same_bytes(table):
    again = measure_field(LABELS, IMAGES)
    for column in table:
        assert again[column].to_numpy().tobytes() == table[column].to_numpy().tobytes(), column


@pytest.mark.parametrize("number", [3, 5])
def test_a_number_that_the_primary_set_lacks_is_a_row_without_a_primary_object(number, table):
    """Cell 4 is numbered anew: nucleus 4 has no cell, and the cell no nucleus."""
    found = measure_field({"nuclei": NUCLEI, "cells": np.where(CELLS == 4, number, CELLS)}, IMAGES)
    found = found.set_index("Metadata_ObjectNumber")
    assert sorted(found.index) == sorted([1, 2, 4, number])
    orphan, childless = found.loc[number], found.loc[4]
    for prefix, row in (("Nuclei_", orphan), ("Cells_", childless)):
        features = row[[name for name in found if name.startswith(prefix)]]
        assert len(features) == FEATURES
        assert features.isna().all()
    assert (orphan["Metadata_Nuclei_ObjectNumber"], orphan["Metadata_Cells_ObjectNumber"]) == (0, number)
    assert (childless["Metadata_Nuclei_ObjectNumber"], childless["Metadata_Cells_ObjectNumber"]) == (4, 0)
    for row in (orphan, childless):
        assert row["Metadata_Cells_Parent_Nuclei"] == row["Metadata_Nuclei_Children_Cells_Count"] == 0
    assert not orphan["Metadata_Nuclei_TouchesBorder"]
    assert not childless["Metadata_Cells_TouchesBorder"]
    before = table.set_index("Metadata_ObjectNumber")
    names = [name for name in found if name.startswith("Cells_")]
    np.testing.assert_array_equal(orphan[names].astype(float), before.loc[4, names].astype(float))


def test_a_set_that_is_not_measured_makes_no_rows():
    cells = np.where(CELLS == 4, 9, CELLS)
    params = MeasureParams(objects=("nuclei",))
    assert measure_field({"nuclei": NUCLEI, "cells": cells}, IMAGES, params)["Metadata_ObjectNumber"].tolist() == [
        1,
        2,
        4,
    ]


@pytest.mark.parametrize("side", ["top", "bottom", "left", "right"])
def test_objects_at_the_frame_are_flagged_in_each_set(side):
    nuclei, cells = np.zeros((9, 11), np.int32), np.zeros((9, 11), np.int32)
    nuclei[4, 4], cells[3:6, 3:6] = 1, 1
    nuclei[2, 8], cells[1:4, 7:10] = 2, 2
    edge = {"top": np.s_[:3, 8], "bottom": np.s_[2:, 8], "left": np.s_[2, :9], "right": np.s_[2, 8:]}[side]
    cells[edge] = 2
    found = measure_field({"nuclei": nuclei, "cells": cells}, {})
    assert found["Metadata_Cells_TouchesBorder"].tolist() == [False, True]
    assert found["Metadata_Nuclei_TouchesBorder"].tolist() == [False, False]


def test_images_of_another_size_are_refused():
    with pytest.raises(StageError, match=r"shape \(3, 6\) for channel dna.*\n  found: shape \(3, 5\)"):
        measure_field(LABELS, {"dna": IMAGES["dna"][:, :5]})


def test_labels_of_another_size_are_refused():
    with pytest.raises(StageError, match=r"images of shape \(C, 3, 5\)"):
        measure_field({"nuclei": NUCLEI, "cells": CELLS[:, :5].copy()}, IMAGES)


def test_unknown_objects_and_no_objects_are_refused():
    with pytest.raises(UsageError, match="did you mean 'cells'"):
        measure_field(LABELS, IMAGES, MeasureParams(objects=("cell",)))
    with pytest.raises(UsageError, match="at least one object set"):
        measure_field({}, IMAGES)


def test_roles_with_one_token_are_refused():
    with pytest.raises(UsageError, match="Nuclei_Intensity_IntegratedIntensity_DNA and others more than once"):
        feature_catalogue(["nuclei"], ["dna", "DNA"])


def test_unknown_parameters_are_refused():
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        MeasureParams(feature=("shape",))


def test_a_family_that_breaks_its_word_is_refused(monkeypatch):
    class Liar:
        name, version = "liar", 1

        def catalogue(self, channels):
            return (features.FeatureInfo("Liar_Declared", "liar", "1", None, "Never computed"),)

        def compute(self, objects):
            return {"Liar_Computed": objects.moments.area.astype(np.float64)}

    monkeypatch.setattr("hts.stages.measure.catalogue.families", lambda names, options: (Liar(),))
    with pytest.raises(
        StageError, match=r"liar computes the features that it declares\n.*Liar_Computed, Liar_Declared"
    ):
        measure_field(LABELS, IMAGES)


def test_an_absent_object_has_no_value_whatever_a_family_says(monkeypatch):
    class Sizes:
        name, version = "sizes", 1

        def catalogue(self, channels):
            return (features.FeatureInfo("Sizes_Pixels", "sizes", "px^2", None, "Pixels, 0 for none"),)

        def compute(self, objects):
            return {"Sizes_Pixels": objects.moments.area.astype(np.float64)}

    monkeypatch.setattr("hts.stages.measure.catalogue.families", lambda names, options: (Sizes(),))
    found = measure_field(LABELS, IMAGES)
    np.testing.assert_array_equal(found["Cytoplasm_Sizes_Pixels"], [1, 4, np.nan])


def test_importing_the_stage_loads_neither_numba_nor_pandas():
    code = "import sys, hts.stages.measure; print([name for name in ('numba', 'pandas') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_one_name_is_a_list_of_one_and_a_list_of_all_is_all():
    assert MeasureParams(features="shape").features == ("shape",)
    assert MeasureParams(features=["all"]).features == MeasureParams(features="all").features == "all"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"texture": {"scales_px": [3]}}, "a feature family that is measured out of: shape\n  found: 'texture'"),
        ({"shape": {"degree": 3}}, "(?s)settings of feature family shape.*degree: Extra inputs"),
        ({"shape": 3}, "(?s)options.shape.*Input should be a valid dict"),
    ],
)
def test_settings_that_nothing_uses_are_refused(options, text):
    with pytest.raises((ValidationError, UsageError), match=text):
        MeasureParams(features=("shape",), options=options)


def test_settings_are_the_same_however_they_are_written():
    plain = MeasureParams(features=("texture",))
    written = MeasureParams(features=("texture",), options={"texture": {"levels": 256, "scales_px": [3]}})
    assert plain.settings() == written.settings() == {"texture": {"scales_px": [3], "levels": 256}}
    assert plain.settings() != MeasureParams(features=("texture",), options={"texture": {"levels": 8}}).settings()


@pytest.mark.parametrize("with_others", [False, True])
def test_a_measured_field_is_let_go_at_once(with_others):
    """A worker that measures field after field does not wait for the collector."""
    labels = np.kron(NUCLEI, np.ones((5, 5), np.int32))
    image = np.arange(labels.size, dtype=np.uint16).reshape(labels.shape)
    around = {"nuclei": np.where(labels == 0, 9, labels)} if with_others else None
    places = Place((0, 0), (500, 500), around)
    kept = [weakref.ref(labels), weakref.ref(image)]
    gc.disable()
    try:
        measure_field({"nuclei": labels}, {"dna": image}, MeasureParams(features="all"), places)
        del labels, image, around, places
        assert [each() is None for each in kept] == [True, True]
    finally:
        gc.enable()
