"""Files that are not what they should be: each costs its plane, says why, and never becomes a wrong pixel."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

import hts
from hts.cli.app import app
from hts.errors import HtsError
from hts.store import Plate
from tests.engine.folders import (
    PATTERN,
    SHAPE,
    Key,
    assert_holds,
    broken,
    keys,
    pixels,
    planes_in,
    tiff_bytes,
    write_folder,
)

ALL = keys("B02,B03,C02,C03", fields=2)
ODD = Key("C02", 1, "GFP")
CUTS = np.random.default_rng(20261121)
pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write_folder(tmp_path / "s", ALL)
    return tmp_path / "s"


def convert(source: Path, **settings: Any) -> Plate:
    return hts.convert(source, source.parent / "p.ome.zarr", **{"pattern": PATTERN, **settings})


def costs_one_plane(source: Path) -> tuple[str, str]:
    """Convert; everything but the odd plane is there and right. Returns the odd plane's status and reason."""
    plate = convert(source)
    assert_holds(plate, {key: pixels(key) for key in ALL if key != ODD})
    rows = broken(plate)
    assert set(rows) == {ODD}
    return rows[ODD]


def put(source: Path, content: bytes) -> None:
    (source / ODD.file).write_bytes(content)


LAYOUTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "strips": {"rowsperstrip": 5},
    "deflate": {"compression": "zlib", "rowsperstrip": 5},
    "big": {"bigtiff": True},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_file_cut_anywhere_is_one_plane_or_whole(tmp_path: Path, layout: str) -> None:
    """Thirty positions in one plate: every cut file is unreadable; no position gives other pixels."""
    wells = [f"{row}{column:02d}" for row in "BCDEF" for column in range(1, 7)]
    every = keys(",".join([*wells, "H12", "H11"]), channels="DNA")
    made = write_folder(tmp_path / "s", every)
    for well in wells:
        whole = tiff_bytes(made.pop(Key(well)), **LAYOUTS[layout])
        at = int(CUTS.integers(0, len(whole)))
        (tmp_path / "s" / Key(well).file).write_bytes(whole[:at])
    # Most headers must be sound: the majority tells what a plane of the plate is.
    for number in range(1, 13):
        extra = Key(f"G{number:02d}")
        made[extra] = pixels(extra)
        (tmp_path / "s" / extra.file).write_bytes(tiff_bytes(made[extra]))
    plate = hts.convert(tmp_path / "s", tmp_path / "p.ome.zarr", pattern=PATTERN)
    assert_holds(plate, made)
    rows = broken(plate)
    assert set(rows) == {Key(well) for well in wells}
    assert {status for status, _ in rows.values()} == {"unreadable"}
    assert all(reason for _, reason in rows.values())


FAULTS: dict[str, tuple[bytes, str]] = {
    "no byte": (b"", r"empty \(0 bytes\)"),
    "text": (b"this is no image" * 99, "not a TIFF"),
    "zeros": (bytes(4000), "not a TIFF"),
    "another size": (tiff_bytes(np.ones((23, 40), np.uint16)), "23 × 40"),
    "turned": (tiff_bytes(np.ones(SHAPE[::-1], np.uint16)), "40 × 24"),
    "float32": (tiff_bytes(np.ones(SHAPE, np.float32)), "float32"),
    "uint8": (tiff_bytes(np.ones(SHAPE, np.uint8)), "uint8"),
    "int16": (tiff_bytes(np.ones(SHAPE, np.int16)), "int16"),
    "bool": (tiff_bytes(np.ones(SHAPE, bool)), "uint8"),
    "complex": (tiff_bytes(np.ones(SHAPE, np.complex64)), "complex64"),
    "two pages": (tiff_bytes(np.ones((2, *SHAPE), np.uint16)), "2 planes"),
    "colour": (tiff_bytes(np.ones((*SHAPE, 3), np.uint16), photometric="rgb"), "colour image"),
    "planar colour": (
        tiff_bytes(np.ones((3, *SHAPE), np.uint16), photometric="rgb", planarconfig="separate"),
        "colour image",
    ),
    "jpeg of 8 bits": (tiff_bytes(np.ones(SHAPE, np.uint8), compression="jpeg"), "uint8"),
    "PNG": (b"\x89PNG\r\n\x1a\n" + bytes(900), "not a TIFF"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_another_file_in_its_place_costs_one_plane(source: Path, fault: str) -> None:
    content, reason = FAULTS[fault]
    put(source, content)
    status, said = costs_one_plane(source)
    assert status == "unreadable"
    assert re.search(reason, said), said
    assert "\n" not in said


CODECS: dict[str, dict[str, Any]] = {
    "lzw": {"compression": "lzw"},
    "zlib": {"compression": "zlib"},
    "zlib with predictor": {"compression": "zlib", "predictor": True},
    "packbits": {"compression": "packbits"},
    "zstd": {"compression": "zstd"},
    "lzma": {"compression": "lzma"},
    "tiles": {"tile": (16, 16)},
    "tiles lzw": {"tile": (16, 16), "compression": "lzw"},
    "big-endian": {"byteorder": ">"},
    "big-endian zlib predictor": {"byteorder": ">", "compression": "zlib", "predictor": True},
    "BigTIFF": {"bigtiff": True},
    "many strips": {"rowsperstrip": 1},
    "ImageJ": {"imagej": True, "metadata": {}},
    "OME": {"ome": True, "metadata": {}},
    "jpeg2000 lossless": {"compression": "jpeg2000"},
    "jpegxl lossless": {"compression": "jpegxl"},
    "lerc": {"compression": "lerc"},
}


@pytest.mark.parametrize("codec", CODECS)
def test_other_ways_to_store_the_same_pixels_read_right_or_are_refused_by_name(source: Path, codec: str) -> None:
    image = pixels(ODD)
    how = CODECS[codec]
    (source / ODD.file).unlink()
    try:
        tifffile.imwrite(source / ODD.file, image, **{"metadata": None, **how})
    except (ValueError, KeyError, RuntimeError, ImportError) as error:
        pytest.skip(f"tifffile does not write it here: {error}")
    plate = convert(source)
    rows = broken(plate)
    if rows:
        assert set(rows) == {ODD}
        assert rows[ODD][0] == "unreadable"
        assert codec.split()[0].upper()[:4] in rows[ODD][1].upper(), rows[ODD][1]
    assert_holds(plate, {key: pixels(key) for key in ALL if key not in rows})


def test_jpeg_of_8_bits_reads_as_its_own_decoder_reads_it(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    for key in (Key("B02"), Key("B03")):
        tifffile.imwrite(tmp_path / "s" / key.file, pixels(key, dtype="uint8"), compression="jpeg", metadata=None)
    plate = hts.convert(tmp_path / "s", tmp_path / "p.ome.zarr", pattern=PATTERN)
    assert_holds(plate, {key: tifffile.imread(tmp_path / "s" / key.file) for key in (Key("B02"), Key("B03"))})


def test_a_codec_that_is_not_installed_is_named(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(source, tiff_bytes(pixels(ODD), compression="lzma"))

    def missing(*arguments: Any, **settings: Any) -> Any:
        raise ValueError("<COMPRESSION.LZMA: 34925> requires the 'imagecodecs' package")

    original = tifffile.TiffPage.asarray
    monkeypatch.setattr(
        tifffile.TiffPage,
        "asarray",
        lambda page, **how: missing() if page.compression == 34925 else original(page, **how),
    )
    assert "LZMA" in costs_one_plane(source)[1]


# --- files that are no files --------------------------------------------------------------------------------------


def a_folder(path: Path) -> None:
    path.mkdir()
    (path / "inside.txt").write_text("not an image")


def a_dangling_link(path: Path) -> None:
    path.symlink_to("nothing-there.tif")


def a_loop_of_links(path: Path) -> None:
    path.symlink_to(path.name)


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_socket(path: Path) -> None:
    os.mknod(path, 0o140644)


def a_link_to_a_folder(path: Path) -> None:
    path.symlink_to("..")


NO_FILES = [
    (a_folder, "folder"),
    (a_dangling_link, "No such file|not there"),
    (a_loop_of_links, "symbolic links"),
    (a_pipe, "no regular file"),
    (a_socket, "no regular file"),
    (a_link_to_a_folder, "folder"),
]


@pytest.mark.parametrize(("make", "reason"), NO_FILES)
def test_what_is_no_file_costs_one_plane_and_nobody_waits_for_it(
    source: Path, make: Callable[[Path], None], reason: str
) -> None:
    (source / ODD.file).unlink()
    make(source / ODD.file)
    status, said = costs_one_plane(source)
    assert status == "unreadable"
    assert re.search(reason, said), said


def test_a_pipe_that_replaces_a_file_after_the_listing_is_not_waited_for(source: Path) -> None:
    from hts.engine import Conversion, ConvertOptions

    place = source.parent / "p.ome.zarr"
    conversion = Conversion.prepare(source, place, ConvertOptions(pattern=PATTERN))
    (source / ODD.file).unlink()
    os.mkfifo(source / ODD.file)
    assert "no regular file" in broken(conversion.run())[ODD][1]


def test_a_linked_file_is_a_file(source: Path, tmp_path: Path) -> None:
    (source / ODD.file).rename(tmp_path / "elsewhere.tif")
    (source / ODD.file).symlink_to(tmp_path / "elsewhere.tif")
    assert_holds(convert(source), {key: pixels(key) for key in ALL})


@pytest.fixture
def as_nobody() -> Iterator[Path]:
    """A folder that is open to all. Root may read everything: the test becomes another user while it lasts."""
    folder = Path(tempfile.mkdtemp(prefix="hts-open-"))
    folder.chmod(0o777)
    write_folder(folder / "s", ALL)
    (folder / "s" / ODD.file).chmod(0)
    was_root = os.geteuid() == 0
    if was_root:
        os.seteuid(65534)
    try:
        yield folder / "s"
    finally:
        if was_root:
            os.seteuid(0)
        shutil.rmtree(folder)


def test_a_file_that_may_not_be_read_costs_one_plane(as_nobody: Path) -> None:
    status, said = costs_one_plane(as_nobody)
    assert status == "unreadable"
    assert "permission denied" in said


# --- names --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "folder",
    ["with a space", "Übergrößen µm", "new\nline", "日本語", "quote'\"s", "back\\slash", "x" * 240, "100%23 #hash?"],
    ids=["space", "umlauts", "newline", "kanji", "quotes", "backslash", "long", "address"],
)
def test_any_name_of_a_folder_will_do(tmp_path: Path, folder: str) -> None:
    made = write_folder(tmp_path / folder / "s", keys("B02,B03"))
    plate = hts.convert(tmp_path / folder, tmp_path / folder / "p.ome.zarr", pattern=PATTERN)
    assert_holds(plate, made)
    assert plate.completeness()["File"].str.startswith("s/").all()


def test_names_that_are_no_text_are_read_and_told(tmp_path: Path) -> None:
    """Bytes that are no UTF-8, as archives of old Windows machines have them, in files and folders."""
    made = write_folder(tmp_path / "s", keys("B02,B03"))
    odd = os.fsencode(tmp_path / "s") + b"/gr\xfc\xdfe"
    os.mkdir(odd)
    for key in made:
        os.rename(tmp_path / "s" / key.file, odd + b"/" + os.fsencode(key.file))
    os.truncate(odd + b"/" + os.fsencode(Key("B03").file), 90)
    plate = hts.convert(tmp_path / "s", tmp_path / "p.ome.zarr", pattern=PATTERN)
    del made[Key("B03")]
    assert_holds(plate, made)
    assert set(broken(plate)) == {Key("B03")}
    assert broken(plate)[Key("B03")][1].startswith(r"gr\xfc\xdfe/B03_s1_DNA_z0_t0.tif: ")


@pytest.mark.parametrize("verb", ["inspect", "convert"])
@pytest.mark.parametrize("as_json", [False, True])
def test_a_folder_whose_name_is_no_text_can_be_shown(tmp_path: Path, verb: str, as_json: bool) -> None:
    odd = tmp_path / os.fsdecode(b"gr\xfc\xdfe")
    write_folder(odd / "s", keys("B02,B03", without=[Key("B03")]))
    (odd / "s" / Key("B02").file).write_bytes(b"")
    arguments = [verb, str(odd / "s"), *([str(odd / "p.ome.zarr")] * (verb == "convert")), "--pattern", PATTERN]
    # What it writes goes through an encoder that refuses what is no text, as a terminal's does.
    done = CliRunner().invoke(app, [*arguments, *(["--json"] * as_json)], catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    assert r"gr\xfc\xdfe" in done.stdout.replace("\\\\", "\\")


# --- no pixels ----------------------------------------------------------------------------------------------------


def test_an_image_of_no_rows_costs_one_plane(source: Path) -> None:
    content = bytearray(tiff_bytes(pixels(ODD)))
    with tifffile.TiffFile(source / ODD.file) as tiff:
        place = tiff.pages[0].tags["ImageLength"].valueoffset
    content[place : place + 4] = bytes(4)
    put(source, bytes(content))
    assert costs_one_plane(source)[0] == "unreadable"


def test_a_plate_of_which_no_file_can_be_read_says_so_and_writes_nothing(source: Path) -> None:
    for key in ALL:
        (source / key.file).write_bytes(b"")
    with pytest.raises(HtsError, match=r"an image that can be read in .*\n.*none of 16"):
        convert(source)
    assert not (source.parent / "p.ome.zarr").exists()


def test_a_plate_whose_pixels_are_all_cut_off_is_written_without_a_plane(source: Path) -> None:
    for key in ALL:
        (source / key.file).write_bytes((source / key.file).read_bytes()[:-9])
    plate = convert(source)
    assert planes_in(plate) == set()
    assert set(broken(plate)) == set(ALL)
    assert all("truncated" in reason for _, reason in broken(plate).values())


def test_every_fault_at_once(source: Path) -> None:
    """Each its own row with its own reason; what is sound is right."""
    contents = dict(zip(ALL, [content for content, _ in FAULTS.values()], strict=False))
    sound = {key: pixels(key) for key in keys("E01,E02,E03,E04,F01,F02,F03,F04", fields=2)}
    for key, image in sound.items():
        (source / key.file).write_bytes(tiff_bytes(image))
    for key, content in contents.items():
        (source / key.file).write_bytes(content)
    plate = convert(source)
    rest = {key: pixels(key) for key in ALL if key not in contents}
    assert_holds(plate, sound | rest)
    assert set(broken(plate)) == set(contents)
    assert len({reason.split(": ")[-1] for _, reason in broken(plate).values()}) >= 10
