"""Plates in zip files, in memory and on S3, and places that hold no plate at all."""

from __future__ import annotations

import shutil
import threading
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import zarr

from hts.errors import NotFoundError, StoreError, UsageError
from hts.store import Plate
from hts.store.validate import validate
from tests.store import validate_plates as made


@pytest.fixture(scope="module")
def plate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.write_v04(tmp_path_factory.mktemp("good") / "plate.zarr")


def _files(plate: Path) -> list[Path]:
    return [file for file in sorted(plate.rglob("*")) if file.is_file()]


def _zip(plate: Path, target: Path, prefix: str = "") -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for file in _files(plate):
            archive.write(file, prefix + file.relative_to(plate).as_posix())
    return target


@pytest.mark.parametrize(("name", "prefix"), [("p.ozx", ""), ("p.zip", "plate.zarr/"), ("P.ZIP", "")])
def test_zip_files_are_looked_into(plate: Path, tmp_path: Path, name: str, prefix: str) -> None:
    result = validate(_zip(plate, tmp_path / name, prefix), every_plane=True)
    assert (result.kind, result.images, result.findings) == ("plate", 2, [])
    assert result.chunks == 20


def test_what_lies_beside_the_plate_in_a_zip_file_is_no_part_of_it(plate: Path, tmp_path: Path) -> None:
    path = _zip(plate, tmp_path / "p.zip", "plate.zarr/")
    with zipfile.ZipFile(path, "a") as archive:
        for name in ("__MACOSX/._plate.zarr", ".DS_Store", "readme.txt"):
            archive.writestr(name, "x")
    assert (validate(path).kind, validate(path).findings) == ("plate", [])
    assert Plate.open(path).root.name == "plate.zarr"


def test_a_damaged_zip_file_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "p.ozx").write_bytes(b"no zip")
    (finding,) = validate(tmp_path / "p.ozx").findings
    assert (finding.rule, "cannot be opened" in finding.text) == ("top.zip", True)


def test_a_member_with_a_flipped_bit_is_named(plate: Path, tmp_path: Path) -> None:
    """The zip file's own checksum finds it."""
    path = _zip(plate, tmp_path / "p.zip")
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo("B/02/0/.zattrs")
    content[member.header_offset + 80] ^= 1
    path.write_bytes(content)
    (finding,) = validate(path).findings
    assert (finding.rule, finding.place) == ("image.unreadable", "B/02/0")


@pytest.fixture
def remembered(plate: Path) -> Iterator[str]:
    import fsspec

    memory = fsspec.filesystem("memory")
    for file in _files(plate):
        memory.pipe(f"/validated/{file.relative_to(plate).as_posix()}", file.read_bytes())
    yield "memory://validated"
    memory.rm("/validated", recursive=True)


def test_plates_in_memory(remembered: str) -> None:
    import fsspec

    assert validate(remembered, every_plane=True).findings == []
    fsspec.filesystem("memory").rm("/validated/B/02/0/1/.zarray")
    assert [finding.rule for finding in validate(remembered).findings] == ["array.absent"]
    with pytest.raises(NotFoundError, match="a plate at memory://nowhere"):
        validate("memory://nowhere")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An S3 server of our own on the loopback."""
    from moto.server import ThreadedMotoServer
    from s3fs import S3FileSystem

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    S3FileSystem.clear_instance_cache()
    name = f"validated-{uuid.uuid4().hex}"
    S3FileSystem().mkdir(name)
    yield f"s3://{name}"
    server.stop()
    S3FileSystem.clear_instance_cache()


def test_plates_on_s3_and_zip_files_there(plate: Path, bucket: str, tmp_path: Path) -> None:
    from s3fs import S3FileSystem

    s3 = S3FileSystem()
    s3.put(str(plate), f"{bucket[5:]}/plate.zarr", recursive=True)
    s3.put(str(_zip(plate, tmp_path / "p.ozx")), f"{bucket[5:]}/p.ozx")
    for name in ("plate.zarr", "p.ozx"):
        result = validate(f"{bucket}/{name}", every_plane=True)
        assert (result.kind, result.images, result.chunks, result.findings) == ("plate", 2, 20, []), name
    s3.rm(f"{bucket[5:]}/plate.zarr/B/02/.zattrs")
    assert [finding.rule for finding in validate(f"{bucket}/plate.zarr").findings] == ["well.block"]
    with pytest.raises(NotFoundError, match=r"a plate at s3://validated-.*/other"):
        validate(f"{bucket}/other")


def test_an_unreachable_store_is_an_error_with_its_address(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from s3fs import S3FileSystem

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    S3FileSystem.clear_instance_cache()
    monkeypatch.setattr(S3FileSystem, "retries", 1)
    with pytest.raises(StoreError, match=r"s3://validated-.*/plate can be looked at"):
        validate(f"{bucket}/plate")


def test_an_unknown_protocol_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="a path, or an address"):
        validate("gopher://plate")


# --- no plate ----------------------------------------------------------------------------------------------------


def _only_rule(place: Path) -> tuple[str, str]:
    result = validate(place)
    assert (result.kind, result.version, result.ok) == (None, None, False)
    assert "no OME-Zarr plate or image" in result.lines()[0]
    (finding,) = result.findings
    return finding.rule, finding.text


def test_folders_and_files_that_are_no_plate(plate: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert _only_rule(tmp_path / "empty")[0] == "top.empty"
    (tmp_path / "microscope").mkdir()
    (tmp_path / "microscope" / "x_A01_s1_w1.TIF").touch()
    rule, text = _only_rule(tmp_path / "microscope")
    assert (rule, "hts convert" in text) == ("top.microscope", True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").touch()
    assert _only_rule(tmp_path / "other")[0] == "top.group"
    assert _only_rule(tmp_path / "other" / "notes.txt")[0] == "top.file"
    rule, text = _only_rule(plate / ".zattrs")
    assert (rule, "Name the folder" in text) == ("top.file", True)
    rule, text = _only_rule(plate.parent)
    assert (rule, "'plate.zarr'" in text) == ("top.parent", True)


def test_zarr_that_is_no_plate(plate: Path, tmp_path: Path) -> None:
    for zarr_format in (2, 3):
        zarr.open_group(str(tmp_path / f"group{zarr_format}"), mode="w", zarr_format=zarr_format)
        assert _only_rule(tmp_path / f"group{zarr_format}")[0] == "top.ome"
        zarr.create_array(str(tmp_path / f"array{zarr_format}"), shape=(2, 2), dtype="u1", zarr_format=zarr_format)
        assert _only_rule(tmp_path / f"array{zarr_format}")[0] == "top.node"
    assert _only_rule(plate / "A/01/0/labels")[0] == "top.labels"
    made.write_json(tmp_path / "group2" / ".zattrs", {"bioformats2raw.layout": 3})
    rule, text = _only_rule(tmp_path / "group2")
    assert (rule, "group2/0" in text) == ("top.collection", True)
    (tmp_path / "group3" / "zarr.json").write_bytes(b"{")
    assert _only_rule(tmp_path / "group3")[0] == "top.json"


# --- size --------------------------------------------------------------------------------------------------------


def test_threads_end_and_documents_are_read_once(plate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    before = threading.active_count()
    original = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(str(path)) or original(path))
    assert validate(plate).findings == []
    assert len(read) == len(set(read))
    assert threading.active_count() == before


def test_no_folder_is_listed(plate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = shutil.copytree(plate, tmp_path / "copy")

    def refuse(path: Path) -> None:
        raise AssertionError(f"{path} was listed")

    monkeypatch.setattr(Path, "iterdir", refuse)
    monkeypatch.setattr(Path, "glob", refuse)
    assert validate(copy, every_plane=True).findings == []
