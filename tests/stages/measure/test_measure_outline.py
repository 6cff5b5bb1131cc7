"""Hulls, circles, holes, radii and moments: kernels against their twins, values by hand, families at their limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.reference.outline import KERNELS

LABELS = hnp.arrays(
    np.int32, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9), elements=st.integers(0, 3)
)
OF_LABELS, (DISC, WEIGHTED) = KERNELS[:-2], KERNELS[-2:]


@pytest.mark.parametrize("row", OF_LABELS, ids=lambda row: row.kernel.rpartition(".")[2])
@settings(deadline=None, max_examples=60)
@given(labels=LABELS)
def test_kernels_equal_their_twin(row, labels):
    ours, theirs = row.call(labels, 4), row.twin(labels, 4)
    if isinstance(ours, list):
        assert ours == theirs
    else:
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("row", [DISC, WEIGHTED], ids=["shape", "values"])
@pytest.mark.parametrize("dtype", WEIGHTED.dtypes)
@settings(deadline=None, max_examples=40)
@given(labels=LABELS)
def test_sums_in_discs_equal_their_twin(row, dtype, labels):
    image = None if row is DISC else (np.arange(labels.size).reshape(labels.shape) * 7 % 50).astype(dtype)
    np.testing.assert_allclose(row.call(labels, image, 4), row.twin(labels, image, 4), rtol=1e-11, atol=1e-9)
