from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict

from hts.errors import RecipeError
from hts.recipe.validate import unknown_key, validate


class _Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    width: int = 1


class _Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    needed: str
    inner: _Inner | None = None
    many: tuple[_Inner, ...] = ()


def test_valid_data_becomes_the_model():
    assert validate(_Outer, {"needed": "x", "inner": {"width": 2}}, "s", "r").inner == _Inner(width=2)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({}, r"s.needed: this key is needed"),
        ({"needed": "x", "inner": {"widht": 2}}, r"s.inner.widht: unknown key 'widht'; did you mean 'width'\?"),
        ({"needed": "x", "many": [{}, {"widht": 2}]}, r"s.many.1.widht: unknown key 'widht'; did you mean 'width'\?"),
        ({"needed": "x", "inner": {"width": "much"}}, r"s.inner.width: .*found 'much'"),
        ({"needed": "x", "qqqq": 1}, r"s.qqqq: unknown key 'qqqq'; known keys: needed, inner, many"),
    ],
)
def test_complaints_name_place_and_remedy(data, expected):
    with pytest.raises(RecipeError, match=rf"recipe r is not valid:\n    {expected}$"):
        validate(_Outer, data, "s", "r")


def test_data_that_is_no_mapping():
    with pytest.raises(RecipeError, match=r"r: section s holds keys and values\n  found: 3"):
        validate(_Outer, 3, "s", "r")


def test_unknown_key():
    assert unknown_key("metod", ["method", "channel"]) == "unknown key 'metod'; did you mean 'method'?"
    assert unknown_key("qq", ["method", "channel"]) == "unknown key 'qq'; known keys: method, channel"
