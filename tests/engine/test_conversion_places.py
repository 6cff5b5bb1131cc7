"""Conversion between disk, memory and an object store: the same plate everywhere, and nothing written twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import hts
from hts.engine import Conversion, ConvertOptions
from hts.engine.inspection import inspect_source
from hts.errors import NotFoundError, SourceError, StoreError, UsageError
from hts.locations import Location, location
from hts.store import exclusive, is_held
from tests.engine.folders import PATTERN, Key, assert_holds, broken, keys, pixels, planes_in, tiff_bytes, write_folder

ALL = keys("B02,C03")
WAYS = [("tmp_path", "memory"), ("memory", "tmp_path"), ("memory", "memory")]
WAYS += [("tmp_path", "s3"), ("s3", "tmp_path"), ("s3", "s3")]
CASES = [(*way, "0.5") for way in WAYS] + [("memory", "memory", "0.4"), ("tmp_path", "s3", "0.4")]


@pytest.fixture
def puts(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Keys of the objects that are put while the test runs."""
    import s3fs

    seen: list[str] = []
    original = s3fs.S3FileSystem._call_s3

    async def call(self: Any, method: str, *arguments: Any, **settings: Any) -> Any:
        if method in ("put_object", "create_multipart_upload"):
            seen.append(settings.get("Key") or arguments[0].get("Key", ""))
        return await original(self, method, *arguments, **settings)

    monkeypatch.setattr(s3fs.S3FileSystem, "_call_s3", call)
    return seen


@pytest.mark.parametrize(("there", "here", "ngff"), CASES, ids=["-".join(case) for case in CASES])
def test_from_anywhere_to_anywhere(request: pytest.FixtureRequest, there: str, here: str, ngff: str) -> None:
    root, home = (location(request.getfixturevalue(kind)) for kind in (there, here))
    lost, cut = Key("B02"), Key("C03", 1, "GFP")
    made = write_folder(root / "images", [key for key in ALL if key != lost])
    (root / "images" / cut.file).write_bytes(tiff_bytes(made.pop(cut))[:-50])
    place = home / "plates" / "p.ome.zarr"
    plate = hts.convert(root / "images", place, pattern=PATTERN, ngff=ngff)
    assert_holds(plate, made)
    assert {key: status for key, (status, _) in broken(plate).items()} == {lost: "missing", cut: "unreadable"}
    assert plate.completeness()["File"].str.contains("/").sum() == 0
    found = Conversion.prepare(root / "images", place, ConvertOptions(pattern=PATTERN, ngff=ngff)).verify()
    assert (found.equal, found.different) == (len(made), ())
    assert not is_held(place / ".hts")


def test_converting_again_puts_no_pixels(s3: str, puts: list[str]) -> None:
    write_folder(location(s3) / "images", ALL)
    hts.convert(f"{s3}/images", f"{s3}/p.ome.zarr", pattern=PATTERN)
    first = [key for key in puts if "/0/c/" in key]
    assert len(first) == len(ALL)
    puts.clear()
    hts.convert(f"{s3}/images", f"{s3}/p.ome.zarr", pattern=PATTERN)
    print(f"objects put by a conversion that had nothing to do: {sorted(key.rpartition('/')[2] for key in puts)}")
    again = [key for key in puts if "/markers/" in key or key.count("/") > 4]
    assert again == []
    assert len(puts) < 12


@pytest.mark.parametrize("kind", ["memory", "s3"])
def test_a_changed_object_of_the_same_size_is_noticed(request: pytest.FixtureRequest, kind: str) -> None:
    root = location(request.getfixturevalue(kind))
    made = write_folder(root / "images", keys("B02,B03"))
    hts.convert(root / "images", root / "p.ome.zarr", pattern=PATTERN)
    key = Key("B03", 1, "GFP")
    made[key] = pixels("another")
    (root / "images" / key.file).write_bytes(tiff_bytes(made[key]))
    assert_holds(hts.convert(root / "images", root / "p.ome.zarr", pattern=PATTERN), made)


@pytest.mark.parametrize(
    ("kind", "ngff"), [("tmp_path", "0.5"), ("tmp_path", "0.4"), ("memory", "0.5"), ("memory", "0.4"), ("s3", "0.5")]
)
def test_a_rewritten_plate_follows_its_source(request: pytest.FixtureRequest, kind: str, ngff: str) -> None:
    root = location(request.getfixturevalue(kind))
    made = write_folder(root / "images", keys("B02,B03"))
    hts.convert(root / "images", root / "p.ome.zarr", pattern=PATTERN, ngff=ngff)
    hts.convert(root / "p.ome.zarr", root / "q.ome.zarr", rewrite=True)
    key = Key("B03", 1, "GFP")
    made[key] = pixels("another")
    (root / "images" / key.file).write_bytes(tiff_bytes(made[key]))
    hts.convert(root / "images", root / "p.ome.zarr", pattern=PATTERN, ngff=ngff)
    assert_holds(hts.convert(root / "p.ome.zarr", root / "q.ome.zarr", rewrite=True), made)


def test_what_another_machine_put_there_is_seen(s3: str) -> None:
    """A notebook that converts twice must not work from the listing that it remembers."""
    import s3fs

    made = write_folder(location(s3) / "images", keys("B02,B03", channels="DNA", without=[Key("B03")]))
    hts.convert(f"{s3}/images", f"{s3}/p.ome.zarr", pattern=PATTERN)
    made |= {Key("B02"): pixels("another"), Key("B03"): pixels(Key("B03"))}
    other = s3fs.S3FileSystem(skip_instance_cache=True)
    for key, image in made.items():
        other.pipe_file(f"{s3}/images/{key.file}", tiff_bytes(image))
    assert_holds(hts.convert(f"{s3}/images", f"{s3}/p.ome.zarr", pattern=PATTERN), made)


def test_a_part_on_an_object_store_leaves_no_old_planes(s3: str) -> None:
    """What another conversion left in a field does not show through."""
    root = location(s3)
    write_folder(root / "images", keys("B02", n_z=2))
    hts.convert(root / "images", root / "p.ome.zarr", pattern=PATTERN)
    (root / "images" / Key("B02", 1, "DNA", 1).file).unlink()
    plate = hts.convert(root / "images", root / "p.ome.zarr", pattern=PATTERN)
    assert Key("B02", 1, "DNA", 1) not in planes_in(plate)
    assert not (root / "p.ome.zarr" / "B" / "02" / "1" / "0" / "c" / "0" / "0" / "1" / "0" / "0").exists()


def test_inspecting_an_object_store(s3: str) -> None:
    root = location(s3)
    write_folder(root / "images", [key for key in ALL if key != Key("B02")])
    (root / "images" / Key("C03").file).write_bytes(b"")
    told = inspect_source(f"{s3}/images", pattern=PATTERN)
    assert told.counts == {"found": len(ALL) - 2, "missing": 1, "unreadable": 1}
    assert told.to_json()["source"] == f"{s3}/images"
    plate = hts.convert(root / "images", root / "p.ome.zarr", pattern=PATTERN)
    again = inspect_source(str(plate.path))
    assert (again.source.reader, again.counts) == ("ome-zarr", told.counts)


def test_two_converters_on_one_object_store(s3: str) -> None:
    root = location(s3)
    made = write_folder(root / "images", keys("B02"))
    place = root / "p.ome.zarr"
    with exclusive(place / ".hts", "convert"), pytest.raises(UsageError, match=r"free to convert\n.*another process"):
        hts.convert(root / "images", place, pattern=PATTERN)
    assert not (place / "zarr.json").exists()
    assert_holds(hts.convert(root / "images", place, pattern=PATTERN), made)


@pytest.mark.parametrize("where", ["images", "images/none"])
def test_a_source_that_is_not_there_is_told(s3: str, memory: str, where: str) -> None:
    for root in (s3, memory):
        with pytest.raises(NotFoundError, match="folder of images at"):
            hts.convert(f"{root}/{where}", f"{root}/p.ome.zarr", pattern=PATTERN)


def test_a_bucket_that_is_not_there_is_told_before_any_work(s3: str, tmp_path: Path) -> None:
    write_folder(tmp_path / "s", keys("B02"))
    with pytest.raises(StoreError, match=r"s3://no-such-bucket-of-ours"):
        hts.convert(tmp_path / "s", "s3://no-such-bucket-of-ours/p.ome.zarr", pattern=PATTERN)
    with pytest.raises((NotFoundError, SourceError), match=r"s3://no-such-bucket-of-ours"):
        hts.convert("s3://no-such-bucket-of-ours/images", tmp_path / "p.ome.zarr", pattern=PATTERN)


def test_an_object_that_vanishes_during_the_conversion_costs_one_plane(
    memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root: Location = location(memory)
    made = write_folder(root / "images", keys("B02,B03"))
    gone = Key("B03", 1, "GFP")
    del made[gone]
    conversion = Conversion.prepare(root / "images", root / "p.ome.zarr", ConvertOptions(pattern=PATTERN))
    (root / "images" / gone.file).unlink()
    plate = conversion.run()
    assert_holds(plate, made)
    assert "not there any more" in broken(plate)[gone][1]
