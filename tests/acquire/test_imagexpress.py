from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hts.acquire import Source, open_source
from hts.acquire.imagexpress_names import parse_shot
from hts.acquire.listing import ImageFile
from hts.errors import SourceError
from hts.model import PixelSize, WellId

from .conformance import ReaderConformance
from .folders import htd, metaseries, pixels, write_plane


class TestWithoutHtd(ReaderConformance):
    reader = "imagexpress"

    def path_of(self, well: WellId, field: int, channel: int) -> str:
        return f"TimePoint_1/P 1_{well.name}_s{field}_w{channel}.TIF"

    def path_in_stack(self, well: WellId, field: int, channel: int, z: int, t: int) -> str:
        return f"TimePoint_{t + 1}/ZStep_{z + 1}/P 1_{well.name}_s{field}_w{channel}.TIF"


class TestInLowerCaseWithoutFolders(ReaderConformance):
    reader = "imagexpress"

    def path_of(self, well: WellId, field: int, channel: int) -> str:
        return f"screen_a1_{well.name}_s{field}_w{channel}.tiff".lower()


class TestDatabase(ReaderConformance):
    reader = "imagexpress"

    def path_of(self, well: WellId, field: int, channel: int) -> str:
        return self.path_in_stack(well, field, channel, -1, -1)

    def path_in_stack(self, well: WellId, field: int, channel: int, z: int, t: int) -> str:
        guid = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{well} {field} {channel} {z} {t}")).upper()
        levels = (f"TimePoint_{t + 1}/" if t >= 0 else "") + (f"ZStep_{z + 1}/" if z >= 0 else "")
        return f"2024-04-22/1697/{levels}P 1_{well.name}_s{field}_w{channel}{guid}.tif"


def shot(name: str) -> tuple[object, ...] | None:
    found = parse_shot(ImageFile(Path(name), name))
    return None if found is None else (found.plate, found.well, found.site, found.wave, found.step, found.time)


@given(
    plate=st.sampled_from(["9987", "screen_A1", "S1", "run_s1", "a b", "x_w2", "B02"]),
    well=st.builds(WellId, st.integers(0, 31), st.integers(0, 47)),
    site=st.none() | st.integers(1, 120),
    wave=st.none() | st.integers(1, 9),
    step=st.none() | st.integers(0, 40),
    time=st.none() | st.integers(1, 99),
    lower=st.booleans(),
)
def test_names_round_trip(plate, well, site, wave, step, time, lower) -> None:
    # Plate A1 with well S01 and no site reads like well A1 with site 1: only 1536-well plates have such rows.
    assume(not (plate.endswith(("A1", "S1", "s1", "w2", "B02")) and well.row_name in "SW" and site is None))
    name = f"{plate}_{well.name}" + (f"_s{site}" if site else "") + (f"_w{wave}" if wave else "") + ".TIF"
    folders = (f"TimePoint_{time}/" if time else "") + (f"ZStep_{step}/" if step is not None else "")
    path = f"exported/{folders}{name}"
    expected = (plate, well, site or 1, wave or 1, step or 0, time or 1)
    if lower:
        path, expected = path.lower(), (plate.lower(), *expected[1:])
    assert shot(path) == expected


@pytest.mark.parametrize(
    "name",
    [
        "B03_s1_w1.tif",
        "B03_s10_w1.tif",
        "B03_w2.tif",
        "B03_s12.tif",
        "AS_09125_050116030001_D03f00d1.tif",
        "P_ZZ01_w1.tif",
        "P_A49_w1.tif",
        "P_A00_w1.tif",
        "P_B02_s1_w1AD2A4F51.tif",
        "P_B02_s1_w11AD2A4F51-0000-0000-0000.tif",
    ],
)
def test_names_of_other_layouts(name: str) -> None:
    assert shot(name) is None


def missing(source: Source) -> list[tuple[str, int, str]]:
    return [(one.well.name, one.field, one.channel) for one in source.issues if one.status == "missing"]


def write(root: Path, well: str, site: int, wave: int, folder: str = "", key: object = None, text: str = "") -> Path:
    path = root / folder / f"P_{well}_s{site}_w{wave}.TIF"
    return write_plane(path, pixels((well, site, wave, folder) if key is None else key), text)


def stack(root: Path, steps: tuple[int, ...], repeated: tuple[int, ...] = (2,), wells: str = "B02 B03") -> None:
    """Wave 1 has a plane in every step, ``repeated`` waves the same one in all of them."""
    for well in wells.split():
        for site in (1, 2):
            for step in steps:
                folder = f"TimePoint_1/ZStep_{step}"
                z_um = 100.0 + 1.5 * step
                write(root, well, site, 1, folder, text=metaseries(site * 10, 20, z_um, "DAPI"))
                for wave in repeated:
                    write(root, well, site, wave, folder, key=(well, site, wave), text=metaseries(name=f"C{wave}"))


def test_wells_selected_in_the_htd_are_expected(tmp_path: Path) -> None:
    (tmp_path / "P.htd").write_text(htd(("DAPI", "FITC", "Cy5"), ((1, 1), (1, 2), (7, 0)), n_t=6), encoding="utf-8")
    for wave in (1, 2):
        write(tmp_path, "B02", 1, wave)
        write(tmp_path, "B03", 1, wave)
    source = open_source(tmp_path)
    assert source.wells == (WellId(1, 1), WellId(1, 2), WellId(7, 0))
    assert missing(source) == [("H01", 1, "DAPI"), ("H01", 1, "FITC")]
    assert source.vendor_files == (tmp_path / "P.htd",)
    assert [channel.name for channel in source.channels] == ["DAPI", "FITC"]
    assert source.notes == (
        "HTD announces wave 3 (Cy5), no file has it",
        "HTD announces 6 time points, the files have 1",
        "HTD selects 3 wells, 1 have no file: H01",
    )


def test_a_damaged_htd_costs_names_only(tmp_path: Path) -> None:
    (tmp_path / "P.HTD").write_bytes(b'\xff\xfe\x00garbage\x80\r\n"WellsSelectionX", TRUE\r\n')
    write(tmp_path, "B02", 1, 1)
    source = open_source(tmp_path)
    assert ([channel.name for channel in source.channels], source.issues, source.notes) == (["w1"], (), ())


def test_names_sizes_and_positions_from_the_headers(tmp_path: Path) -> None:
    for site, x_um in ((1, 10.0), (2, 30.0)):
        for wave, name in ((1, "DAPI"), (2, "DAPI"), (3, "Texas Red")):
            write(tmp_path, "B02", site, wave, text=metaseries(x_um, 5.0, 70.0 + wave, name, 0.65))
    source = open_source(tmp_path)
    assert [channel.name for channel in source.channels] == ["DAPI", "DAPI w2", "Texas Red"]
    assert [channel.color for channel in source.channels] == ["0000FF", "0000FF", "0000FF"]  # 452 nm
    assert source.channels[0].wavelength_nm == 452
    assert source.pixel_size == PixelSize(0.65, 0.65, None)
    assert [(plane.x_um, plane.y_um, plane.z_um) for plane in source.planes] == [
        (10, 5, 71),
        (10, 5, None),
        (10, 5, None),
        (30, 5, 71),
        (30, 5, None),
        (30, 5, None),
    ]


def test_a_broken_first_file_does_not_cost_the_names(tmp_path: Path) -> None:
    write(tmp_path, "B02", 1, 1).write_bytes(b"broken")
    write(tmp_path, "B03", 1, 1, text=metaseries(name="FITC"))
    source = open_source(tmp_path)
    assert [channel.name for channel in source.channels] == ["FITC"]
    assert source.pixel_size == PixelSize(0.5, 0.5, None)
    assert [plane.x_um for plane in source.planes] == [None, 100.0]


def test_a_description_with_entities_is_noted(tmp_path: Path) -> None:
    write(tmp_path, "B02", 1, 1, text='<!DOCTYPE x [<!ENTITY a "b">]>' + metaseries())
    source = open_source(tmp_path)
    assert source.pixel_size is None
    assert any("P_B02_s1_w1.TIF: its description declares XML entities" in note for note in source.notes)


def test_single_planes_win_over_projections_and_copies_count_once(tmp_path: Path) -> None:
    stack(tmp_path, (0, 1, 2))
    source = open_source(tmp_path)
    assert (source.n_z, source.issues) == (2, ())
    first = [(plane.channel, plane.z, plane.path.parent.name) for plane in source.planes[:3]]
    assert first == [("DAPI", 0, "ZStep_1"), ("DAPI", 1, "ZStep_2"), ("C2", 0, "ZStep_1")]
    assert len(source.planes) == 4 * 3
    assert source.pixel_size == PixelSize(0.5, 0.5, 1.5)
    notes = "\n".join(source.notes)
    assert "projections of DAPI (ZStep_0) are left out" in notes
    assert "C2 is the same plane in 3 ZStep folders: kept once, at z index 0" in notes


def test_a_lost_copy_is_taken_from_another_folder(tmp_path: Path) -> None:
    stack(tmp_path, (1, 2))
    lost = tmp_path / "TimePoint_1" / "ZStep_1" / "P_B03_s2_w2.TIF"
    lost.write_bytes(b"")
    source = open_source(tmp_path)
    assert source.issues == ()
    assert lost.parent.parent / "ZStep_2" / lost.name in {plane.path for plane in source.planes}


def test_a_lost_single_plane_is_missing_though_its_projection_is_there(tmp_path: Path) -> None:
    stack(tmp_path, (0, 1, 2))
    (tmp_path / "TimePoint_1" / "ZStep_2" / "P_B03_s2_w1.TIF").unlink()
    source = open_source(tmp_path)
    (issue,) = source.issues
    assert (issue.well.name, issue.field, issue.channel, issue.z, issue.status) == ("B03", 2, "DAPI", 1, "missing")


def test_stacks_that_differ_in_one_field_are_stacks(tmp_path: Path) -> None:
    stack(tmp_path, (1, 2))
    write(tmp_path, "B03", 2, 2, "TimePoint_1/ZStep_2", key="another")
    source = open_source(tmp_path)
    assert sum(plane.channel == "C2" for plane in source.planes) == 4 * 2


def test_blank_stacks_are_stacks(tmp_path: Path) -> None:
    for step in (1, 2):
        write_plane(tmp_path / f"ZStep_{step}" / "P_B02_s1_w1.TIF", pixels(0) * 0)
    assert open_source(tmp_path).n_z == 2


def test_a_channel_with_only_a_projection_is_at_z_0(tmp_path: Path) -> None:
    stack(tmp_path, (1, 2), repeated=())
    for well in ("B02", "B03"):
        for site in (1, 2):
            write(tmp_path, well, site, 2, "TimePoint_1/ZStep_0")
    source = open_source(tmp_path)
    assert {(plane.channel, plane.z) for plane in source.planes} == {("DAPI", 0), ("DAPI", 1), ("w2", 0)}
    assert source.issues == ()
    assert any("w2 has only projections" in note for note in source.notes)


def test_projections_alone_are_the_planes(tmp_path: Path) -> None:
    stack(tmp_path, (0,))
    source = open_source(tmp_path)
    assert (source.n_z, len(source.planes)) == (1, 8)
    assert source.notes == ("the z planes are projections (ZStep_0)",)


def test_a_repeated_time_point_is_kept_and_noted(tmp_path: Path) -> None:
    for time in (1, 2, 10):
        write(tmp_path, "B02", 1, 1, f"TimePoint_{time}")
        write(tmp_path, "B02", 1, 2, f"TimePoint_{time}", key="once")
    source = open_source(tmp_path)
    assert [(plane.channel, plane.t, plane.path.parent.name) for plane in source.planes[::2]] == [
        ("w1", 0, "TimePoint_1"),
        ("w1", 1, "TimePoint_2"),
        ("w1", 2, "TimePoint_10"),
    ]
    assert source.notes == (
        "w2 at the second time point is a copy of the first: it was acquired less often",
        "t is numbered 1, 2, 10: these are the indices 0 to 2, with none between",
    )


def test_several_plates_in_one_folder_are_refused(tmp_path: Path) -> None:
    for plate, well in (("one", "B02"), ("two", "B03")):
        write(tmp_path / plate, well, 1, 1, "TimePoint_1")
        (tmp_path / plate / "P.HTD").write_text(htd(("DAPI",), ()))
        (tmp_path / plate / "TimePoint_1" / "P.HTD").write_text(htd(("DAPI",), ()))
    with pytest.raises(SourceError, match=r"HTD files of 2: one/, two/"):
        open_source(tmp_path)


def test_several_plate_names_are_noted(tmp_path: Path) -> None:
    write(tmp_path, "B02", 1, 1)
    write_plane(tmp_path / "Q_B03_s1_w1.TIF", pixels(1))
    assert "the files carry several plate names: P (1 files), Q (1 files)" in open_source(tmp_path).notes
