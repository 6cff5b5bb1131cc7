from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts.recipe import Recipe, builtin_names, fingerprint
from hts.recipe.fingerprint import LENGTH

BASE = {"name": "segment", "version": 1, "parameters": {"a": 1, "b": {"c": [1, 2]}}, "reads": {"image": "0123"}}


def test_a_known_fingerprint():
    """Committed results are found by it: it must not change with versions of Python or of ours."""
    assert fingerprint("segment", 1, {"b": 1, "a": [1.5, None, "β"]}, {"x": "0123"}) == "5ea1d2576718"


def test_it_is_short_hexadecimal():
    text = fingerprint(**BASE)
    assert len(text) == LENGTH == 12
    assert int(text, 16) >= 0


@pytest.mark.parametrize(
    "change",
    [
        {"name": "measure"},
        {"version": 2},
        {"parameters": {"a": 2, "b": {"c": [1, 2]}}},
        {"parameters": {"a": 1, "b": {"c": [2, 1]}}},
        {"parameters": {"a": 1, "b": {"c": [1, 2], "d": None}}},
        {"parameters": {"a": "1", "b": {"c": [1, 2]}}},
        {"reads": {"image": "0124"}},
        {"reads": {"labels": "0123"}},
        {"reads": {}},
    ],
    ids=str,
)
def test_every_part_counts(change):
    assert fingerprint(**(BASE | change)) != fingerprint(**BASE)


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.none(), min_size=2), st.randoms())
def test_the_order_of_keys_does_not_count(parameters, random):
    items = list(parameters.items())
    random.shuffle(items)
    assert fingerprint("s", 1, dict(items), {}) == fingerprint("s", 1, parameters, {})


@given(
    st.lists(
        st.dictionaries(st.sampled_from("ab"), st.integers(0, 3), max_size=2), min_size=2, max_size=2, unique_by=str
    )
)
def test_different_parameters_have_different_fingerprints(pair):
    first, second = pair
    same = first == second
    assert (fingerprint("s", 1, first, {}) == fingerprint("s", 1, second, {})) == same


_ALL = """
from hts.recipe import Recipe, builtin_names, fingerprint
print([fingerprint(name, 1, Recipe.load(name).to_dict(), {}) for name in builtin_names()])
"""


def test_another_process_with_other_hashes_agrees():
    here = str([fingerprint(name, 1, Recipe.load(name).to_dict(), {}) for name in builtin_names()])
    for seed in ("0", "1", "4711"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", _ALL], capture_output=True, text=True, check=True, env=environment)
        assert done.stdout.strip() == here
