"""Layout files as people have them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts.acquire.layout import read_layout
from hts.errors import NotFoundError, UsageError
from hts.model import WellId, row_name


@pytest.fixture(params=[False, True], ids=["object", "str"], autouse=True)
def _text_type(request: pytest.FixtureRequest):
    """Columns of text are object up to pandas 2, and of their own type from pandas 3."""
    with pd.option_context("future.infer_string", request.param):
        yield


@pytest.fixture
def layout(tmp_path: Path):
    def read(content: str | bytes) -> pd.DataFrame:
        path = tmp_path / "plate layout.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_layout(path)

    return read


@pytest.mark.parametrize(
    "header",
    ["Well", "well", "WELL", "WellID", "well_id", "Well Name", "Well position", "Metadata_Well", " Well "],
)
def test_a_well_column(layout, header):
    table = layout(f"Compound,{header},Dose\nDMSO,b3,0\nx,H-012,1.5\n")
    assert table.to_dict("list") == {"Well": ["B03", "H12"], "Compound": ["DMSO", "x"], "Dose": [0, 1.5]}


@pytest.mark.parametrize(
    ("row", "column"),
    [("Row", "Column"), ("row", "col"), ("COL", "ROW"), ("Well_Row", "Well_Col"), ("Metadata_Row", "Metadata_Column")],
)
def test_row_and_column_columns_in_any_order(layout, row, column):
    swapped = "row" not in row.lower()
    lines = ["3,Q,B", "12,R,h"] if swapped else ["B,Q,3", "h,R,12"]
    table = layout("\n".join([f"{row},Drug,{column}", *lines]))
    assert table.to_dict("list") == {"Well": ["B03", "H12"], "Drug": ["Q", "R"]}


@given(row=st.integers(0, 31), column=st.integers(0, 47), padded=st.booleans())
def test_every_well_is_found_by_letters_and_by_numbers(tmp_path_factory, row, column, padded):
    path = tmp_path_factory.mktemp("layout") / "one.csv"
    number = f"{column + 1:02d}" if padded else str(column + 1)
    names = set()
    for text in (
        f"Well\n{row_name(row)}{number}",
        f"Row,Column\n{row_name(row)},{number}",
        f"Row;Column\n{row + 1:0{1 + padded}d};{number}",
    ):
        path.write_text(text)
        names |= set(read_layout(path)["Well"])
    assert names == {WellId(row, column).name}


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_separators_line_ends_and_byte_order_marks(layout, separator, newline, mark):
    lines = [["Well", "Compound", "Dose"], ["A01", "5-FU", "0.5"], ["A02", "", "3"]]
    table = layout(mark + newline.join(separator.join(line) for line in lines).encode())
    assert list(table.columns) == ["Well", "Compound", "Dose"]
    assert table["Dose"].tolist() == [0.5, 3]
    assert table["Compound"].isna().tolist() == [False, True]


def test_separators_in_quotes_do_not_count(layout):
    table = layout('Well,"Name; salt; form; batch",Dose\nA01,"2,4-D; acid",1\n')
    assert table.to_dict("list") == {"Well": ["A01"], "Name; salt; form; batch": ["2,4-D; acid"], "Dose": [1]}


@pytest.mark.parametrize("column", ['"""03"""', "'03'", '"=""03"""', " 3 "])
def test_guarded_numbers(layout, column):
    assert layout(f"row,col,drug\nB,{column},x\n")["Well"].tolist() == ["B03"]


def test_one_column_is_a_layout(layout):
    table = layout("Well\nA01\nB02\n")
    assert table.to_dict("list") == {"Well": ["A01", "B02"]}


def test_numbers_become_numbers_and_text_stays(layout):
    table = layout("Well,Whole,Real,Gap,Text\nA1,1,1e-3,,1 uM\nA2,-2,2.5,4,2 uM\n")
    assert table["Whole"].dtype == "int64"
    assert table["Real"].tolist() == [0.001, 2.5]
    assert table["Gap"].isna().tolist() == [True, False]
    assert table["Gap"].dtype == "float64"
    assert table["Text"].tolist() == ["1 uM", "2 uM"]


def test_the_prefix_of_profiles_is_taken_off(layout):
    table = layout("Metadata_Well,Metadata_Dose,Plain,Metadata_Plain\nA1,1,2,3\n")
    assert table.to_dict("list") == {"Well": ["A01"], "Dose": [1], "Plain": [2]}


def test_of_several_well_columns_the_first_counts(layout):
    assert layout("Well,Metadata_Well,D\nA1,A2,1\n").to_dict("list") == {"Well": ["A01"], "D": [1]}
    assert layout("Well,WellID,D\nA1,17,1\n")["Well"].tolist() == ["A01"]
    assert layout("Row,Well,Column\nC,A1,4\n")["Well"].tolist() == ["A01"]


def test_empty_lines_are_no_wells(layout):
    table = layout("\n\nWell,D\n\nA1,1\n,\nA2,2\n\n")
    assert table.to_dict("list") == {"Well": ["A01", "A02"], "D": [1, 2]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("Well,D\nA1,1\nX,2\n", r"plate layout\.csv, line 3: a well such as B03\n  found: 'X'"),
        ("\nWell,D\n\nA1,1\n\n\nA0,2\n", r"plate layout\.csv, line 7: a well such as B03\n  found: 'A0'"),
        ("Well,D\nA1,1\n,2\n", r"plate layout\.csv, line 3: a well"),
        ("Row,Column\nA,1\n?,2\n", r"plate layout\.csv, line 3: a well such as B03\n  found: '\?2'"),
        ("Row,Column\n0,1\n", r"plate layout\.csv, line 2: a well such as B03\n  found: '01'"),
        ("Row,Column\nA,x\n", r"plate layout\.csv, line 2: a well"),
        ("Row,Column\n,5\n", r"plate layout\.csv, line 2: a well"),
        ("Well,D\nA1,1\nA2,1\na01,2\n", r"plate layout\.csv has one line a well\n  found: A01 in lines 2, 4\n"),
        ("Row,Column\nB,2\n2,02\n", r"found: B02 in lines 2, 3\n  likely cause: the file describes several plates"),
        ("foo,bar\n1,2\n", r"plate layout\.csv has a column Well(.|\n)*found: foo, bar"),
        ("Row,Dose\nA,2\n", r"the columns Row and Column\n  found: Row, Dose"),
        ("", r"plate layout\.csv is a table with a header line"),
        ("\n\n", r"plate layout\.csv is a table with a header line"),
        ("Well,Dose\n", r"plate layout\.csv has a line for every well\n  found: a header line alone"),
        ("Well,D\nA1,1,5\n", r"plate layout\.csv has a name for every column"),
        ("Well,D\nA1,1\nA2,2,3\n", r"plate layout\.csv is a table(.|\n)*line 3, saw 3"),
        ("Well,Dose µM\nA1,1\n".encode("latin-1"), r"plate layout\.csv is text in UTF-8(.|\n)*save it as CSV UTF-8"),
        ("Well,D\nA1,1\n".encode("utf-16"), r"plate layout\.csv is text in UTF-8"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_place(layout, content, message):
    with pytest.raises(UsageError, match=message):
        layout(content)


def test_no_such_file(tmp_path: Path):
    with pytest.raises(NotFoundError, match=r"a layout file at .*gone\.csv\n  found: no such file"):
        read_layout(tmp_path / "gone.csv")
    with pytest.raises(NotFoundError, match="no such file"):
        read_layout(tmp_path)


@pytest.mark.real
def test_the_translocation_plate(data_dir: Path):
    table = read_layout(data_dir / "cp_sbs_96well" / "1049_Metadata.csv")
    assert list(table.columns) == ["Well", "ImageNumber", "SBS_Doses", "SBS_Controls"]
    assert sorted(table["Well"]) == [f"{row}{column:02d}" for row in "ABCDEFGH" for column in range(1, 13)]
    assert table["SBS_Controls"].value_counts().to_dict() == {0: 72, -1: 16, 1: 8}
    assert table["SBS_Doses"].min() == 0
    assert table["SBS_Doses"].max() == 10


@pytest.mark.real
def test_the_operetta_layouts(data_dir: Path):
    folder = data_dir / "operetta_compose" / "fixtures"
    table = read_layout(folder / "drug_layout.csv")
    assert table.to_dict("list") == {"Well": ["C03"], "drug": ["DMSO"], "concentration": [0.125], "unit": ["%"]}
    table = read_layout(folder / "drug_layout_utf8-dom.csv")
    assert table["Well"].tolist() == ["B03"]
    assert list(table.columns) == ["Well", "drug", "concentration", "unit", "my_metadata"]
    assert table["concentration"].tolist() == [0.1]


@pytest.mark.real
def test_the_layouts_of_384_well_plates(data_dir: Path, layout):
    path = data_dir / "profiles_segmine_platemap" / "plate_metadata.csv"
    with pytest.raises(UsageError, match=r"found: B13 in lines 2, 545, 843; (.|\n)*describes several plates"):
        read_layout(path)
    header, *lines = path.read_text("utf-8").splitlines()
    table = layout("\n".join([header, *(line for line in lines if ",PB000104," in line)]))
    assert len(table) == 298
    assert all(WellId.parse(well) < WellId(16, 0) for well in table["Well"])
    assert set(table["barcode"]) == {"PB000104"}
    assert table["cmpd_conc"].dtype == "float64"
