from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from hts.acquire.indexed import folder_of
from hts.acquire.listing import Listing, example_names
from hts.errors import NotFoundError, SourceError, StoreError, UsageError
from hts.locations import location


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_lists_sorted_below_all_folders_without_thumbnails_and_results(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "b.tif",
        "a/c.TIFF",
        "a/c_Thumb.tif",
        ".d.tif",
        "notes.txt",
        ".git/e.tif",
        "p.zarr/f.tif",
        "p.hts/g.tif",
    )
    listing = Listing.of(tmp_path)
    assert [image.name for image in listing.images] == ["a/c.TIFF", "b.tif"]
    assert [path.name for path in listing.files] == [".d.tif", "c.TIFF", "c_Thumb.tif", "b.tif", "notes.txt"]
    assert all(path.is_absolute() for path in listing.files)


def test_problems_are_seen_without_opening(tmp_path: Path) -> None:
    touch(tmp_path, "good.tif")
    (tmp_path / "empty.tif").write_bytes(b"")
    (tmp_path / "folder.tif").mkdir()
    (tmp_path / "link.tif").symlink_to(tmp_path / "nowhere.tif")
    problems = {image.name: image.problem for image in Listing.of(tmp_path).images}
    assert problems == {
        "good.tif": "",
        "empty.tif": "file is empty (0 bytes)",
        "folder.tif": "is a folder with the name of an image",
        "link.tif": "file cannot be looked at (No such file or directory)",
    }


def test_a_linked_folder_is_followed_once(tmp_path: Path) -> None:
    touch(tmp_path, "plate/a.tif")
    (tmp_path / "plate" / "loop").symlink_to(tmp_path / "plate", target_is_directory=True)
    other = tmp_path / "view"
    other.mkdir()
    (other / "linked").symlink_to(tmp_path / "plate", target_is_directory=True)
    assert [image.name for image in Listing.of(other).images] == ["linked/a.tif"]


def test_a_folder_that_may_not_be_listed_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a.tif", "locked/b.tif")
    scandir = os.scandir

    def refuse(folder: str) -> object:
        if str(folder).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    listing = Listing.of(tmp_path)
    assert [image.name for image in listing.images] == ["a.tif"]
    assert "locked cannot be listed (Permission denied)" in listing.notes[0]
    with pytest.raises(SourceError, match="cannot be listed"):
        Listing.of(tmp_path / "locked")


def test_what_is_no_folder(tmp_path: Path) -> None:
    touch(tmp_path, "a.tif")
    with pytest.raises(NotFoundError, match="nothing there"):
        Listing.of(tmp_path / "gone")


def test_an_image_stands_for_itself_another_file_for_its_folder(tmp_path: Path) -> None:
    touch(tmp_path, "a.tif")
    touch(tmp_path, "b.tif")
    touch(tmp_path, "planes.csv")
    alone, whole = Listing.of(tmp_path / "a.tif"), Listing.of(tmp_path / "planes.csv")
    assert (alone.root, [image.name for image in alone.images]) == (tmp_path, ["a.tif"])
    assert ([image.name for image in whole.images], whole.chosen) == (["a.tif", "b.tif"], tmp_path / "planes.csv")


def test_an_address_is_listed_like_a_folder() -> None:
    root = location("memory://listing-test/plate")
    for name, content in (("a/B02.tif", b"1"), ("a/empty.tif", b""), (".hidden/x.tif", b"1"), ("b.zarr/y.tif", b"1")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    listing = Listing.of(root)
    assert [image.name for image in listing.images] == ["a/B02.tif", "a/empty.tif"]
    assert [image.problem for image in listing.images] == ["", "file is empty (0 bytes)"]
    assert listing.images[0].path.read_bytes() == b"1"


def test_examples_are_the_first_the_middle_and_the_last() -> None:
    assert example_names(list("abcde")) == ("a", "c", "e")
    assert example_names(["a"]) == ("a",)


def test_what_was_made_of_a_listing_once_is_kept(tmp_path: Path) -> None:
    touch(tmp_path, "a.tif")
    listing, asked = Listing.of(tmp_path), []

    def names(one: Listing) -> list[str]:
        asked.append(one)
        return [image.name for image in one.images]

    assert listing.once("names", names) is listing.once("names", names)
    assert asked == [listing]


def test_a_link_to_itself_costs_nothing_but_itself(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{name}.tif" for name in "abcdefgh"), "plate.HTD")
    for name in ("loop", "loop.tif"):
        (tmp_path / name).symlink_to(name)
    (tmp_path / "gone.xml").symlink_to("nowhere.xml")
    listing = Listing.of(tmp_path)
    problems = {image.name: image.problem for image in listing.images}
    assert problems.pop("loop.tif") == "file cannot be looked at (Too many levels of symbolic links)"
    assert problems == {f"{name}.tif": "" for name in "abcdefgh"}
    assert "plate.HTD" in {path.name for path in listing.files}
    assert sorted(listing.notes) == [
        "gone.xml is no regular file: it is left out",
        "loop cannot be looked at (Too many levels of symbolic links): it is left out",
    ]


def test_what_is_no_regular_file_is_never_opened(tmp_path: Path) -> None:
    touch(tmp_path, "a.tif")
    os.mkfifo(tmp_path / "b.tif")
    os.mkfifo(tmp_path / "plate.HTD")
    listing = Listing.of(tmp_path)
    assert {image.name: image.problem for image in listing.images} == {"a.tif": "", "b.tif": "is no regular file"}
    assert [path.name for path in listing.files] == ["a.tif", "b.tif"]
    assert listing.notes == ("plate.HTD is no regular file: it is left out",)
    with pytest.raises(SourceError, match=r"a folder of images at .*plate\.HTD\n.*no regular file"):
        Listing.of(tmp_path / "plate.HTD")


def test_names_that_are_no_utf8_are_text_and_their_paths_open(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/10x_\xb5"
    os.mkdir(folder)
    for name in (b"/B03_s1_w1.tif", b"/B04_\xb5m_s1_w1.tif", b"/x.HTD"):
        Path(os.fsdecode(folder + name)).write_bytes(b"x")
    os.mkfifo(folder + b"/\xb5.csv")
    listing = Listing.of(tmp_path)
    assert [image.name for image in listing.images] == [r"10x_\xb5/B03_s1_w1.tif", r"10x_\xb5/B04_\xb5m_s1_w1.tif"]
    assert [image.path.read_bytes() for image in listing.images] == [b"x", b"x"]
    assert listing.notes == (r"10x_\xb5/\xb5.csv is no regular file: it is left out",)
    assert {folder_of(path, listing) for path in listing.files} == {"10x_\\xb5/"}
    json.dumps([image.name for image in listing.images], ensure_ascii=False).encode()


def test_a_store_that_cannot_be_reached_is_no_empty_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    root = location("memory://listing-unreachable/plate")
    (root / "a.tif").parent.mkdir(parents=True, exist_ok=True)
    (root / "a.tif").write_bytes(b"x")

    def refuse(*_: object, **__: object) -> None:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(type(root.fs), "find", refuse)
    with pytest.raises(StoreError, match=r"the store of memory:.*plate can be reached\n.*no route to host"):
        Listing.of(root)


def test_the_home_of_nobody_is_refused() -> None:
    with pytest.raises(UsageError, match="nosuchuser-hts"):
        Listing.of(Path("~nosuchuser-hts/plate"))
