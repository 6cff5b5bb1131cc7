from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from hts.model import FieldKey, PlateLayout, WellId
from hts.synth import metaseries
from hts.synth.microscopes.imagexpress import file_name, htd_text, write
from hts.synth.scan import Shot

from .scans import CHANNELS, pixels_of, small_scan

B02 = WellId(1, 1)


@pytest.mark.parametrize(
    ("fields", "channels", "name"),
    [(2, 2, "P1_B02_s1_w2.TIF"), (1, 2, "P1_B02_w2.TIF"), (2, 1, "P1_B02_s1.TIF"), (1, 1, "P1_B02.TIF")],
)
def test_a_lone_site_or_wave_is_not_numbered(fields, channels, name):
    scan = small_scan(fields=fields, channels=CHANNELS[:channels])
    assert file_name(scan, Shot(B02, 1, channels - 1)) == name


@pytest.mark.parametrize(("fields", "grid"), [(1, (1, 1)), (2, (2, 1)), (3, (2, 2)), (4, (2, 2)), (6, (3, 2))])
def test_site_grid_holds_all_fields(fields, grid):
    assert small_scan(fields=fields).site_grid == grid


def test_htd_says_what_was_acquired():
    text = htd_text(small_scan(wells=(B02, WellId(1, 2), WellId(7, 11))))
    lines = text.split("\r\n")
    assert lines[0] == '"HTSInfoFile", Version 1.0'
    assert lines[-2:] == ['"EndFile"', ""]
    record = dict(line.split(", ", 1) for line in lines[:-2])
    assert (record['"XWells"'], record['"YWells"']) == ("12", "8")
    assert (record['"TimePoints"'], record['"ZSeries"'], record['"ZSteps"']) == ("2", "TRUE", "2")
    selected = [record[f'"WellsSelection{row}"'].split(", ") for row in range(1, 9)]
    assert selected[1] == ["FALSE", "TRUE", "TRUE"] + ["FALSE"] * 9
    assert sum(row.count("TRUE") for row in selected) == 3
    assert selected[7][11] == "TRUE"
    assert (record['"Sites"'], record['"XSites"'], record['"YSites"']) == ("TRUE", "2", "2")
    assert record['"SiteSelection2"'] == "TRUE, FALSE"
    assert (record['"NWavelengths"'], record['"WaveName2"']) == ("2", '"FITC"')


def test_htd_of_a_single_plane_and_of_a_384_well_plate():
    assert '"Sites", FALSE' in htd_text(small_scan(fields=1))
    assert '"Waves", FALSE' in htd_text(small_scan(channels=CHANNELS[:1]))
    assert '"ZSeries", FALSE' in htd_text(small_scan(n_z=1))
    assert '"XWells", 24\r\n"YWells", 16' in htd_text(small_scan(layout=PlateLayout(16, 24)))


def test_plate_identifier_follows_from_the_barcode():
    def identifiers(*codes: str) -> set[str]:
        return {htd_text(small_scan(barcode=code)).split("UniquePlateIdentifier")[1] for code in codes}

    assert len(identifiers("a", "a")) == 1
    assert len(identifiers("a", "b")) == 2


def test_stage_positions_have_the_pitch_of_the_plate():
    scan = small_scan(fields=1)
    assert scan.stage_um(FieldKey(WellId(0, 0), 1)) == (14380.0, 11240.0)  # ANSI/SLAS 4
    assert scan.stage_um(FieldKey(WellId(2, 1), 1)) == (14380.0 + 9000, 11240.0 + 18000)
    large = small_scan(layout=PlateLayout(16, 24), fields=1)
    assert large.stage_um(FieldKey(WellId(0, 0), 1)) == (12130.0, 8990.0)


def test_fields_of_a_well_do_not_overlap():
    scan = small_scan(fields=4)
    (x1, y1), (x2, y2), (x3, y3) = (scan.stage_um(FieldKey(B02, field)) for field in (1, 2, 3))
    assert x2 - x1 > 32 * 0.65
    assert y2 == y1
    assert y3 - y1 > 24 * 0.65
    assert x3 == x1


def test_plane_xml_can_be_parsed_and_tells_what_was_done():
    scan, shot = small_scan(pixel_size_um=0.325), Shot(B02, 2, 1, 1, 1)
    text = metaseries.plane_xml(scan, shot)
    text.encode("ascii")
    root = ElementTree.fromstring(text)
    props = {prop.get("id"): prop.get("value") for prop in root.iter("prop")}
    assert float(props["spatial-calibration-x"]) == float(props["spatial-calibration-y"]) == 0.325
    assert props["spatial-calibration-units"] == "um"
    assert (float(props["stage-position-x"]), float(props["stage-position-y"])) == scan.stage_um(shot.key)
    assert float(props["z-position"]) == 9002
    assert (props["image-name"], props["_IllumSetting_"], props["wavelength"]) == ("FITC", "FITC", "536")
    assert props["acquisition-time-local"] == "20240115 09:30:02.800"
    assert (props["_MagSetting_"], props["_MagNA_"], props["camera-binning-x"]) == ("20x simulated", "0.75", "1")
    lines = props["Description"].split("\r\n")
    assert lines[:5] == [
        "Plate Name: P1",
        "Simulated by hts synth",
        "Timepoint: 2",
        "Exposure: 80 ms",
        "Binning: 1 x 1",
    ]


def test_folders_are_there_for_what_was_acquired_and_each_has_the_htd(tmp_path: Path) -> None:
    write(tmp_path, small_scan(), pixels_of)
    folders = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_dir()}
    assert folders == {f"TimePoint_{t}{z}" for t in (1, 2) for z in ("", "/ZStep_1", "/ZStep_2")}
    assert len({path.read_bytes() for path in tmp_path.rglob("P1.HTD")}) == 1
    assert len(list(tmp_path.rglob("P1.HTD"))) == 1 + len(folders)
    assert len(list(tmp_path.glob("TimePoint_2/ZStep_1/P1_C11_s2_w*.TIF"))) == 0
    assert len(list(tmp_path.glob("TimePoint_2/ZStep_1/P1_C11_s3_w*.TIF"))) == 2
