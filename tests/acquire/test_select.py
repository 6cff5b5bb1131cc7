"""A part of a plate: exactly those wells, fields and channels, in the order of the plate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts.acquire import Plane, PlaneIssue, Source
from hts.acquire.select import EVERYTHING, Part, parse_fields, select
from hts.errors import NotFoundError, UsageError
from hts.model import Channel, WellId, parse_wells

NAMES = ("DNA", "GFP", "Red")
WELLS = tuple(WellId.parse(name) for name in ("B02", "B03", "C02"))


def source() -> Source:
    """Three wells × two fields × three channels × two z; the plane of C02 field 2 Red at z 1 is missing."""
    grid = [(well, field, name, z) for well in WELLS for field in (1, 2) for name in NAMES for z in (0, 1)]
    lost = (WELLS[2], 2, "Red", 1)
    return Source(
        root=Path("plate"),
        reader="pattern",
        plate_name="plate",
        channels=tuple(map(Channel, NAMES)),
        n_z=2,
        n_t=1,
        planes=tuple(Plane(*place) for place in grid if place != lost),
        issues=(PlaneIssue(*lost, 0, "missing", "no file"),),
        pixel_size=None,
        shape=(8, 8),
        dtype=np.dtype("uint16"),
    )


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("1", {1}), ("1,3-5", {1, 3, 4, 5}), (" 2 , 4 - 6 ", {2, 4, 5, 6}), ("7,7", {7}), ("0", {0})],
)
def test_fields_are_numbers_and_ranges(text: str, numbers: set[int]) -> None:
    assert parse_fields(text) == numbers


@pytest.mark.parametrize("text", ["", ",", "a", "1-", "-3", "1-2-3", "1;2", "1.5", "1,x", "²"])
def test_what_is_no_field_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="fields as numbers up to 999,999"):
        parse_fields(text)


@given(st.frozensets(st.integers(0, 9999), min_size=1))
def test_a_list_of_fields_comes_back(numbers: frozenset[int]) -> None:
    assert parse_fields(",".join(map(str, numbers))) == numbers


def test_everything_is_the_source_itself() -> None:
    whole = source()
    assert select(whole, EVERYTHING) is whole


parts = st.builds(
    Part,
    wells=st.none() | st.frozensets(st.sampled_from(WELLS), min_size=1),
    fields=st.none() | st.frozensets(st.sampled_from((1, 2)), min_size=1),
    channels=st.none() | st.lists(st.sampled_from(NAMES), min_size=1).map(tuple),
)


@given(parts)
def test_a_part_has_the_rows_of_the_whole_that_were_asked_for(part: Part) -> None:
    whole = source()
    some = select(whole, part)

    def wanted(row: Plane | PlaneIssue) -> bool:
        return (
            row.well in (part.wells or WELLS)
            and row.field in (part.fields or (1, 2))
            and row.channel in (part.channels or NAMES)
        )

    assert some.planes == tuple(row for row in whole.planes if wanted(row))
    assert some.issues == tuple(row for row in whole.issues if wanted(row))
    assert [channel.name for channel in some.channels] == [
        name for name in NAMES if part.channels is None or name in part.channels
    ]
    rest = {name: getattr(some, name) for name in ("planes", "issues", "channels")}
    assert replace(whole, **rest) == some
    assert select(some, part) == some


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (Part(wells=parse_wells("B02,D04-D05")), r"a well of the plate: B02, B03, C02\n.*D04, D05"),
        (Part(fields=frozenset({1, 9, 3})), r"a field of the plate: 1, 2\n.*3, 9"),
        (Part(channels=("dna", "GFP")), r"a channel of the plate: DNA, GFP, Red\n.*dna"),
        (Part(channels=()), "planes of these wells, fields and channels"),
        (Part(wells=frozenset()), "planes of these wells, fields and channels"),
    ],
)
def test_what_the_plate_has_not_is_named_with_what_it_has(part: Part, said: str) -> None:
    with pytest.raises(NotFoundError, match=said):
        select(source(), part)


def test_a_well_that_has_none_of_the_fields_is_named() -> None:
    """Readers with an index may know that a field is in some wells only."""
    whole = source()
    uneven = replace(whole, planes=tuple(row for row in whole.planes if row.well != WELLS[0] or row.field == 1))
    with pytest.raises(NotFoundError, match="none of them in B02"):
        select(uneven, Part(wells=frozenset(WELLS[:2]), fields=frozenset({2})))
    assert select(uneven, Part(fields=frozenset({2}))).wells == WELLS[1:]


def test_only_eight_names_are_shown() -> None:
    many = source()
    names = [f"C{n}" for n in range(20)]
    many = replace(many, channels=tuple(map(Channel, names)))
    with pytest.raises(NotFoundError, match=r"C7 …\n"):
        select(many, Part(channels=("x",)))
