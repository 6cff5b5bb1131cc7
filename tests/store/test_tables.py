from __future__ import annotations

import errno
import os

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from hts.errors import StoreError
from hts.store import read_table, write_table
from tests.store.plates import run_python


def _frame(wells: int = 4) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    names = [f"A{number:02d}" for number in range(1, wells + 1)]
    return pd.DataFrame(
        {
            "Metadata_Plate": "made",
            "Metadata_Well": names,
            "Count_Nuclei": generator.integers(0, 100, wells),
            "Nuclei_AreaShape_Area": generator.normal(100, 9, wells),
            "Cells_Intensity_MeanIntensity_DNA": [np.nan, *generator.normal(5, 1, wells - 1)],
        }
    )


DESCRIBED = {"Nuclei_AreaShape_Area": {"role": "feature", "compartment": "Nuclei", "unit": "px²"}}


def test_a_table_comes_back(tmp_path):
    frame = _frame()
    write_table(tmp_path / "deep" / "down" / "t.parquet", frame, DESCRIBED)
    pd.testing.assert_frame_equal(read_table(tmp_path / "deep" / "down" / "t.parquet"), frame)
    assert list(read_table(tmp_path / "deep" / "down" / "t.parquet", ["Metadata_Well"])) == ["Metadata_Well"]


def test_the_index_is_not_kept(tmp_path):
    frame = _frame()
    write_table(tmp_path / "t.parquet", frame.set_index(np.array([5, 3, 9, 1])))
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.parquet"), frame)


def test_the_same_frame_gives_the_same_bytes(tmp_path):
    write_table(tmp_path / "a.parquet", _frame(), DESCRIBED)
    write_table(tmp_path / "b.parquet", _frame(), {**DESCRIBED, "Absent": {"unit": "1"}})
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_the_same_frame_gives_the_same_bytes_in_another_process(tmp_path):
    code = """
import sys
from pathlib import Path
from hts.store import write_table
from tests.store.test_tables import DESCRIBED, _frame
write_table(Path(sys.argv[1]), _frame(), DESCRIBED)
"""
    for seed in ("1", "2"):
        done = run_python(code, tmp_path / f"{seed}.parquet", env={"PYTHONHASHSEED": seed})
        assert done.returncode == 0, done.stderr
    write_table(tmp_path / "here.parquet", _frame(), DESCRIBED)
    assert len({(tmp_path / f"{name}.parquet").read_bytes() for name in ("1", "2", "here")}) == 1


def test_columns_say_what_they_mean(tmp_path):
    write_table(tmp_path / "t.parquet", _frame(), DESCRIBED)
    schema = pq.read_schema(tmp_path / "t.parquet")
    found = schema.field("Nuclei_AreaShape_Area").metadata
    assert {
        key.decode(): value.decode() for key, value in found.items() if not key.startswith(b"PARQUET")
    } == DESCRIBED["Nuclei_AreaShape_Area"]
    assert b"unit" not in (schema.field("Metadata_Well").metadata or {})
    assert schema.metadata == {b"hts": b"1"}


def test_pycytominer_reads_the_file_unmodified(tmp_path):
    import pycytominer

    frame = _frame(12)
    write_table(tmp_path / "t.parquet", frame, DESCRIBED)
    normalized = pycytominer.normalize(str(tmp_path / "t.parquet"), method="standardize")
    assert normalized["Metadata_Well"].tolist() == frame["Metadata_Well"].tolist()
    area = frame["Nuclei_AreaShape_Area"]
    np.testing.assert_allclose(normalized["Nuclei_AreaShape_Area"], (area - area.mean()) / area.std(ddof=0))


def test_a_folder_of_tables_reads_in_name_order(tmp_path):
    frame = _frame()
    write_table(tmp_path / "B01.parquet", frame.iloc[2:])
    write_table(tmp_path / "A01.parquet", frame.iloc[:2])
    (tmp_path / ".C01.parquet.x1y2").write_bytes(b"torn")
    pd.testing.assert_frame_equal(read_table(tmp_path), frame)


def test_an_empty_folder_is_an_empty_table(tmp_path):
    assert list(read_table(tmp_path, ["Metadata_Well"])) == ["Metadata_Well"]
    assert read_table(tmp_path).empty


def test_a_well_without_cells_keeps_types_of_the_others(tmp_path, recwarn):
    frame = _frame()
    write_table(tmp_path / "A.parquet", frame.iloc[:0])
    write_table(tmp_path / "B.parquet", frame)
    assert read_table(tmp_path).dtypes.to_dict() == frame.dtypes.to_dict()
    assert len(read_table(tmp_path / "A.parquet")) == 0
    assert [str(warning.message) for warning in recwarn] == []


@pytest.mark.parametrize("content", [None, b"", b"PAR1", b"no table at all"])
def test_an_absent_or_damaged_table_is_named(tmp_path, content):
    file = tmp_path / "t.parquet"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(StoreError, match=rf"{file} is a Parquet table\n.*\n?.*--overwrite"):
        read_table(file)


def test_a_cut_table_is_named(tmp_path):
    file = tmp_path / "t.parquet"
    write_table(file, _frame())
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(StoreError, match=rf"{file} is a Parquet table"):
        read_table(file)


def test_an_unknown_column_is_named(tmp_path):
    write_table(tmp_path / "t.parquet", _frame())
    with pytest.raises(StoreError, match=r"t.parquet is a Parquet table\n  found: .*Nope"):
        read_table(tmp_path / "t.parquet", ["Nope"])


def test_a_failed_write_keeps_the_table_before(tmp_path, monkeypatch):
    write_table(tmp_path / "t.parquet", _frame())
    before = (tmp_path / "t.parquet").read_bytes()

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"t.parquet can be written\n.*\n  likely cause: the disk is full"):
        write_table(tmp_path / "t.parquet", _frame(8))
    assert (tmp_path / "t.parquet").read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["t.parquet"]
