from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts.acquire.metadata import base_name, even_step_s, is_absolute, natural, points_outside, well_of
from hts.model import WellId


@given(st.builds(WellId, st.integers(0, 31), st.integers(0, 47)))
def test_wells_by_their_names(well: WellId) -> None:
    assert well_of(well.name) == well_of(f"{well.row_name.lower()}{well.column + 1}") == well


@pytest.mark.parametrize("text", ["", "A", "A0", "A49", "AG1", "ZZ1", "1", "B03_s1", "x" * 100])
def test_texts_that_are_no_wells(text: str) -> None:
    assert well_of(text) is None


@pytest.mark.parametrize(
    ("name", "outside", "absolute"),
    [
        ("a.tif", False, False),
        ("..a/a..tif", False, False),
        ("data/../a.tif", False, False),
        ("../a.tif", True, False),
        ("data\\..\\..\\a.tif", True, False),
        ("/a.tif", True, True),
        ("\\\\server\\a.tif", True, True),
        ("C:\\a.tif", True, True),
        ("s3://bucket/a.tif", True, True),
    ],
)
def test_paths_that_metadata_name(name: str, outside: bool, absolute: bool) -> None:
    assert (points_outside(name), is_absolute(name), base_name(name).endswith("tif")) == (outside, absolute, True)


def test_numbers_sort_as_numbers() -> None:
    assert sorted(["w10", "w2", "b", "w2a", "10", "9"], key=natural) == ["9", "10", "b", "w2", "w2a", "w10"]


@pytest.mark.parametrize(
    ("times_s", "step_s"),
    [([], None), ([5], None), ([0, 60, 120], 60), ([0, 60.3, 120], 60), ([0, 60, 180], None), ([0, 60, 60], None)],
)
def test_time_steps(times_s: list[float], step_s: float | None) -> None:
    assert even_step_s(times_s) == step_s
