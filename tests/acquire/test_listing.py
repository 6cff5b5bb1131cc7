from __future__ import annotations

import os
from pathlib import Path

import pytest

from hts.acquire.listing import Listing, example_names
from hts.errors import NotFoundError, SourceError
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
