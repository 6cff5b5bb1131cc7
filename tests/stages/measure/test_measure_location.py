"""Centres in the whole field, and how object tables name parents and children."""

from __future__ import annotations

import numpy as np

from hts.stages.measure import MeasureParams, measure_field
from hts.stages.measure.field import Place

PARAMS = MeasureParams(features=("location",))


def test_the_centre_is_that_of_the_whole_field():
    labels = np.zeros((5, 6), np.int32)
    labels[1, 2:5] = 1  # columns 2, 3, 4 of row 1
    labels[3:5, 0] = 3
    table = measure_field({"cells": labels}, {}, PARAMS, Place((100, 1000), (2000, 3000)))
    assert table["Cells_Location_Center_X"].tolist() == [1003.0, 1000.0]
    assert table["Cells_Location_Center_Y"].tolist() == [101.0, 103.5]


def test_without_objects_there_are_no_rows():
    table = measure_field({"cells": np.zeros((4, 4), np.int32)}, {}, PARAMS)
    assert len(table) == 0
    assert {"Cells_Location_Center_X", "Cells_Location_Center_Y"} <= set(table)


def test_parent_and_children_say_which_set_lacks_the_cell():
    """As CellProfiler relates a nucleus to the cell grown from it: one child or none, and parent 0 for an orphan."""
    nuclei = np.array([[1, 0, 2, 0, 0, 0]], np.int32)
    cells = np.array([[1, 1, 0, 0, 0, 4]], np.int32)
    table = measure_field({"nuclei": nuclei, "cells": cells}, {}, PARAMS).set_index("Metadata_ObjectNumber")
    assert table["Metadata_Cells_Parent_Nuclei"].to_dict() == {1: 1, 2: 0, 4: 0}
    assert table["Metadata_Nuclei_Children_Cells_Count"].to_dict() == {1: 1, 2: 0, 4: 0}
    assert table["Cells_Location_Center_X"].isna().to_dict() == {1: False, 2: True, 4: False}
