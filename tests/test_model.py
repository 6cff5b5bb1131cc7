from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts.errors import UsageError
from hts.model import (
    PLATE_FORMATS,
    Channel,
    FieldKey,
    PixelSize,
    PlateLayout,
    WellId,
    parse_wells,
    row_index,
    row_name,
)

# Two letters and three digits: far beyond the 32 × 48 of a 1536-well plate.
WELLS = st.builds(WellId, st.integers(0, 26 * 27 - 1), st.integers(0, 998))
ON_A_PLATE = st.builds(WellId, st.integers(0, 31), st.integers(0, 47))


@pytest.mark.parametrize(
    ("row", "name"), [(0, "A"), (7, "H"), (25, "Z"), (26, "AA"), (31, "AF"), (701, "ZZ"), (702, "AAA")]
)
def test_row_names(row, name):
    assert row_name(row) == name
    assert row_index(name) == row_index(f" {name.lower()} ") == row


@pytest.mark.parametrize("text", ["", " ", "3", "A1", "Ä", "-"])
def test_what_is_no_row(text):
    with pytest.raises(UsageError, match=rf"a plate row is one or two letters, such as B or AF\n  found: '{text}'"):
        row_index(text)


@given(st.integers(0, 100_000))
def test_row_name_and_index_are_inverse(row):
    assert row_index(row_name(row)) == row


@given(WELLS)
def test_a_well_is_found_by_its_name(well):
    assert WellId.parse(well.name) == WellId.parse(well.name.lower()) == well
    assert str(well) == well.name == well.row_name + well.column_name


@given(WELLS, st.sampled_from(["", " ", "-", "_", " - "]), st.integers(0, 3))
def test_a_well_is_found_however_it_is_written(well, between, zeros):
    written = f" {well.row_name}{between}{'0' * zeros}{well.column + 1} "
    assert WellId.parse(written) == well


@given(ON_A_PLATE, ON_A_PLATE)
def test_wells_sort_row_by_row(first, second):
    assert (first < second) == ((first.row, first.column) < (second.row, second.column))
    assert (first == second) == (first.name == second.name)


@pytest.mark.parametrize(
    "text", ["", "B", "3", "3B", "B0", "B00", "AAA1", "B1000", "B-", "B3x", "B03,C04", "Ä1", "B٣", "B1.5"]
)
def test_what_is_no_well(text):
    with pytest.raises(UsageError, match=rf"a well name is a row and a column, such as B03\n  found: '{text}'"):
        WellId.parse(text)


def test_a_list_of_wells():
    assert parse_wells("A01") == {WellId(0, 0)}
    assert {str(well) for well in parse_wells("A01, b2-B05,")} == {"A01", "B02", "B03", "B04", "B05"}
    assert {str(well) for well in parse_wells("B-03,C-4")} == {"B03", "C04"}


@given(ON_A_PLATE, ON_A_PLATE)
def test_a_range_is_the_rectangle_between_its_corners(first, last):
    wells = parse_wells(f"{first}-{last}")
    rows, columns = sorted((first.row, last.row)), sorted((first.column, last.column))
    assert wells == {
        WellId(row, column)
        for row in range(32)
        for column in range(48)
        if rows[0] <= row <= rows[1] and columns[0] <= column <= columns[1]
    }


@pytest.mark.parametrize("text", ["", " , ", ","])
def test_a_list_without_wells_is_refused(text):
    with pytest.raises(UsageError, match=r"a list of wells such as A01,B02-B05\n  found: "):
        parse_wells(text)


@pytest.mark.parametrize(("text", "found"), [("A01,B", "B"), ("A01-B02-C03", "B02-C03"), ("A01;B02", "A01;B02")])
def test_a_list_with_a_mistake_names_it(text, found):
    with pytest.raises(UsageError, match=rf"such as B03\n  found: '{found}'"):
        parse_wells(text)


@pytest.mark.parametrize(
    ("last", "layout"),
    [
        ("B03", (2, 3)),
        ("C04", (3, 4)),
        ("D06", (4, 6)),
        ("F08", (6, 8)),
        ("H12", (8, 12)),
        ("P24", (16, 24)),
        ("AF48", (32, 48)),
    ],
)
def test_the_smallest_standard_plate(last, layout):
    corner = WellId.parse(last)
    assert PlateLayout.holding({corner}) == PlateLayout(*layout)
    assert PLATE_FORMATS[layout[0] * layout[1]] == layout
    beyond = PlateLayout.holding({corner, WellId(corner.row, corner.column + 1)})
    assert beyond.rows * beyond.columns > layout[0] * layout[1]


def test_plates_that_no_standard_holds():
    assert PlateLayout.holding({WellId(40, 3), WellId(2, 50)}) == PlateLayout(41, 51)
    assert PlateLayout.holding({WellId(0, 48)}) == PlateLayout(1, 49)
    assert PlateLayout.holding(set()) == PlateLayout(2, 3)


@given(st.sets(WELLS, min_size=1, max_size=5))
def test_a_plate_holds_its_wells(wells):
    layout = PlateLayout.holding(frozenset(wells))
    assert all(well.row < layout.rows and well.column < layout.columns for well in wells)


def test_a_field_says_where_it_is():
    assert str(FieldKey(WellId.parse("B03"), 2)) == "B03 field 2"


@pytest.mark.parametrize("noun", [PlateLayout(8, 12), PixelSize(0.5, 0.5), Channel("DNA")])
def test_nouns_do_not_change(noun):
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field"):
        setattr(noun, dataclasses.fields(noun)[0].name, 1)
    assert hash(noun) == hash(dataclasses.replace(noun))
