from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts.acquire.build import Sighting, Stage, absent, is_absent
from hts.acquire.indexed import file_of, merge, numbered_well, settle, time_step_s, z_step_um
from hts.acquire.listing import ImageFile, Listing
from hts.acquire.metadata import attributes, children, iso_time, iter_xml, read_xml, whole
from hts.errors import SourceError
from hts.model import WellId

A01 = WellId(0, 0)


def sighting(z: int = 0, t: int = 0, file: str = "a.tif", field: int = 1, stage: Stage = Stage()) -> Sighting:  # noqa: B008
    return Sighting(A01, field, "DAPI", z, t, ImageFile(Path(file), file), None, stage)


def test_elements_before_a_damage_are_read(tmp_path: Path) -> None:
    path = tmp_path / "index.xml"
    body = "".join(f'<n:Item n:number="{number}"><n:Name>µ{number}</n:Name></n:Item>' for number in range(5000))
    path.write_text(
        f'<?xml version="1.0" encoding="utf-16"?><Root xmlns:n="urn:x">{body}</Wrong>', encoding="utf-8-sig"
    )
    seen: list[tuple[str, str | None]] = []

    def read_all() -> None:
        for node in iter_xml(path, {"Item"}):
            seen.append((attributes(node)["number"], children(node)["Name"].text))

    with pytest.raises(SourceError, match=r"index\.xml: is not valid XML"):
        read_all()
    assert seen == [(str(number), f"µ{number}") for number in range(5000)]


def test_elements_are_emptied_when_they_were_used(tmp_path: Path) -> None:
    path = tmp_path / "index.xml"
    path.write_text("<Root><Item><Name/></Item><Item/></Root>")
    kept = list(iter_xml(path, {"Item"}))
    assert [len(node) for node in kept] == [0, 0]
    assert len(read_xml(path)[0]) == 1


@given(st.integers(0, 999_999_999))
def test_whole_numbers(value: int) -> None:
    assert whole(f" {value:05d}\n") == value


@pytest.mark.parametrize("text", [None, "", "-1", "1.0", "1e3", "9" * 10, "9" * 5000, "٣", "x", "1 2"])
def test_no_whole_numbers(text: str | None) -> None:
    assert whole(text) is None


@given(st.datetimes(min_value=datetime(1901, 1, 1)))
def test_times(moment: datetime) -> None:
    assert datetime.fromisoformat(iso_time(f" {moment.isoformat()} ")) == moment


@pytest.mark.parametrize("text", [None, "", "yesterday", "2024-13-01T00:00:00", "9" * 5000])
def test_no_times(text: str | None) -> None:
    assert iso_time(text) == ""


def test_wells_by_number() -> None:
    assert numbered_well("32", "048") == WellId(31, 47)
    assert {numbered_well(*pair) for pair in (("0", "1"), ("33", "1"), ("1", "49"), ("", "1"), ("A", "1"))} == {None}


@pytest.mark.parametrize(
    "stated", ["../x.tif", "/x.tif", "C:x.tif", "file://x.tif", "a/../../../x.tif", "\\\\host\\x.tif", ""]
)
def test_a_file_outside_is_absent(tmp_path: Path, stated: str) -> None:
    (tmp_path / "x.tif").write_bytes(b"1")
    listing = Listing.of(tmp_path)
    assert is_absent(file_of(stated, "", listing))
    assert file_of("../x.tif", "Images/", listing).name == "x.tif"
    assert file_of(".\\x.tif", "", listing).name == "x.tif"


def test_a_file_by_its_name_takes_the_place_of_an_absent_one() -> None:
    stage = Stage(1.0, 2.0, 3.0)
    listed = [sighting(0, stage=stage)._replace(file=absent("", "gone")), sighting(1)]
    found = merge(listed, [sighting(0, file="b.tif"), sighting(0, file="c.tif"), sighting(2, file="d.tif")])
    assert [(one.z, one.file.name) for one in found] == [(0, "b.tif"), (1, "a.tif"), (0, "c.tif"), (2, "d.tif")]
    assert found[0].stage == stage


def test_a_file_of_several_planes_is_none_of_them() -> None:
    settled, notes = settle([sighting(0), sighting(0), sighting(1), sighting(2, file="b.tif")])
    assert notes == ("1 entries of the index are repeated",)
    assert [one.file.problem for one in settled] == ["the index names this file for 2 planes"] * 2 + [""]
    pages = [sighting(z)._replace(page=z) for z in range(3)]
    assert settle(pages) == (pages, ())


def test_steps_are_those_of_most() -> None:
    heights = {1: 10.0, 2: 12.0, 4: 16.0, 5: 99.0}
    stack = [sighting(z, field=field, stage=Stage(z_um=-um)) for z, um in heights.items() for field in (1, 2)]
    assert z_step_um(stack) == 2.0
    assert z_step_um([sighting(), sighting(1)]) is None
    times = ("2024-01-01T00:00:00+01:00", "2024-01-01T00:10:00.5+01:00", "2024-01-01T00:20:00+01:00")
    assert time_step_s([sighting(0, t, stage=Stage(acquired=time)) for t, time in enumerate(times)]) == 600
    assert time_step_s([sighting(0, t, stage=Stage(acquired=times[0])) for t in range(3)]) is None
    assert time_step_s([]) is None
