from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from hts.acquire.first_page import first_description

from .folders import metaseries, pixels, write_plane


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("text", ["five!", "x" * 9000, metaseries()])
def test_is_what_the_full_parser_reads(tmp_path: Path, text: str, byteorder: str) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels(0), description=text, metadata=None, byteorder=byteorder)
    with tifffile.TiffFile(path) as tiff:
        assert first_description(path) == tiff.pages[0].description == text


def test_of_several_pages_it_is_the_first(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for text in ("the first", "the second"):
            writer.write(pixels(0), description=text, metadata=None)
    assert first_description(tmp_path / "a.tif") == "the first"


def test_other_files_are_left_to_the_full_parser(tmp_path: Path) -> None:
    write_plane(tmp_path / "without.tif", pixels(0))
    tifffile.imwrite(tmp_path / "big.tif", pixels(0), description="a text", metadata=None, bigtiff=True)
    (tmp_path / "empty.tif").write_bytes(b"")
    (tmp_path / "folder.tif").mkdir()
    for name in ("without", "big", "empty", "folder", "gone"):
        assert first_description(tmp_path / f"{name}.tif") is None


def test_a_truncated_file_has_no_text(tmp_path: Path) -> None:
    path = write_plane(tmp_path / "a.tif", pixels(0), "a text that is long enough to lie outside of its entry")
    whole = path.read_bytes()
    for size in range(0, whole.index(b"of its entry"), 7):
        path.write_bytes(whole[:size])
        assert first_description(path) is None


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_no_bytes_raise(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.tif"
    write_plane(path, np.zeros((2, 2), "uint16"), "a text")
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        raw[data.draw(st.integers(4, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(raw)
    assert isinstance(first_description(path), str | None)
