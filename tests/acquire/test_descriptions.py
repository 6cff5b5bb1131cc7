from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts.acquire.descriptions import (
    ImageFacts,
    duration_ms,
    magnification_of,
    metaseries_stage,
    read_description,
)
from hts.acquire.metadata import iso_time
from hts.model import PixelSize
from hts.synth.metaseries import plane_xml
from hts.synth.scan import Shot
from tests.synth.scans import small_scan

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


def test_a_metaseries_description_tells_how_the_plane_was_taken() -> None:
    scan = small_scan()
    extra = [("Instrument Serial Number", "string", "77"), ("Z Projection Method", "string", "Maximum")]
    facts = read_description(plane_xml(scan, Shot(scan.wells[0], 2, 1, 1, 1), extra))
    x_um, y_um = scan.stage_um(Shot(scan.wells[0], 2, 0).key)
    assert facts == ImageFacts(
        pixel_size=PixelSize(0.65, 0.65),
        y_um=y_um,
        x_um=x_um,
        z_um=9002.0,
        channel="FITC",
        wavelength_nm=536.0,
        exposure_ms=80.0,
        objective="20x simulated",
        magnification=20.0,
        numerical_aperture=0.75,
        acquired="2024-01-15T09:30:02.800",
        binning="1x1",
        projection="Maximum",
        plate_name="P1",
        instrument="ImageXpress 77",
    )


def test_the_quick_look_at_a_description_agrees_with_the_thorough_one() -> None:
    scan = small_scan()
    for shot in scan.shots():
        text = plane_xml(scan, shot)
        quick, full = metaseries_stage(text), read_description(text)
        assert quick is not None
        assert (quick.y_um, quick.x_um, quick.z_um, quick.acquired) == (full.y_um, full.x_um, full.z_um, full.acquired)
        assert quick.y_um is not None


@pytest.mark.parametrize("text", ["", "ImageJ=1.5", "<OME/>", "<!DOCTYPE x><MetaData></MetaData>"])
def test_the_quick_look_leaves_other_texts_to_the_thorough_one(text: str) -> None:
    assert metaseries_stage(text) is None


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("20240709 13:13:03.006", "2024-07-09T13:13:03.006"),
        ("2024-07-09T13:13:03Z", "2024-07-09T13:13:03+00:00"),
        ("20249999 13:13:03.006", ""),
        ("yesterday", ""),
        (None, ""),
    ],
)
def test_times(text: str | None, iso: str) -> None:
    assert iso_time(text) == iso


@pytest.mark.parametrize(
    ("text", "ms"), [("15 ms", 15), ("1.5 s", 1500), ("300us", 0.3), ("0 ms", None), ("15", None), ("ms", None)]
)
def test_durations(text: str, ms: float | None) -> None:
    assert duration_ms(text) == ms


@pytest.mark.parametrize(
    ("objective", "factor"), [("40X Plan Apo Lambda", 40), ("Plan 2.5x/0.1", 2.5), ("20 × water", 20), ("Plan", None)]
)
def test_magnifications(objective: str, factor: float | None) -> None:
    assert magnification_of(objective) == factor


OME = """<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">
<Instrument ID="I"><Objective ID="O" Model="Plan" NominalMagnification="20.0" LensNA="0.8"/></Instrument>
<Image ID="Image:0"><AcquisitionDate>2024-03-01T12:00:00</AcquisitionDate>
<Pixels PhysicalSizeX="0.3" PhysicalSizeY="300" PhysicalSizeYUnit="nm" PhysicalSizeZ="2">
<Channel Name="DAPI" EmissionWavelength="455" ExcitationWavelength="0.385" ExcitationWavelengthUnit="µm"/>
<Plane TheZ="0" ExposureTime="1.5E-2" PositionX="1.25" PositionXUnit="mm" PositionY="2" PositionYUnit="µm"
 PositionZ="7"/></Pixels></Image></OME>"""


def test_an_ome_description_tells_how_its_only_plane_was_taken() -> None:
    assert read_description(OME) == ImageFacts(
        pixel_size=PixelSize(0.3, 0.3, 2.0),
        y_um=2.0,
        x_um=1250.0,
        z_um=None,  # in a frame of reference of the microscope's own
        channel="DAPI",
        wavelength_nm=455.0,
        excitation_nm=385.0,
        exposure_ms=15.0,
        objective="Plan",
        magnification=20.0,
        numerical_aperture=0.8,
        acquired="2024-03-01T12:00:00",
    )


def test_of_several_ome_planes_none_is_the_one() -> None:
    facts = read_description(OME.replace("<Plane ", '<Plane TheZ="1" PositionX="9"/><Channel Name="B"/><Plane ', 1))
    assert (facts.x_um, facts.exposure_ms, facts.channel, facts.wavelength_nm) == (None, None, None, None)
    assert facts.pixel_size == PixelSize(0.3, 0.3, 2.0)
