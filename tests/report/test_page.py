from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from hts.errors import StoreError
from hts.report.data import ReportData
from hts.report.page import render, write_page

MakeData = Callable[..., ReportData]
EVIL = "<script>alert('x')</script>.tif"


class Reader(HTMLParser):
    """Tags, addresses and text as a browser sees them (scripts and styles are no tags)."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] not in (["script"], ["style"]):
            self.words.append(data)


def test_page_loads_nothing_from_anywhere(make_data: MakeData) -> None:
    text = render(make_data(overlays=2))
    page = Reader(text)
    assert len(page.addresses) > 8
    assert all(address.startswith(("data:", "#")) for address in page.addresses)
    assert {"link", "iframe", "object"} & set(page.tags) == {"link"}
    assert "@import" not in text
    assert "default-src 'none'" in text


def test_hostile_text_is_only_text(make_data: MakeData) -> None:
    plain = Reader(render(make_data(overlays=1)))
    data = make_data(overlays=1)
    hostile = replace(
        data,
        plate=EVIL,
        planes=data.planes.assign(File=EVIL, Reason=EVIL),
        wells=data.wells.assign(Reason=data.wells["Reason"].where(data.wells["Status"] == "done", EVIL)),
        profiles=data.profiles.assign(Metadata_Compound=EVIL).rename(columns={"Mean_Nuclei_AreaShape_Area": EVIL}),
        notes=(EVIL,),
        recipe_yaml=f"name: {EVIL}",
        provenance={EVIL: EVIL},
        readout_name=EVIL,
        dose_name=EVIL,
        quality={"readout": EVIL, "z_prime": 0.1, "features": [{"feature": EVIL, "z_prime": 0.1, "ssmd": 1}]},
        overlays=(replace(data.overlays[0], title=EVIL, reason=EVIL, legend={EVIL: "FF0000", "bad": "0;}x{a"}),),
    )
    text = render(hostile)
    page = Reader(text)
    assert page.tags.count("script") == plain.tags.count("script")
    assert EVIL not in text
    assert sum(EVIL in word for word in page.words) >= 14
    assert "0;}x{a" not in text


def test_every_picture_is_embedded_with_its_outlines(make_data: MakeData) -> None:
    text = render(make_data(overlays=3))
    assert text.count('src="data:image/jpeg;base64,') == 3
    assert text.count('src="data:image/png;base64,') == 3
    assert "A08 field 1" in text


def test_failures_and_notes_are_told(make_data: MakeData) -> None:
    text = render(make_data(overlays=0))
    for told in ("2 of 96 wells failed", "D05, D06", "8 problem planes", "truncated TIFF", "Channel2-01-D05.tif",
                 "No GPU was found"):  # fmt: skip
        assert told in text


def test_how_the_objects_were_made_is_told(make_data: MakeData) -> None:
    text = render(make_data())
    for told in ("cellpose builtin:nuclei", "abababababab", "812, 812 dropped", "3 straight edges along 92160 px"):
        assert told in text
    assert "Touching the border" not in render(make_data(segmentation=()))


def test_a_run_without_failure_says_so(make_data: MakeData) -> None:
    data = make_data(rows=4, columns=6, overlays=0)
    planes = data.planes.iloc[:0]
    text = render(replace(data, planes=planes, notes=()))
    assert "Nothing failed: all 24 wells are done and every expected plane was read." in text
    with_note = render(replace(data, planes=planes, notes=("slow disk",)))
    assert "Nothing failed" in with_note
    assert "slow disk" in with_note


def test_no_controls_no_dose_no_pictures(make_data: MakeData) -> None:
    text = render(make_data(overlays=0, quality={}, dose=None, fit=None))
    assert "No dose response" in text
    assert "No Z′ and no SSMD" in text
    assert "No picture" in text
    assert 'id="lightbox"' not in text
    assert "negative control" not in text


def test_all_wells_failed(make_data: MakeData) -> None:
    data = make_data(overlays=0)
    wells = data.wells.assign(Status="failed", Reason="disk full", Cells=float("nan"), FieldsUsed=0)
    text = render(replace(data, wells=wells, profiles=pd.DataFrame(), dose=None, fit=None, quality={}))
    assert "96 of 96 wells failed" in text
    assert "disk full" in text


def test_a_large_plate_with_many_features_stays_small(make_data: MakeData, tmp_path: Path) -> None:
    page = write_page(make_data(32, 48, features=300, overlays=0), tmp_path / "report.html")
    assert page.stat().st_size < 12e6


def test_writing_replaces_the_old_page_and_leaves_nothing_else(make_data: MakeData, tmp_path: Path) -> None:
    path = tmp_path / "new" / "report.html"
    data = make_data(overlays=0)
    assert write_page(data, path) == path
    write_page(replace(data, plate="second plate"), path)
    assert "second plate" in path.read_text(encoding="utf-8")
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]


def test_a_page_that_cannot_be_written_is_named(make_data: MakeData, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"file/report\.html[\s\S]*what to do"):
        write_page(make_data(overlays=0), tmp_path / "file" / "report.html")
    (tmp_path / "report.html").mkdir()
    with pytest.raises(StoreError, match=r"report\.html"):
        write_page(make_data(overlays=0), tmp_path / "report.html")
    assert {file.name for file in tmp_path.iterdir()} == {"file", "report.html"}
