from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts.acquire.descriptions import ImageFacts, read_description

from .folders import metaseries


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE lolz [<!ENTITY lol "lol">]><MetaData>&lol;</MetaData>',
        '<?xml version="1.0"?>\n<! DOCTYPE x SYSTEM "file:///etc/passwd"><MetaData/>',
        '<MetaData><!ENTITY a "b"></MetaData>',
    ],
)
def test_entities_are_refused_unread(text: str) -> None:
    facts = read_description(text)
    assert facts == ImageFacts(problem="its description declares XML entities or a document type, which are not read")


def test_broken_xml_costs_the_facts_only() -> None:
    facts = read_description(metaseries()[:-5])
    assert facts.pixel_size is None
    assert "not valid XML" in facts.problem


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"spatial-calibration-state" type="string" value="on"', '"spatial-calibration-state" value="off"'),
        ('value="um"', 'value="pixel"'),
        ('"spatial-calibration-x" type="string" value="0.5"', '"spatial-calibration-x" value="0"'),
        ('"spatial-calibration-y" type="string" value="0.5"', '"spatial-calibration-y" value="nan"'),
    ],
)
def test_pixel_size_that_cannot_be_trusted_is_none(old: str, new: str) -> None:
    text = metaseries()
    assert old in text
    facts = read_description(text.replace(old, new))
    assert facts.pixel_size is None
    assert facts.x_um == 100.0


def test_channel_falls_back_to_the_name_of_the_image() -> None:
    text = metaseries(name="FITC").replace("_IllumSetting_", "_Other_")
    assert read_description(text).channel == "FITC"


@given(st.text() | st.text().map(lambda text: f"<MetaData>{text}</MetaData>"))
def test_no_text_raises(text: str) -> None:
    assert isinstance(read_description(text), ImageFacts)
