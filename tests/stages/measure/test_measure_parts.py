"""A field measured in parts, each object by the part that owns it, has the values of the whole field."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hts.stages.measure import MeasureParams, Place, family_names, measure_field
from tests.reference.features.fields import simulated

SIDE, CORE, OVERLAP = 440, 220, 90
FIELD = simulated(side_px=SIDE, cells=90, seed=5)
# Its background and its grid are the part's: see `approximate_in_blocks`.
FAMILIES = tuple(name for name in family_names() if name != "granularity")


def _part(row: int, column: int, owned: np.ndarray, params: MeasureParams) -> pd.DataFrame:
    """The table of the objects that a part owns, with the numbers of the whole field."""
    y0, x0 = max(row * CORE - OVERLAP, 0), max(column * CORE - OVERLAP, 0)
    window = np.s_[y0 : (row + 1) * CORE + OVERLAP, x0 : (column + 1) * CORE + OVERLAP]
    labels = FIELD.labels[window]
    mine = np.isin(labels, owned)
    table = np.zeros(FIELD.labels.max() + 1, np.int32)
    table[owned] = np.arange(1, owned.size + 1)
    others = np.setdiff1d(np.unique(labels), [0, *owned])
    table[others] = np.arange(owned.size + 1, owned.size + others.size + 1)
    place = Place((y0, x0), FIELD.labels.shape, {"cells": table[labels]})
    images = {name: image[window] for name, image in zip(FIELD.channels, FIELD.images, strict=True)}
    found = measure_field({"cells": np.where(mine, table[labels], 0)}, images, params, place)
    for column_name in ("Metadata_ObjectNumber", "Metadata_Cells_ObjectNumber"):
        found[column_name] = owned[found[column_name] - 1]
    return found


def test_parts_give_the_table_of_the_whole_field():
    options = {"neighbors": {"methods": ["adjacent", "expanded", 9]}}
    params = MeasureParams(features=FAMILIES, options=options)
    images = dict(zip(FIELD.channels, FIELD.images, strict=True))
    whole = measure_field({"cells": FIELD.labels}, images, params)
    centres = whole[["Cells_AreaShape_Center_Y", "Cells_AreaShape_Center_X"]].to_numpy() // CORE
    numbers = whole["Metadata_ObjectNumber"].to_numpy()
    parts = [_part(y, x, numbers[(centres == (y, x)).all(axis=1)], params) for y in (0, 1) for x in (0, 1)]
    found = pd.concat(parts).sort_values("Metadata_ObjectNumber", ignore_index=True)
    near = [name for name in whole if "_Neighbors_" in name]
    seen = found[near].notna() | whole[near].isna()
    assert 0.3 < seen.mean(axis=None) < 1
    pd.testing.assert_frame_equal(found, whole.assign(**whole[near].where(seen)), rtol=1e-12, atol=1e-9)
