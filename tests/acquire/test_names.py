from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts.acquire.names import read_name
from hts.model import WellId


@pytest.mark.parametrize(
    ("stem", "well", "field", "channel"),
    [
        ("WellB03_ChannelDAPI,GFP_Seq0004", "B03", None, "DAPI,GFP"),
        ("WellB03_PointB03_0002_ChannelDAPI_Seq0004", "B03", 2, "DAPI"),
        ("WellB03_Point0001", "B03", 1, ""),
        ("screen_B03_0001", "B03", 1, ""),
        ("Well D6_S1", "D06", 1, ""),
        ("WellD6_S1", "D06", 1, ""),
        ("B03", "B03", None, ""),
        ("b3", "B03", None, ""),
        ("B3-2", "B03", 2, ""),
        ("IXMtest_A02_s9", "A02", 9, ""),
        ("20200101_plate12_C11_f03_w2", "C11", 3, "w2"),
        ("T01_B03_S02", "B03", 2, ""),
        ("B03_S02", "B03", 2, ""),
        ("AF48_1", "AF48", 1, ""),
    ],
)
def test_wells_fields_and_channels(stem: str, well: str, field: int | None, channel: str) -> None:
    named = read_name(stem)
    assert named.well is not None
    assert (named.well.name, named.field, named.channel) == (well, field, channel)


@pytest.mark.parametrize(
    "stem", ["tile_0_0", "Point0001", "overview of the plate", "B03_C04", "D03_B02", "A49", "B00", "100x100", ""]
)
def test_names_that_say_no_well_or_two(stem: str) -> None:
    if stem == "B03_C04":
        # C04 after a well is a channel of some microscopes.
        assert read_name(stem).well == WellId(1, 2)
        return
    assert read_name(stem).well is None


def test_z_time_and_sequence() -> None:
    named = read_name("WellC05_Point0002_Seq0007_z12_T3")
    assert (named.z, named.t, named.sequence, named.channel) == (12, 3, 7, "")


@given(st.builds(WellId, st.integers(0, 15), st.integers(0, 23)), st.integers(0, 9999))
def test_every_well_of_a_384_plate_is_found(well: WellId, field: int) -> None:
    for stem in (f"Well{well.name}_Point{field:04d}", f"{well.name}_s{field}", f"run 7_{well.name}_{field}"):
        assert read_name(stem)[:2] == (well, field)


@given(st.text(max_size=40))
def test_any_text_is_a_name(text: str) -> None:
    well = read_name(text).well
    assert well is None or (0 <= well.row < 32 and 0 <= well.column < 48)
