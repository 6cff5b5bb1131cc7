"""Numbers of fields are bounded, ranges go upwards."""

from __future__ import annotations

import pytest

from hts.acquire.select import parse_fields
from hts.errors import UsageError


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1,3-5", {1, 3, 4, 5}), (" 2 - 3 ,", {2, 3}), ("0", {0}), ("007-0000000000008", {7, 8}), ("4-4", {4})],
)
def test_numbers_and_ranges(text: str, expected: set[int]) -> None:
    assert parse_fields(text) == expected


@pytest.mark.parametrize("text", ["", ",", "a", "1-", "-3", "1-9999999999", "1000000", "9" * 5000])
def test_what_is_neither_or_too_high_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="numbers up to 999,999 and ranges"):
        parse_fields(text)


def test_a_reversed_range_is_refused_and_not_dropped() -> None:
    with pytest.raises(UsageError, match=r"low to high.*\n.*'5-3'\n.*did you mean 3-5\?"):
        parse_fields("1,5-3")
