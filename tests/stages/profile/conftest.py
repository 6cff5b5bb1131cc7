"""Columns of text are object up to pandas 2, and of their own type from pandas 3: both must do."""

from __future__ import annotations

import pandas as pd
import pytest


@pytest.fixture(params=[False, True], ids=["object", "str"])
def text_type(request: pytest.FixtureRequest):
    with pd.option_context("future.infer_string", request.param):
        yield
