"""Object sets from other object sets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydantic import ValidationError

from hts.stages.segment.expression import ExpressionParams, ExpressionSegmenter, names
from tests.stages.segment.conformance import SegmenterConformance

ROWS = hnp.arrays(np.int32, (3, 8), elements=st.integers(0, 4))


class TestConformance(SegmenterConformance):
    segmenter = ExpressionSegmenter()
    own_numbers = False
    params = (
        ExpressionParams(expression="cells - nuclei"),
        ExpressionParams(expression="cells & nuclei"),
        ExpressionParams(expression="(cells - nuclei) - (nuclei & (cells - nuclei))"),
    )


def evaluate(expression, **labels):
    return ExpressionSegmenter().segment({}, labels, ExpressionParams(expression=expression))


def test_minus_is_outside_and_keeps_the_numbers_of_the_first():
    cells, nuclei = np.array([[0, 2, 2, 5, 5]], np.int32), np.array([[0, 0, 9, 5, 5]], np.int32)
    assert evaluate("cells - nuclei", cells=cells, nuclei=nuclei).tolist() == [[0, 2, 0, 0, 0]]
    assert evaluate("cells & nuclei", cells=cells, nuclei=nuclei).tolist() == [[0, 0, 2, 5, 5]]
    assert evaluate("nuclei & cells", cells=cells, nuclei=nuclei).tolist() == [[0, 0, 9, 5, 5]]


@given(a=ROWS, b=ROWS, c=ROWS)
def test_chains_read_from_left_to_right(a, b, c):
    np.testing.assert_array_equal(evaluate("a - b - c", a=a, b=b, c=c), np.where((b == 0) & (c == 0), a, 0))
    np.testing.assert_array_equal(evaluate("a - (b - c)", a=a, b=b, c=c), np.where((b == 0) | (c > 0), a, 0))
    np.testing.assert_array_equal(evaluate("a & b & c", a=a, b=b, c=c), np.where((b > 0) & (c > 0), a, 0))
    # Minus binds more tightly, as in Python.
    np.testing.assert_array_equal(evaluate("a & b - c", a=a, b=b, c=c), np.where((b > 0) & (c == 0), a, 0))
    np.testing.assert_array_equal(evaluate("(a & b) - c", a=a, b=b, c=c), evaluate("a & (b - c)", a=a, b=b, c=c))


def test_names_are_found_once_and_in_order():
    assert set(names("cells - nuclei - cells")) == {"cells", "nuclei"}
    assert len(names("cells - nuclei - cells")) == 2
    params = ExpressionParams(expression="cells - nuclei")
    assert params.needs == ("cells", "nuclei")
    assert params.roles == ()


@pytest.mark.parametrize(
    "text",
    ["", "cells", "cells -", "cells + nuclei", "-cells", "cells - 1", "f(cells) - nuclei", "a.b - c", "a - b; c", "(a"],
)
def test_what_is_no_expression_is_refused(text):
    with pytest.raises(ValidationError, match="is no expression over object sets; write for example 'cells - nuclei'"):
        ExpressionParams(expression=text)
