"""`hts convert` and `hts inspect`: options, JSON, exit codes (kills and Ctrl-C: test_conversion_killed)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from hts.cli.app import app
from hts.locations import location
from hts.store import Plate
from tests.engine.folders import PATTERN, Key, assert_holds, content, images, keys, pixels, tiff_bytes, write_folder

ALL = keys("B02,B03", fields=2, n_z=2)


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value


def hts(*arguments: object) -> Said:
    result = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    return Said(result.exit_code, result.stdout, result.stderr)


def convert(source: object, place: object, *options: object) -> Said:
    return hts("convert", source, place, "--pattern", PATTERN, *options)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write_folder(tmp_path / "s", ALL)
    return tmp_path / "s"


@pytest.mark.parametrize("ngff", ["0.5", "0.4"])
def test_what_was_converted_and_verified_is_said(source: Path, tmp_path: Path, ngff: str) -> None:
    (source / Key("B03", 2, "GFP", 1).file).write_bytes(b"")
    (source / Key("B02", 1, "DNA", 0).file).unlink()
    done = convert(source, tmp_path / "p.ome.zarr", "--verify", "--json", "--ngff", ngff)
    assert done.code == 0
    told = done.json
    assert (told["plate"], told["version"], told["wells"]) == (str(tmp_path / "p.ome.zarr"), ngff, 2)
    assert told["channels"] == ["DNA", "GFP"]
    assert told["planes"] == {"found": 14, "missing": 1, "unreadable": 1}
    assert told["verified"] == {"equal": 14, "different": []}
    assert told["wells_without_a_plane"] == []
    assert [(row["Well"], row["Field"], row["Channel"], row["Z"], row["Status"]) for row in told["issues"]] == [
        ("B02", 1, "DNA", 0, "missing"),
        ("B03", 2, "GFP", 1, "unreadable"),
    ]
    assert "convert: 2 of 2 wells" in done.err
    assert "verify: 2 of 2 wells" in done.err
    shown = convert(source, tmp_path / "p.ome.zarr", "--verify", "--ngff", ngff)
    assert "verified: 14 planes equal their source, 0 do not" in shown.out
    assert "planes: 14 found, 1 missing, 1 unreadable" in shown.out
    assert "B03 field 2 GFP unreadable: file is empty (0 bytes)" in shown.out


def test_a_plane_that_differs_is_exit_code_1_and_named(source: Path, tmp_path: Path) -> None:
    convert(source, tmp_path / "p.ome.zarr")
    shard = images(Plate.open(tmp_path / "p.ome.zarr"))[0]
    shard.write_bytes(bytes([*shard.read_bytes()[:-1], 0xA5]))
    done = convert(source, tmp_path / "p.ome.zarr", "--verify", "--json")
    assert done.code == 1
    assert done.json["verified"]["equal"] == 15
    assert [line[:23] for line in done.json["verified"]["different"]] == ["B02 field 1 DNA t=0 z=0"]
    shown = convert(source, tmp_path / "p.ome.zarr", "--verify")
    assert (shown.code, "verified: 15 planes equal their source, 1 do not" in shown.out) == (1, True)
    assert str(shard) in shown.out
    mended = convert(source, tmp_path / "p.ome.zarr", "--verify", "--overwrite")
    assert (mended.code, "verified: 16 planes equal their source, 0 do not" in mended.out) == (0, True)


@pytest.mark.parametrize("project", ["none", "max"])
def test_a_well_without_a_plane_is_exit_code_3(source: Path, tmp_path: Path, project: str) -> None:
    """Also where every stack of the well lacks one plane, so that there is nothing to project."""
    for key in ALL:
        if key.well == "B03" and (project == "none" or key.z == 1):
            (source / key.file).write_bytes(b"")
    done = convert(source, tmp_path / "p.ome.zarr", "--project", project, "--verify", "--json")
    assert done.code == 3
    assert done.json["wells_without_a_plane"] == ["B03"]
    assert done.json["verified"]["different"] == []


def test_a_plate_without_any_plane_is_exit_code_3(source: Path, tmp_path: Path) -> None:
    for key in ALL:
        (source / key.file).write_bytes((source / key.file).read_bytes()[:-9])
    done = convert(source, tmp_path / "p.ome.zarr", "--verify", "--json")
    assert (done.code, done.json["planes"], done.json["channels"]) == (3, {"unreadable": 16}, [])
    assert done.json["verified"] == {"equal": 0, "different": []}


def test_parts_by_their_names(source: Path, tmp_path: Path) -> None:
    part = ["--wells", "b3", "--fields", "2-3,2", "--channels", " GFP ,GFP,"]
    assert convert(source, tmp_path / "p.ome.zarr", *part).code == 2  # there is no field 3
    part[3] = "2"
    done = convert(source, tmp_path / "p.ome.zarr", *part, "--json")
    assert done.code == 0
    expected = {key: pixels(key) for key in ALL if key[:3] == ("B03", 2, "GFP")}
    assert_holds(Plate.open(tmp_path / "p.ome.zarr"), expected)
    told = hts("inspect", source, "--pattern", PATTERN, *part, "--json").json
    assert (told["wells"], told["channels"], told["planes"]) == (["B03"], ["GFP"], {"found": 2})


def test_options_reach_the_plate(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    made = {key: pixels(key) % 4096 + np.uint16(32_768) for key in ALL}
    for key, image in made.items():
        (tmp_path / "s" / key.file).write_bytes(tiff_bytes(image))
    assert hts("inspect", tmp_path / "s", "--pattern", PATTERN, "--json").json["offset"] == 32_768
    options = ["--remove-offset", "--project", "max", "--pixel-size-um", "0.33", "--workers", "1"]
    done = convert(tmp_path / "s", tmp_path / "p.ome.zarr", *options, "--verify", "--json")
    assert (done.code, done.json["verified"]["equal"]) == (0, 8)
    assert any("offset of 32,768 was removed" in note for note in done.json["notes"])
    plate = Plate.open(tmp_path / "p.ome.zarr")
    flat = {key: np.maximum(made[key], made[key._replace(z=1)]) - np.uint16(32_768) for key in ALL if key.z == 0}
    assert_holds(plate, flat)
    assert plate.pixel_size is not None
    assert plate.pixel_size.x_um == pytest.approx(0.33)
    copied = hts("convert", plate.path, tmp_path / "q.ome.zarr", "--rewrite", "--ngff", "0.4", "--verify", "--json")
    assert (copied.code, copied.json["verified"]["equal"], copied.json["version"]) == (0, 8, "0.4")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--wells", "H12"], "H12"),
        (["--wells", "oops"], "a well name is a row and a column"),
        (["--fields", "7"], "a field of the plate: 1, 2"),
        (["--fields", "one"], "fields as numbers up to 999,999"),
        (["--channels", "DAPI"], "a channel of the plate: DNA, GFP"),
        (["--channels", ","], "names of channels, such as DAPI,GFP"),
        (["--channels", ""], "names of channels"),
        (["--wells", ""], "a list of wells"),
        (["--fields", ""], "fields as numbers up to 999,999"),
        (["--project", "median"], "'median' is not one of"),
        (["--ngff", "0.6"], "'0.6' is not one of"),
        (["--workers", "0"], "'--workers'"),
        (["--pixel-size-um", "0"], "pixel size in micrometres above 0"),
        (["--pixel-size-um", "nan"], "pixel size in micrometres above 0"),
        (["--reader", "patern"], "a pattern belongs to the reader 'pattern'"),
        (["--layout", "nowhere.csv"], "a layout file at nowhere.csv"),
        (["--recipe", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_writes_nothing(
    source: Path, tmp_path: Path, options: list[str], said: str
) -> None:
    done = convert(source, tmp_path / "p.ome.zarr", *options)
    assert done.code == 2, done.err
    assert said in " ".join(done.err.split())
    assert done.out == ""
    assert not (tmp_path / "p.ome.zarr").exists()


def test_errors_are_json_too(source: Path, tmp_path: Path) -> None:
    done = convert(source, tmp_path / "p.ome.zarr", "--wells", "H12", "--json")
    assert (done.code, done.json["kind"]) == (2, "NotFoundError")
    (tmp_path / "file").write_text("")
    done = convert(source, tmp_path / "file" / "p.ome.zarr", "--json")
    assert (done.code, done.json["kind"]) == (1, "StoreError")


def test_a_subset_after_the_whole_is_exit_code_2(source: Path, tmp_path: Path) -> None:
    convert(source, tmp_path / "p.ome.zarr")
    before = content(tmp_path / "p.ome.zarr")
    for part in (["--wells", "B02"], ["--fields", "1"], ["--channels", "DNA"]):
        done = convert(source, tmp_path / "p.ome.zarr", *part, "--overwrite")
        assert done.code == 2
        assert f"leave {part[0]} as it was" in done.err
    assert content(tmp_path / "p.ome.zarr") == before


def test_addresses_in_and_out(s3: str) -> None:
    made = write_folder(location(s3) / "images", keys("B02"))
    shown = hts("inspect", f"{s3}/images", "--pattern", PATTERN)
    assert (shown.code, f"{s3}/images: images, read as pattern" in shown.out) == (0, True)
    done = convert(f"{s3}/images", f"{s3}/p.ome.zarr", "--verify", "--json")
    assert (done.code, done.json["plate"], done.json["verified"]["equal"]) == (0, f"{s3}/p.ome.zarr", 2)
    assert_holds(Plate.open(f"{s3}/p.ome.zarr"), made)
    assert hts("inspect", "gopher://images").code == 2


def test_a_plate_is_inspected_as_a_folder_is(source: Path, tmp_path: Path) -> None:
    convert(source, tmp_path / "p.ome.zarr")
    told = hts("inspect", tmp_path / "p.ome.zarr", "--json").json
    assert (told["reader"], told["planes"]) == ("ome-zarr", {"found": 16})
    shown = hts("inspect", tmp_path / "p.ome.zarr")
    assert shown.code == 0
    assert "2 wells × 2 fields × 2 channels (DNA, GFP) × 2 z × 1 t" in shown.out
    refused = hts("convert", tmp_path / "p.ome.zarr", tmp_path / "q.ome.zarr")
    assert (refused.code, "--rewrite" in refused.err) == (2, True)


def test_at_most_twenty_issues_are_shown(tmp_path: Path) -> None:
    every = keys("B02,B03", n_z=30)
    write_folder(tmp_path / "s", [key for key in every if key.z < 8 or key.well == "B02"])
    shown = convert(tmp_path / "s", tmp_path / "p.ome.zarr")
    assert shown.out.count(" missing: ") == 20
    assert "  … and 24 more; --json lists them all" in shown.out
