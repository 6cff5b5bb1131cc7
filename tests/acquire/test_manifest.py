from __future__ import annotations

import os
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts.acquire import Listing, Source, open_source, read_plane
from hts.acquire.manifest import ManifestReader
from hts.acquire.manifest_table import is_manifest, parse_manifest
from hts.errors import SourceError
from hts.locations import location
from hts.model import PixelSize, WellId

from .conformance import Key, ReaderConformance
from .folders import pixels, write_plane
from .simulated import check_positions, check_round_trip, small_scan, write_scan

HEADER = "Metadata_Plate,Metadata_Well,Metadata_Site,FileName_OrigDNA,PathName_OrigDNA"


class ManifestConformance(ReaderConformance):
    """A manifest lists every file; a second file of one plane is a second row."""

    reader = "manifest"

    def path_of(self, well: WellId, field: int, channel: int) -> str:
        return f"images/{(well.row * 7919 + well.column * 104729 + field * 13 + channel):07x}.tif"

    def manifest(self, keys: list[Key]) -> str:
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def table(self, tmp_path: Path) -> Path:
        path = tmp_path / "load_data.csv"
        path.write_text(self.manifest(list(product(self.wells, self.fields, self.channels))), "utf-8")
        return path

    def add_twin(self, table: Path, twin: str, victim: str) -> None:
        raise NotImplementedError

    def test_two_files_for_one_plane_are_both_refused(self, tmp_path: Path, victim: Path) -> None:
        twin = write_plane(tmp_path / "again" / victim.name, pixels("another"))
        self.add_twin(tmp_path / "load_data.csv", f"again/{twin.name}", f"images/{victim.name}")
        source = open_source(tmp_path)
        self.check_one_issue(source, "duplicate")
        for path in (victim, twin):
            assert path.relative_to(tmp_path).as_posix() in source.issues[0].reason


class TestLongStyle(ManifestConformance):
    def manifest(self, keys: list[Key]) -> str:
        rows = [f"{well.name};{field};C{channel};{self.path_of(well, field, channel)}" for well, field, channel in keys]
        return "\n".join(["\ufeffWell;Field;Channel;File", *rows])

    def add_twin(self, table: Path, twin: str, victim: str) -> None:
        line = next(line for line in table.read_text("utf-8").splitlines() if line.endswith(victim))
        table.write_text(table.read_text("utf-8") + "\n" + line.replace(victim, twin), "utf-8")


class TestWideStyle(ManifestConformance):
    def manifest(self, keys: list[Key]) -> str:
        files = "FileName_OrigDNA,PathName_OrigDNA,FileName_OrigER,PathName_OrigER"
        rows = [f"Metadata_Row,Metadata_Col,Metadata_Site,{files}"]
        for well, field in sorted({key[:2] for key in keys}):
            names = [f"{self.path_of(well, field, channel).removeprefix('images/')},images" for channel in (1, 2)]
            rows.append(f"{well.row + 1},{well.column + 1},{field},{','.join(names)}")
        return "\r\n".join(rows)

    def add_twin(self, table: Path, twin: str, victim: str) -> None:
        well, field = self.wells[1], self.fields[-1]
        row = f"{well.row + 1},{well.column + 1},{field},,,{twin.removeprefix('again/')},again"
        table.write_text(f"{table.read_text('utf-8')}\r\n{row}", "utf-8")


def write(root: Path, *names: str) -> None:
    for name in names:
        write_plane(root / name, pixels(name.rpartition("/")[2]))


def manifest(root: Path, *lines: str, header: str = HEADER) -> Path:
    path = root / "load_data.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *lines]) + "\n", "utf-8")
    return path


def found(source: Source) -> dict[str, str]:
    return {plane.well.name: source.file_name(plane) for plane in source.planes}


def reasons(source: Source) -> dict[str, str]:
    return {issue.well.name: issue.reason for issue in source.issues}


def test_round_trip_with_z_and_t(tmp_path: Path) -> None:
    scan = small_scan(n_z=3, n_t=2, lost=True)
    source = check_round_trip(tmp_path / "plate", "manifest", scan)
    check_positions(source, scan)
    assert (source.plate_name, source.pixel_size) == ("P7", PixelSize(0.65, 0.65, 2.0))
    assert (source.acquisition.magnification, source.acquisition.numerical_aperture) == (20.0, 0.75)
    assert [channel.name for channel in source.channels] == ["DNA", "Actin"]
    assert source.vendor_files == (tmp_path / "plate" / "load_data.csv",)
    assert "line 26 of the manifest: images/img-" in source.issues[0].reason
    assert source.notes == ()


# --- which reader ------------------------------------------------------------------------------------------------


def test_a_vendors_names_win_over_a_manifest_unless_it_is_chosen(tmp_path: Path) -> None:
    write(tmp_path, "P_B03_s1_w1.TIF")
    path = manifest(tmp_path, "P7,C04,2,P_B03_s1_w1.TIF,.")
    assert open_source(tmp_path).reader == "imagexpress"
    for source in (open_source(path), open_source(tmp_path, reader="manifest")):
        assert (source.reader, found(source)) == ("manifest", {"C04": "P_B03_s1_w1.TIF"})


def test_several_manifests_must_be_chosen_from(tmp_path: Path) -> None:
    write(tmp_path, "x.tif")
    (tmp_path / "second.csv").write_text(manifest(tmp_path, "P7,C04,2,x.tif,.").read_text())
    with pytest.raises(SourceError, match="a known microscope layout"):
        open_source(tmp_path)
    with pytest.raises(SourceError, match=r"one manifest in (.|\n)*found: 2: load_data\.csv, second\.csv"):
        open_source(tmp_path, reader="manifest")
    assert open_source(tmp_path / "second.csv").reader == "manifest"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "found: an empty file"),
        (b"Well,Dose\nB03,1\n", "found: columns Well, Dose"),
        (b"File,Channel\nx.tif,1\n", "found: columns File, Channel"),
        (bytes(range(1, 256)), "a manifest with columns for the well and for files"),
    ],
)
def test_a_chosen_table_that_is_no_manifest(tmp_path: Path, content: bytes, message: str) -> None:
    write(tmp_path, "x.tif")
    (tmp_path / "load_data.csv").write_bytes(content)
    with pytest.raises(SourceError, match=rf"load_data\.csv: (.|\n)*{message}"):
        open_source(tmp_path / "load_data.csv")
    with pytest.raises(SourceError, match="a known microscope layout"):
        open_source(tmp_path)


def test_no_manifest_at_all(tmp_path: Path) -> None:
    write(tmp_path, "x.tif")
    with pytest.raises(SourceError, match="manifest 0 of 1"):
        open_source(tmp_path, reader="manifest")
    with pytest.raises(SourceError, match="found: none"):
        ManifestReader().read(Listing.of(tmp_path))


def test_several_plates_are_refused_with_their_names(tmp_path: Path) -> None:
    write(tmp_path, "x.tif", "y.tif")
    manifest(tmp_path, "P7,C04,1,x.tif,.", "P8,C04,1,y.tif,.")
    with pytest.raises(SourceError, match=r"found: 2 plates: P7, P8"):
        open_source(tmp_path)


# --- files -------------------------------------------------------------------------------------------------------


def test_paths_of_another_machine_are_found_by_their_folders(tmp_path: Path) -> None:
    write(tmp_path, "plate1/Images/a.tif", "plate1/Images/b.tif", "plate2/Images/a.tif", "plate2/Images/c.tif")
    manifest(
        tmp_path,
        r"P,A01,1,a.tif,D:\data\Plate1\Images",
        r"P,A02,1,b.tif,D:\data\Plate1\Images",
        r"P,A03,1,c.tif,D:\data\Plate1\Images",
    )
    source = open_source(tmp_path)
    # c.tif of the other plate must not be taken for the one that is lost here.
    assert found(source) == {"A01": "plate1/Images/a.tif", "A02": "plate1/Images/b.tif"}
    assert reasons(source) == {
        "A03": "line 4 of the manifest: D:/data/Plate1/Images/c.tif lies outside the manifest's folder and is not "
        "opened; nothing inside has its name"
    }
    assert "2 files that the manifest lists in D:/data/Plate1/Images are taken from plate1/Images" in source.notes


def test_files_that_were_sorted_into_folders_are_found(tmp_path: Path) -> None:
    write(tmp_path, "A/a.tif", "B/b.tif", "C/c.tif", "backup/c.tif")
    manifest(tmp_path, *(f"P,A0{n},1,{name}.tif,s3://bucket/plate" for n, name in enumerate("abc", 1)))
    source = open_source(tmp_path)
    assert found(source) == {"A01": "A/a.tif", "A02": "B/b.tif"}
    assert reasons(source)["A03"].endswith("s3://bucket/plate/c.tif: several files below the folder have this name")


@pytest.mark.parametrize("path", ["../secret.tif", "images/../../secret.tif", "..\\secret.tif"])
def test_a_path_that_climbs_out_is_never_opened(tmp_path: Path, path: str) -> None:
    root = tmp_path / "plate"
    write(tmp_path, "secret.tif")
    write(root, "a.tif", "images/secret.tif")
    manifest(root, "P,A01,1,a.tif,", f"P,A02,1,{path},")
    source = open_source(root)
    assert found(source) == {"A01": "a.tif"}
    assert reasons(source)["A02"].endswith("secret.tif leads out of the manifest's folder and is not opened")


def test_the_manifests_own_folder_is_the_limit(tmp_path: Path) -> None:
    write(tmp_path, "a.tif", "meta/b.tif")
    path = manifest(tmp_path / "meta", "P,A01,1,../a.tif,", "P,A02,1,b.tif,", "P,A03,1,/b.tif,/elsewhere")
    path.rename(tmp_path / "meta" / "list.csv")
    source = open_source(tmp_path)
    assert found(source) == {"A02": "meta/b.tif", "A03": "meta/b.tif"}
    assert reasons(source) == {
        "A01": "line 2 of the manifest: ../a.tif leads out of the manifest's folder and is not opened"
    }


def test_an_absolute_path_outside_is_never_opened(tmp_path: Path) -> None:
    root = tmp_path / "plate"
    write(tmp_path, "secret.tif")
    write(root, "a.tif")
    manifest(root, "P,A01,1,a.tif,", f"P,A02,1,secret.tif,{tmp_path}", f"P,A03,1,{tmp_path}/secret.tif,")
    source = open_source(root)
    assert found(source) == {"A01": "a.tif"}
    assert [issue.status for issue in source.issues] == ["missing", "missing"]
    assert "lies outside" in reasons(source)["A03"]


def test_absolute_paths_inside_and_addresses(tmp_path: Path) -> None:
    write(tmp_path, "images/a b.tif", "images/c.tif")
    header = "Well,URL_DNA"
    manifest(tmp_path, f"A01,file://{tmp_path}/images/a%20b.tif", f"A02,{tmp_path}/images/c.tif", header=header)
    source = open_source(tmp_path)
    assert found(source) == {"A01": "images/a b.tif", "A02": "images/c.tif"}
    assert (source.notes, [channel.name for channel in source.channels]) == ((), ["DNA"])


def test_a_path_that_climbs_and_comes_back_is_inside(tmp_path: Path) -> None:
    write(tmp_path, "images/a.tif")
    manifest(tmp_path, "P,A01,1,a.tif,other/../images")
    assert found(open_source(tmp_path)) == {"A01": "images/a.tif"}


def test_what_is_wrong_with_a_row_is_said_by_its_line(tmp_path: Path) -> None:
    write(tmp_path, "a.tif")
    (tmp_path / "b.png").write_bytes(b"png")
    manifest(
        tmp_path,
        "P,A01,1,a.tif,",
        "",
        "P,X99,1,a.tif,",
        "P,A02,1,lost.tif,",
        "P,A03,1,,",
        "P,A04,1,b.png,",
        "P,A05,first,a.tif,",
        "P,A06",
    )
    source = open_source(tmp_path)
    assert found(source) == {"A01": "a.tif"}
    assert reasons(source) == {
        "A02": "line 5 of the manifest: lost.tif is not there",
        "A03": "line 6 of the manifest: no file is given for DNA",
        "A04": "line 7 of the manifest: b.png is no image of a format that is read",
        "A06": "line 9 of the manifest: no file is given for DNA",
    }
    assert source.notes == (
        "line 4 of the manifest names no plane: well 'X99', field '1'",
        "line 8 of the manifest names no plane: well 'A05', field 'first'",
    )


def test_rows_may_share_out_the_channels_of_a_field(tmp_path: Path) -> None:
    write(tmp_path, "a.tif", "b.tif")
    manifest(tmp_path, "A01,a.tif,", "A01,,b.tif", "A02,a.tif,", header="Well,FileName_DNA,FileName_ER")
    source = open_source(tmp_path)
    assert [(plane.well.name, plane.channel) for plane in source.planes] == [
        ("A01", "DNA"),
        ("A01", "ER"),
        ("A02", "DNA"),
    ]
    assert reasons(source) == {"A02": "line 4 of the manifest: no file is given for ER"}


def test_many_bad_rows_are_counted(tmp_path: Path) -> None:
    write(tmp_path, "a.tif")
    manifest(tmp_path, "P,A01,1,a.tif,", *["P,nowhere,1,a.tif,"] * 9)
    source = open_source(tmp_path)
    assert len(source.notes) == 6
    assert source.notes[-1] == "and 4 more rows of the manifest name no plane"


def test_a_manifest_of_files_that_are_not_there(tmp_path: Path) -> None:
    write(tmp_path, "a.tif")
    manifest(tmp_path, "P,A01,1,lost.tif,")
    with pytest.raises(SourceError, match=r"none of 1; line 2 of the manifest: lost\.tif is not there"):
        open_source(tmp_path)
    with pytest.raises(SourceError, match="none of 0"):
        open_source(manifest(tmp_path))


def test_one_image_for_two_planes_is_noted(tmp_path: Path) -> None:
    write(tmp_path, "a.tif")
    manifest(tmp_path, "P,A01,1,a.tif,", "P,A02,1,a.tif,")
    assert open_source(tmp_path).notes == (
        "1 images are listed for several planes, such as a.tif in lines 2, 3 of the manifest",
    )


def test_pages_of_one_file(tmp_path: Path) -> None:
    import tifffile

    stack = np.stack([pixels(0), pixels(1)])
    tifffile.imwrite(tmp_path / "stack.tif", stack, photometric="minisblack")
    manifest(tmp_path, "B2,0,stack.tif,0", "B2,1,stack.tif,1", header="well id,Z,file name,Page")
    source = open_source(tmp_path)
    assert [(plane.z, plane.index) for plane in source.planes] == [(0, 0), (1, 1)]
    for plane in source.planes:
        np.testing.assert_array_equal(read_plane(plane, source.shape, source.dtype), pixels(plane.z))
    assert source.notes == ()


def test_a_row_that_is_no_csv_ends_the_manifest(tmp_path: Path) -> None:
    write(tmp_path, "a.tif")
    manifest(tmp_path, "P,A01,1,a.tif,", f'P,A02,1,"{"x" * 200_000}",', "P,A03,1,a.tif,")
    source = open_source(tmp_path / "load_data.csv")
    assert found(source) == {"A01": "a.tif"}
    assert source.notes[0].startswith("the manifest cannot be read from line 3 on (field larger than")


def test_other_encodings_and_links_to_nothing(tmp_path: Path) -> None:
    write(tmp_path, "a.tif")
    (tmp_path / "load_data.csv").write_bytes("Metadata_Plate,Well,FileName_µ\nPlättchen,B2,a.tif\n".encode("latin-1"))
    source = open_source(tmp_path)
    assert (source.plate_name, source.channels[0].name) == ("Plättchen", "µ")
    (tmp_path / "b.csv").symlink_to(tmp_path / "gone.csv")
    assert open_source(tmp_path).plate_name == "Plättchen"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_images_that_may_not_be_read(tmp_path: Path) -> None:
    write(tmp_path, "a.tif", "b.tif")
    manifest(tmp_path, "P,A01,1,a.tif,", "P,A02,1,b.tif,")
    closed = tmp_path / "b.tif"
    closed.chmod(0)
    source = open_source(tmp_path)
    with pytest.raises(SourceError, match=r"b\.tif: permission denied"):
        read_plane(source.planes[1], source.shape, source.dtype)


# --- columns -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("Well,File", "B03,a.tif"),
        ("well_id;file name", "b3;a.tif"),
        ("Row\tColumn\tPath", "B\t3\ta.tif"),
        ("Metadata_Row,Metadata_Col,FileName_DNA", "2,3,a.tif"),
        ("Image_Metadata_Well,Image_FileName_DNA,Image_PathName_DNA", "B03,a.tif,/x"),
        ('"Well","URL_DNA"', '"B03","https://host/a.tif"'),
    ],
)
def test_spellings_of_columns(header: str, row: str) -> None:
    assert is_manifest(header)
    (entry,) = parse_manifest(f"\r\n{header}\r\n{row}\r\n").entries
    assert (entry.well, entry.field, entry.z, entry.t) == (WellId(1, 2), 1, 0, 0)
    assert entry.file.endswith("a.tif")


def test_illumination_functions_are_no_channels() -> None:
    found = parse_manifest("Well,FileName_IllumDNA,FileName_OrigDNA,FileName_OrigER\nA1,x.npy,a.tif,b.tif")
    assert found.channels == ("DNA", "ER")
    assert found.notes == ("columns of illumination functions are left out: IllumDNA",)
    assert parse_manifest("Well,FileName_OrigDNA,FileName_ER\nA1,a.tif,b.tif").channels == ("OrigDNA", "ER")


def test_lengths_in_metres_and_in_micrometres() -> None:
    header = "Well,FileName_DNA,Metadata_PositionX,Metadata_PositionY,Metadata_AbsPositionZ,Metadata_ImageResolutionX"
    harmony = parse_manifest(f"{header}\nA1,a.tif,0.0006,-0.0003,0.0061,5.98e-07")
    assert harmony.entries[0].stage[:3] == (300.0, 600.0, 6100.0)
    assert harmony.pixel_size == PixelSize(0.598, 0.598)
    plain = parse_manifest(f"{header}\nA1,a.tif,600,-300,6100,0.598")
    assert plain.entries[0].stage[:3] == (-300.0, 600.0, 6100.0)
    assert plain.pixel_size == PixelSize(0.598, 0.598)
    absurd = parse_manifest(f"{header}\nA1,a.tif,inf,x,,-1")
    assert (absurd.entries[0].stage[:3], absurd.pixel_size) == ((None, None, None), None)


@given(
    well=st.builds(WellId, st.integers(0, 31), st.integers(0, 47)),
    numbers=st.tuples(*[st.integers(0, 9999)] * 3),
    delimiter=st.sampled_from(",;\t"),
    quoted=st.booleans(),
)
def test_rows_round_trip(well: WellId, numbers: tuple[int, int, int], delimiter: str, quoted: bool) -> None:
    cells = [well.name, *map(str, numbers), "a,b;c.tif" if quoted else "a.tif"]
    row = delimiter.join(f'"{cell}"' if quoted else cell for cell in cells)
    (entry,) = parse_manifest(delimiter.join(["Well", "Field", "Z", "T", "File"]) + "\n" + row).entries
    assert (entry.well, entry.field, entry.z, entry.t, entry.file) == (well, *numbers, cells[-1])


def test_from_memory(tmp_path: Path) -> None:
    root = location("memory://manifest-plate")
    for path in (*write_scan(tmp_path, "manifest", small_scan()).values(), tmp_path / "load_data.csv"):
        (root / path.relative_to(tmp_path).as_posix()).write_bytes(path.read_bytes())
    for place in (root, root / "load_data.csv"):
        source = ManifestReader().read(Listing.of(place))
        assert (len(source.planes), source.issues) == (18, ())
    expected = open_source(tmp_path)
    assert [source.file_name(plane) for plane in source.planes] == [expected.file_name(one) for one in expected.planes]


@pytest.mark.real
def test_columns_of_a_real_load_data_table(data_dir: Path) -> None:
    import pandas as pd

    folder = data_dir / "profiles_pycytominer" / "cell_locations_example_data"
    table = pd.read_parquet(folder / "test_BR00126114_load_data_with_illum.parquet")
    found = parse_manifest(table.to_csv(index=False))
    assert found.channels == ("AGP", "DNA", "ER", "Mito", "RNA")
    assert (found.plates, len(found.entries)) == (("BR00126114",), 10)
    assert {(entry.well.name, entry.field) for entry in found.entries} == {("A01", 1), ("A01", 2)}
