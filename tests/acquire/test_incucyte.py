from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from hts.acquire import Listing, open_source, read_plane
from hts.acquire.incucyte import IncuCyteReader, parse_shot, read_widened
from hts.acquire.listing import ImageFile
from hts.errors import SourceError, UsageError
from hts.locations import location
from hts.model import WellId

from .conformance import ReaderConformance
from .folders import SHAPE, pixels, write_plane
from .simulated import check_round_trip, small_scan, write_scan


class TestChannelFolders(ReaderConformance):
    reader = "incucyte"

    def path_of(self, well: WellId, field: int, channel: int) -> str:
        folder = ("Green (GCU)", "PHASE")[channel - 1]
        return f"Vessel 7/{folder}/VID7_{well.row_name}{well.column + 1}_{field}_00d00h00m.tif"

    def path_in_stack(self, well: WellId, field: int, channel: int, z: int, t: int) -> str | None:
        return None if z else self.path_of(well, field, channel).replace("00d00h", f"00d{2 * t:02d}h")


class TestChannelInThePrefix(ReaderConformance):
    reader = "incucyte"

    def path_of(self, well: WellId, field: int, channel: int) -> str:
        return f"R2_MDF_{('green', 'phase')[channel - 1]}_{well.name}_{field}_2024y01m15d_09h00m.tif"


def shot(name: str) -> tuple[object, ...] | None:
    found = parse_shot(ImageFile(Path(name), name))
    return None if found is None else (found.vessel, found.well, found.field, found.minutes, found.channel)


@given(
    prefix=st.sampled_from(["VID7", "exp A1", "x_B2_y", "P1", ""]),
    well=st.builds(WellId, st.integers(0, 31), st.integers(0, 47)),
    image=st.integers(1, 99),
    minutes=st.integers(0, 99 * 1440 - 1),
)
def test_names_round_trip(prefix: str, well: WellId, image: int, minutes: int) -> None:
    time = f"{minutes // 1440:02d}d{minutes % 1440 // 60:02d}h{minutes % 60:02d}m"
    name = f"{prefix}{'_' if prefix else ''}{well.row_name}{well.column + 1}_{image}_{time}.tif"
    assert shot(f"any/red/{name}") == (prefix, well, image, minutes, "Red")


@pytest.mark.parametrize(
    ("path", "vessel", "channel"),
    [
        ("NIR/VID1630_A1_1_00d00h00m.tif", "VID1630", "NIR"),
        ("plate/Phase Contrast/vid9_A1_1_00d00h00m.tif", "VID9", "Phase"),
        ("phase/green/x_A1_1_00d00h00m.tif", "x", "Green"),
        ("VID9955_Phase_A1_1_00d00h00m.tif", "VID9955", "Phase"),
        ("exp_1_red_A1_1_00d00h00m.tif", "exp_1", "Red"),
        ("Red/exp_red_A1_1_00d00h00m.tif", "exp", "Red"),
        ("A1_1_00d00h00m.tif", "", ""),
        ("greenhouse/x_A1_1_00d00h00m.tif", "x", ""),
    ],
)
def test_vessel_and_channel(path: str, vessel: str, channel: str) -> None:
    assert shot(path) == (vessel, WellId(0, 0), 1, 0, channel)


@pytest.mark.parametrize(
    "name",
    ["x_A1_1_0000.tif", "x_A99_1_00d00h00m.tif", "x_A1_1_2024y13m01d_00h00m.tif", "x_1_00d00h00m.tif", "B03_s1_w1.tif"],
)
def test_names_of_other_layouts(name: str) -> None:
    assert shot(name) is None


def test_a_well_without_image_number() -> None:
    assert shot("x_B3_00d01h00m.tif") == ("x", WellId(1, 2), 1, 60, "")


def test_round_trip(tmp_path: Path) -> None:
    source = check_round_trip(tmp_path / "plate", "incucyte", small_scan(n_t=3, lost=True))
    assert [channel.name for channel in source.channels] == ["Actin", "DNA"]
    assert (source.acquisition.time_step_s, source.plate_name, source.notes) == (1800.0, "VID0001", ())


def test_the_simulator_has_no_place_for_z(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="one z plane, and time points of a minute"):
        write_scan(tmp_path, "incucyte", small_scan(n_z=2))


def write(root: Path, path: str, dtype: str = "uint16") -> Path:
    return write_plane(root / path, pixels(path, dtype=dtype))


def test_time_of_the_clock(tmp_path: Path) -> None:
    for time in ("2024y02m29d_23h30m", "2024y03m01d_01h30m", "2024y03m01d_03h30m"):
        write(tmp_path, f"phase/x_A1_1_{time}.tif")
    source = open_source(tmp_path)
    assert [plane.acquired for plane in source.planes] == [
        "2024-02-29T23:30:00",
        "2024-03-01T01:30:00",
        "2024-03-01T03:30:00",
    ]
    assert (source.acquisition.started, source.acquisition.time_step_s) == ("2024-02-29T23:30:00", 7200.0)


def test_uneven_times_are_said(tmp_path: Path) -> None:
    for time in ("00d00h00m", "00d02h00m", "01d00h05m"):
        write(tmp_path, f"phase/x_A1_1_{time}.tif")
    source = open_source(tmp_path)
    assert (source.n_t, source.acquisition.time_step_s) == (3, None)
    assert source.notes == ("the 3 time points are not evenly spaced: 00d00h00m, 00d02h00m, 01d00h05m",)


def test_two_clocks_are_not_mixed(tmp_path: Path) -> None:
    for name in ("x_A1_1_00d00h00m", "x_A1_1_00d01h00m", "x_A1_1_2024y01m01d_00h00m"):
        write(tmp_path, f"phase/{name}.tif")
    source = open_source(tmp_path)
    assert [plane.path.name for plane in source.planes] == ["x_A1_1_00d00h00m.tif", "x_A1_1_00d01h00m.tif"]
    assert "2 names tell the time elapsed and 1 that of the clock: the plate is made of the former" in source.notes
    assert any("x_A1_1_2024y01m01d_00h00m.tif" in note for note in source.notes)


@pytest.mark.parametrize(
    "paths",
    [
        ("phase/VID1_A1_1_00d00h00m.tif", "green/VID2_A1_1_00d00h00m.tif"),
        ("phase/VID1_A1_1_00d00h00m.tif", "phase/VID2_B1_1_00d00h00m.tif"),
        ("one/phase/VID1_A1_1_00d00h00m.tif", "two/phase/VID2_A1_1_00d00h00m.tif"),
    ],
)
def test_several_vessels_are_refused_with_the_list(tmp_path: Path, paths: tuple[str, ...]) -> None:
    for path in paths:
        write(tmp_path, path)
    with pytest.raises(SourceError, match=r"one vessel in (.|\n)*2: VID1, VID2"):
        open_source(tmp_path)


def test_two_prefixes_in_one_channel_are_two_vessels_and_in_two_channels_one(tmp_path: Path) -> None:
    write(tmp_path, "phase/a_A1_1_00d00h00m.tif")
    write(tmp_path, "green/b_A1_1_00d00h00m.tif")
    assert len(open_source(tmp_path).planes) == 2
    write(tmp_path, "green/a_A2_1_00d00h00m.tif")
    with pytest.raises(SourceError, match=r"2: a, b"):
        open_source(tmp_path)


def test_folders_name_channels_that_no_word_names(tmp_path: Path) -> None:
    for folder in ("mCherry", "GFP", "phase"):
        write(tmp_path, f"{folder}/x_A1_1_00d00h00m.tif")
    assert [channel.name for channel in open_source(tmp_path).channels] == ["GFP", "Phase", "mCherry"]


def test_no_channel_at_all(tmp_path: Path) -> None:
    write(tmp_path, "x_A1_1_00d00h00m.tif")
    assert [channel.name for channel in open_source(tmp_path).channels] == ["Image"]


def test_phase_of_8_bits_beside_fluorescence_of_16(tmp_path: Path) -> None:
    for well in ("A1", "A2", "A3"):
        write(tmp_path, f"phase/x_{well}_1_00d00h00m.tif", "uint8")
        write(tmp_path, f"green/x_{well}_1_00d00h00m.tif")
    source = open_source(tmp_path)
    assert source.dtype == np.dtype("uint16")
    assert source.notes == (
        "channels differ in their bits (Green 16, Phase 8): all are read as uint16, values unchanged",
    )
    assert source.read is read_widened
    for plane in source.planes:
        found = source.read(plane, source.shape, source.dtype)
        assert found.dtype == np.dtype("uint16")
        np.testing.assert_array_equal(found, pixels(source.file_name(plane)))


def test_widening_refuses_what_does_not_fit(tmp_path: Path) -> None:
    write(tmp_path, "phase/x_A1_1_00d00h00m.tif", "uint8")
    write(tmp_path, "green/x_A1_1_00d00h00m.tif")
    source = open_source(tmp_path)
    write_plane(source.planes[0].path, pixels("float", dtype="float32"))
    with pytest.raises(SourceError, match="has pixels of type float32, the plate's planes are uint16"):
        read_widened(source.planes[0], source.shape, source.dtype)
    write_plane(source.planes[1].path, pixels("small", (4, 4), "uint8"))
    with pytest.raises(SourceError, match="is 4 × 4"):
        read_widened(source.planes[1], source.shape, source.dtype)


def test_colour_images_are_refused_one_by_one_and_noted(tmp_path: Path) -> None:
    write(tmp_path, "green/x_A1_1_00d00h00m.tif")
    path = tmp_path / "phase" / "x_A1_1_00d00h00m.tif"
    path.parent.mkdir()
    tifffile.imwrite(path, np.zeros((*SHAPE, 3), "uint8"), photometric="rgb")
    source = open_source(tmp_path)
    assert any(note.startswith("Phase: the first file is refused") for note in source.notes)
    with pytest.raises(SourceError, match="is a colour image"):
        read_plane(source.planes[1], source.shape, source.dtype)


def test_forced_on_another_layout(tmp_path: Path) -> None:
    write(tmp_path, "P_B03_s1_w1.TIF")
    with pytest.raises(SourceError, match="incucyte 0 of 1"):
        open_source(tmp_path, reader="incucyte")
    with pytest.raises(SourceError, match=r"names such as VID12_B3_1_00d02h00m\.tif"):
        IncuCyteReader().read(Listing.of(tmp_path))


def test_from_memory(tmp_path: Path) -> None:
    root = location("memory://incucyte-plate")
    for name in ("phase/x_A1_1_00d00h00m.tif", "green/x_A1_1_00d00h00m.tif"):
        (root / name).write_bytes(write(tmp_path, name).read_bytes())
    source = IncuCyteReader().read(Listing.of(root))
    assert [source.file_name(plane) for plane in source.planes] == [
        "green/x_A1_1_00d00h00m.tif",
        "phase/x_A1_1_00d00h00m.tif",
    ]
    np.testing.assert_array_equal(
        read_plane(source.planes[1], source.shape, source.dtype), pixels("phase/x_A1_1_00d00h00m.tif")
    )
