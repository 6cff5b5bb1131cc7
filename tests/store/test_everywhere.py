"""The same plate on disk, in memory and on an object store, in both versions."""

from __future__ import annotations

import concurrent.futures
import pickle

import numpy as np
import pandas as pd
import pytest

from hts.errors import NotFoundError, SourceError, StoreError, UsageError
from hts.locations import location
from hts.model import FieldKey, PixelSize, WellId
from hts.store import (
    FieldImage,
    Markers,
    Plate,
    create_plate,
    ensure_writable,
    exists,
    list_labels,
    read_json,
    read_table,
    remove_file,
    write_field,
    write_json,
    write_labels,
    write_table,
)
from hts.store.files import size_bytes
from hts.store.pyramid import halve_image
from tests.store.plates import KEY, WELL, planes_of, spec_for, stack, write_one

VERSIONS = pytest.mark.parametrize("version", ["0.5", "0.4"])


@VERSIONS
def test_a_plate_comes_back(anywhere, version):
    spec = spec_for((300, 261), n_z=2, ngff=version, time_step_s=30.0, pixel_size=PixelSize(0.65, 0.325, 2.0))
    values = stack(spec)
    create_plate(anywhere / "p", spec)
    image = FieldImage(KEY, planes_of(values, {(0, 1, 1)}), {"y": 1.0, "x": 2.0}, {"acquired": "today"})
    write_field(anywhere / "p", spec, image)
    plate = Plate.open(anywhere / "p")
    field = plate["B03"].fields[0]
    assert (plate.version, field.version, plate.name, field.name) == (version, version, "made", "1")
    assert (plate.channels, plate.channel_colors) == (("DNA", "Actin"), {"DNA": "0000FF", "Actin": "00FF00"})
    assert field.pixel_size == PixelSize(0.65, 0.325, 2.0)
    assert (field.position_um, field.attributes["hts"]["acquired"]) == ({"y": 1.0, "x": 2.0}, "today")
    assert field.multiscale.axes[0] == {"name": "t", "type": "time", "unit": "second"}
    np.testing.assert_array_equal(field.read_plane("Actin", z=0), values[0, 1, 0])
    np.testing.assert_array_equal(field.read_plane("DNA", z=1, level=1), halve_image(values[0, 0, 1]))
    with pytest.raises(SourceError, match="was not acquired"):
        field.read_plane("Actin", z=1)
    assert field.to_xarray().attrs["absent_planes"] == [[0, 1, 1]]
    np.testing.assert_array_equal(field.to_xarray().values[:, 0], values[:, 0])


@VERSIONS
def test_labels_come_back(anywhere, version):
    spec = spec_for((300, 261), ngff=version)
    field = write_one(anywhere / "p", spec, stack(spec))
    labels = np.random.default_rng(0).integers(0, 90_000, spec.shape).astype(np.int32)
    assert (field.label_names(), field.has_labels("nuclei-00000001")) == ((), False)
    write_labels(field, {"nuclei-00000001": labels, "empty-00000001": labels * 0})
    list_labels(field, ["nuclei-00000001", "empty-00000001"])
    assert field.label_names() == ("nuclei-00000001", "empty-00000001")
    assert field.has_labels("nuclei-00000001")
    np.testing.assert_array_equal(field.read_labels("nuclei-00000001"), labels)
    np.testing.assert_array_equal(field.read_labels("nuclei-00000001", 1), labels[::2, ::2])
    assert not field.read_labels("empty-00000001").any()
    with pytest.raises(SourceError, match=r"labels/cells is a label image\n  found: .*exists"):
        field.read_labels("cells")
    with pytest.raises(UsageError, match="a pyramid level from 0 to 1"):
        field.read_labels("nuclei-00000001", 2)


def test_a_lost_plane_is_an_error_everywhere(anywhere):
    spec = spec_for((300, 261))
    field = write_one(anywhere / "p", spec, stack(spec) * 0)
    assert not field.read_plane("DNA").any()
    shard = field.location.joinpath("0", "c", "0", "0", "0", "0", "0")
    assert size_bytes(shard) > 0
    remove_file(shard)
    assert size_bytes(shard) is None
    with pytest.raises(SourceError, match=r"0/c/0/0/0/0/0 can be read\n  found: no such file"):
        field.read_plane("DNA")


def test_markers_and_tables_and_documents(anywhere):
    markers = Markers(anywhere, "measure", "0123456789ab")
    assert (markers.read("B03"), markers.units()) == (None, frozenset())
    markers.commit("B03", {"cells": 1})
    markers.commit("C04", {"cells": 2})
    assert (markers.read("B03"), markers.units()) == ({"cells": 1}, {"B03", "C04"})
    markers.discard("B03")
    markers.discard("B03")
    assert (markers.read("B03"), markers.units()) == (None, {"C04"})
    frame = pd.DataFrame({"Well": ["A01", "A02"], "Cells": [1, 2]})
    write_table(anywhere / "t" / "b.parquet", frame[1:])
    write_table(anywhere / "t" / "a.parquet", frame[:1])
    pd.testing.assert_frame_equal(read_table(anywhere / "t"), frame)
    pd.testing.assert_frame_equal(read_table(anywhere / "t" / "a.parquet", ["Cells"]), frame[:1][["Cells"]])
    with pytest.raises(StoreError, match=r"none.parquet is a Parquet table"):
        read_table(anywhere / "none.parquet")
    write_json(anywhere / "a.json", {"β": 1}, durable=False)
    assert read_json(anywhere / "a.json") == {"β": 1}
    with pytest.raises(StoreError, match=r"b.json exists\n  found: no such file"):
        read_json(anywhere / "b.json")
    ensure_writable(anywhere / "new")
    assert not exists(anywhere / "b.json")


def test_tables_beside_the_plate(anywhere):
    spec = spec_for((40, 40))
    write_one(anywhere / "p", spec, stack(spec))
    plate = Plate.open(anywhere / "p")
    assert plate.completeness().empty
    assert plate.layout_table()["Well"].tolist() == ["B03"]
    write_table(anywhere / "p" / ".hts" / "completeness.parquet", pd.DataFrame({"Well": ["B03"], "Status": ["found"]}))
    assert plate.completeness()["Status"].tolist() == ["found"]


def test_a_destination_with_other_things_is_refused(anywhere):
    spec = spec_for((40, 40))
    write_json(anywhere / "p" / "thesis.json", "years of work")
    with pytest.raises(UsageError, match=r"is new, empty or a plate.*\n  found: other files"):
        create_plate(anywhere / "p", spec)
    write_json(anywhere / "q" / ".hts" / "begun.json", {})
    create_plate(anywhere / "q", spec)
    create_plate(anywhere / "q", spec)
    with pytest.raises(UsageError, match=r"a plate of OME-Zarr 0.4\n  found: a plate of OME-Zarr 0.5"):
        create_plate(anywhere / "q", spec_for((40, 40), ngff="0.4"))


def test_what_is_not_there_is_said(anywhere):
    with pytest.raises(NotFoundError, match=r"a plate at .*none\n  found: nothing"):
        Plate.open(anywhere / "none")
    write_json(anywhere / "p" / "a.json", {})
    with pytest.raises(StoreError, match=r"p is an OME-Zarr plate\n  found: a folder without"):
        Plate.open(anywhere / "p")


@VERSIONS
def test_threads_write_and_read_different_fields(anywhere, version):
    wells = [WellId(0, column) for column in range(3)]
    spec = spec_for((130, 140), fields=dict.fromkeys(wells, (1,)), ngff=version)
    create_plate(anywhere / "p", spec)

    def write(number: int) -> None:
        key = FieldKey(wells[number], 1)
        write_field(anywhere / "p", spec, FieldImage(key, planes_of(stack(spec, number))))

    def read(number: int) -> np.ndarray:
        return plate[wells[number]].fields[0].to_xarray().values

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(3)))
        plate = Plate.open(anywhere / "p")
        for number, values in enumerate(pool.map(read, range(3))):
            np.testing.assert_array_equal(values, stack(spec, number))


def test_a_plate_travels_to_another_process(anywhere):
    spec = spec_for((40, 40))
    write_one(anywhere / "p", spec, stack(spec))
    plate = pickle.loads(pickle.dumps(Plate.open(str(anywhere / "p"))))
    np.testing.assert_array_equal(plate[WELL].fields[0].read_plane("DNA"), stack(spec)[0, 0, 0])


# --- object stores that refuse -----------------------------------------------------------------------------------


def test_a_bucket_that_is_not_there(s3):
    place = location(f"{s3}-none") / "p"
    with pytest.raises(StoreError, match=rf"{place}.* can be written\n  found: .*bucket"):
        write_json(place / "a.json", {})
    with pytest.raises(StoreError, match=rf"{place} can be written"):
        ensure_writable(place)
    with pytest.raises(NotFoundError, match=rf"a plate at {place}\n  found: nothing"):
        Plate.open(str(place))


def test_a_store_that_does_not_answer(monkeypatch):
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    for name, value in (("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "x"), ("AWS_MAX_ATTEMPTS", "1")):
        monkeypatch.setenv(name, value)
    # Nobody listens on the port of discard.
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    place = location("s3://bucket/p")
    with pytest.raises(StoreError, match=r"s3://bucket/p/.* can be read\n  found: (.|\n)*network"):
        Plate.open(place)
    with pytest.raises(StoreError, match=r"s3://bucket/p/a.json can be written"):
        write_json(place / "a.json", {})
    with pytest.raises(StoreError, match=r"s3://bucket/p/markers.*B03.json can be read"):
        Markers(place, "measure", "0123456789ab").read("B03")
    s3fs.S3FileSystem.clear_instance_cache()
