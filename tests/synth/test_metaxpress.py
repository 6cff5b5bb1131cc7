from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from datetime import datetime

import pytest

from hts.model import FieldKey, WellId
from hts.synth import SynthSpec
from hts.synth.metaxpress import (
    acquisition_time,
    file_name,
    htd_text,
    plane_xml,
    plate_identifier,
    site_grid,
    stage_position_um,
)


def key(well: str, field: int = 1) -> FieldKey:
    return FieldKey(WellId.parse(well), field)


@pytest.mark.parametrize(
    ("fields", "channels", "name"),
    [(2, 2, "p_B02_s1_w2.TIF"), (1, 2, "p_B02_w2.TIF"), (2, 1, "p_B02_s1.TIF"), (1, 1, "p_B02.TIF")],
)
def test_a_lone_site_or_wave_is_not_numbered(fields, channels, name):
    spec = SynthSpec(plate_name="p", fields=fields, channels=channels)
    assert file_name(spec, key("B02"), channels - 1) == name


@pytest.mark.parametrize(("fields", "grid"), [(1, (1, 1)), (2, (2, 1)), (3, (2, 2)), (4, (2, 2)), (6, (3, 2))])
def test_site_grid_holds_all_fields(fields, grid):
    assert site_grid(fields) == grid


def test_htd_says_what_was_acquired():
    text = htd_text(SynthSpec(wells="B02-C03,H12", fields=3))
    lines = text.split("\r\n")
    assert lines[0] == '"HTSInfoFile", Version 1.0'
    assert lines[-2:] == ['"EndFile"', ""]
    record = dict(line.split(", ", 1) for line in lines[:-2])
    assert (record['"XWells"'], record['"YWells"']) == ("12", "8")
    assert (record['"TimePoints"'], record['"ZSteps"']) == ("1", "1")
    selected = [record[f'"WellsSelection{row}"'].split(", ") for row in range(1, 9)]
    assert selected[1] == ["FALSE", "TRUE", "TRUE"] + ["FALSE"] * 9
    assert sum(row.count("TRUE") for row in selected) == 5
    assert selected[7][11] == "TRUE"
    assert (record['"Sites"'], record['"XSites"'], record['"YSites"']) == ("TRUE", "2", "2")
    assert record['"SiteSelection2"'] == "TRUE, FALSE"
    assert (record['"NWavelengths"'], record['"WaveName2"']) == ("2", '"Reporter"')


def test_htd_of_a_single_plane_and_of_a_384_well_plate():
    assert '"Sites", FALSE' in htd_text(SynthSpec(fields=1))
    assert '"Waves", FALSE' in htd_text(SynthSpec(channels=1))
    assert '"XWells", 24\r\n"YWells", 16' in htd_text(SynthSpec(wells="P24"))


def test_plate_identifier_follows_from_the_seed():
    assert plate_identifier(SynthSpec()) == plate_identifier(SynthSpec(wells="A01"))
    assert plate_identifier(SynthSpec()) != plate_identifier(SynthSpec(seed=1))


def test_stage_positions_have_the_pitch_of_the_plate():
    spec = SynthSpec(fields=1)
    assert stage_position_um(spec, key("A01")) == (14380.0, 11240.0)  # ANSI/SLAS 4
    assert stage_position_um(spec, key("C02")) == (14380.0 + 9000, 11240.0 + 18000)
    assert stage_position_um(SynthSpec(wells="P24", fields=1), key("A01")) == (12130.0, 8990.0)


def test_fields_of_a_well_do_not_overlap():
    spec = SynthSpec(fields=4)
    (x1, y1), (x2, y2), (x3, y3) = (stage_position_um(spec, key("B02", field)) for field in (1, 2, 3))
    assert x2 - x1 > 512 * 0.65
    assert y2 == y1
    assert y3 - y1 > 512 * 0.65
    assert x3 == x1


def test_plane_xml_can_be_parsed_and_tells_the_pixel_size():
    spec = SynthSpec(pixel_size_um=0.325, cells_per_field=20)
    text = plane_xml(spec, key("B02", 2), 1, datetime(2024, 1, 15, 9, 0, 1, 250000))
    text.encode("ascii")
    root = ElementTree.fromstring(text)
    props = {prop.get("id"): prop.get("value") for prop in root.iter("prop")}
    assert float(props["spatial-calibration-x"]) == float(props["spatial-calibration-y"]) == 0.325
    assert props["spatial-calibration-units"] == "um"
    assert float(props["stage-position-x"]) == stage_position_um(spec, key("B02", 2))[0]
    assert (props["image-name"], props["_IllumSetting_"], props["wavelength"]) == ("Reporter", "FITC", "525")
    assert props["acquisition-time-local"] == "20240115 09:00:01.250"
    assert props["Description"].startswith("Plate Name: synthetic\r\nSimulated")


def test_planes_are_taken_one_after_the_other():
    spec = SynthSpec()
    times = [acquisition_time(spec, field, channel) for field in range(2) for channel in range(2)]
    assert times == sorted(set(times))
