"""Every feature family against its peer, on simulated and on real fields."""

from __future__ import annotations

import numpy as np
import pytest

from hts.stages.measure import MeasureParams, measure_field
from tests.reference.features.fields import FIELDS, REAL_FIELDS
from tests.reference.features.peers import ParityField, PeerRow
from tests.reference.features.table import PEERS

LEAST_COMPARED = 0.6
"""Share of the values that a row must not leave out, or it would say little; rings of a fixed width are often empty."""

ROWS = [pytest.param(row, id=f"{row.family}-{row.columns.__name__}") for row in PEERS]


def check(row: PeerRow, field: ParityField) -> None:
    params = MeasureParams(features=(row.family,), options={row.family: row.options} if row.options else {})
    images = dict(zip(field.channels, field.images, strict=True))
    table = measure_field({"cells": field.labels}, images, params)
    theirs = row.columns(field)
    assert theirs
    compared = np.concatenate([row.compared(field, name, np.asarray(values)) for name, values in theirs.items()])
    assert compared.mean() > LEAST_COMPARED
    for name, expected in theirs.items():
        ours = table[f"Cells_{name}"].to_numpy()
        same = row.compared(field, name, expected)
        np.testing.assert_allclose(
            ours[same], np.asarray(expected)[same], rtol=row.rtol, atol=row.atol, err_msg=f"{row.peer}: {name}"
        )


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("row", ROWS)
def test_equal_to_the_peer_on_simulated_cells(row, field):
    check(row, FIELDS[field]())


@pytest.mark.real
@pytest.mark.parametrize("field", REAL_FIELDS)
@pytest.mark.parametrize("row", ROWS)
@pytest.mark.usefixtures("data_dir")
def test_equal_to_the_peer_on_real_images(row, field):
    check(row, REAL_FIELDS[field]())
