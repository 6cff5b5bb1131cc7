from __future__ import annotations

import inspect
import pickle

import pytest

from hts import errors
from hts.errors import HtsError

CHILDREN = {
    errors.UsageError: ValueError,
    errors.RecipeError: ValueError,
    errors.SourceError: OSError,
    errors.StoreError: OSError,
    errors.StageError: RuntimeError,
    errors.NotFoundError: LookupError,
}


def test_one_base_and_at_most_six_children():
    found = {item for _, item in inspect.getmembers(errors, inspect.isclass) if item.__module__ == "hts.errors"}
    assert found == {HtsError, *CHILDREN}
    assert len(CHILDREN) <= 6


@pytest.mark.parametrize(("kind", "builtin"), CHILDREN.items())
def test_each_is_ours_and_the_builtin_it_stands_for(kind, builtin):
    assert issubclass(kind, HtsError)
    with pytest.raises(builtin, match=r"^a file\n  found: none$"):
        raise kind("a file", found="none")


def test_a_message_has_its_parts_in_order():
    error = HtsError("a well", found="'3B'", cause="row and column are swapped", fix="write B03")
    lines = str(error).split("\n")
    assert lines == [
        "a well",
        "  found: '3B'",
        "  likely cause: row and column are swapped",
        "  what to do: write B03",
    ]
    assert str(HtsError("a well", fix="write B03")) == "a well\n  what to do: write B03"
    assert str(HtsError("a finished message")) == "a finished message"


@pytest.mark.parametrize("kind", [HtsError, *CHILDREN])
def test_errors_survive_the_way_between_workers(kind):
    error = kind("a file", found="'β'", cause="x", fix="y")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == str(error)


def test_an_error_made_without_arguments_by_unpickling_has_a_text():
    assert str(HtsError.__new__(HtsError)) == ""
