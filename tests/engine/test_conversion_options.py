"""What `hts convert` may be told: projections, parts of a plate, offsets, pixel size, version, rewriting, threads."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr

import hts
from hts.acquire.select import Part, parse_fields
from hts.engine import Conversion, ConvertOptions
from hts.engine.inspection import inspect_source
from hts.errors import NotFoundError, SourceError, UsageError
from hts.model import PixelSize, parse_wells
from hts.store import Plate
from tests.engine.folders import (
    PATTERN,
    SHAPE,
    Key,
    assert_holds,
    broken,
    content,
    keys,
    pixels,
    planes_in,
    tiff_bytes,
    write_folder,
)
from tests.reference.projection import max_projection, mean_projection
from tests.store.foreign import ints, ngio_plate, ome_zarr_py_plate

VERSIONS = pytest.mark.parametrize("ngff", ["0.5", "0.4"])
DTYPES = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"]


def convert(source: Path, plate: Path, **settings: object) -> Plate:
    return hts.convert(source, plate, **{"pattern": PATTERN, **settings})


def verified(source: Path, plate: Path, **settings: object) -> int:
    """Planes that equal their source; all must."""
    options = ConvertOptions(**{"pattern": PATTERN, **settings})
    found = Conversion.prepare(source, plate, options).verify()
    assert found.different == ()
    return found.equal


# --- pixels ------------------------------------------------------------------------------------------------------


@VERSIONS
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_is_kept(tmp_path: Path, dtype: str, ngff: str) -> None:
    made = write_folder(tmp_path / "s", keys("B02", n_z=2, n_t=2), dtype=dtype)
    plate = convert(tmp_path / "s", tmp_path / "p.ome.zarr", ngff=ngff)
    assert plate.version == ngff
    assert_holds(plate, made)
    assert verified(tmp_path / "s", tmp_path / "p.ome.zarr", ngff=ngff) == 8


@VERSIONS
def test_planes_of_several_chunks_and_levels_are_kept(tmp_path: Path, ngff: str) -> None:
    made = write_folder(tmp_path / "s", keys("B02", channels="DNA"), (700, 515))
    plate = convert(tmp_path / "s", tmp_path / "p.ome.zarr", ngff=ngff)
    assert_holds(plate, made)
    assert plate.levels == 3


@VERSIONS
def test_nan_and_infinity_are_pixels_like_others(tmp_path: Path, ngff: str) -> None:
    made = write_folder(tmp_path / "s", keys("B02", channels="DNA"), dtype="float32")
    image = made[Key("B02")]
    image[0, :3] = np.nan, np.inf, -np.inf
    (tmp_path / "s" / Key("B02").file).write_bytes(tiff_bytes(image))
    assert_holds(convert(tmp_path / "s", tmp_path / "p.ome.zarr", ngff=ngff), {Key("B02"): image})
    assert verified(tmp_path / "s", tmp_path / "p.ome.zarr", ngff=ngff) == 1


def test_complex_pixels_are_refused(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / Key("B02").file).write_bytes(tiff_bytes(np.ones(SHAPE, np.complex64)))
    with pytest.raises(SourceError, match="complex64, whole or real numbers"):
        convert(tmp_path / "s", tmp_path / "p.ome.zarr")


# --- projections -------------------------------------------------------------------------------------------------

TWINS = {"max": max_projection, "mean": mean_projection}


@pytest.mark.parametrize("project", TWINS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_projections_equal_their_twins_in_the_type_of_the_pixels(tmp_path: Path, project: str, dtype: str) -> None:
    made = write_folder(tmp_path / "s", keys("B02", n_z=4, n_t=2), dtype=dtype)
    plate = convert(tmp_path / "s", tmp_path / "p.ome.zarr", project=project)
    expected = {
        key: TWINS[project]([made[key._replace(z=z)] for z in range(4)]) for key in keys("B02", n_t=2) if key.z == 0
    }
    for key, image in expected.items():
        stored = plate["B02"].field(1).read_plane(key.channel, t=key.t)
        # Sums of floats depend on their order in the last bit.
        exact = np.testing.assert_array_equal if np.dtype(dtype).kind != "f" else np.testing.assert_allclose
        exact(stored, image)
        assert stored.dtype == np.dtype(dtype)
    assert plate.shape["z"] == 1
    assert planes_in(plate) == set(expected)
    assert verified(tmp_path / "s", tmp_path / "p.ome.zarr", project=project) == 4
    assert any(f"replaced by their {project}" in note for note in plate.origin["notes"])


def test_a_half_is_rounded_upwards_also_below_zero(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    for z, value in enumerate((-4, -3)):
        image = np.full(SHAPE, value, np.int16)
        image[0, 0] = 32767 - z
        (tmp_path / "s" / Key("B02", z=z).file).write_bytes(tiff_bytes(image))
    mean = convert(tmp_path / "s", tmp_path / "p.ome.zarr", project="mean")["B02"].field(1).read_plane("DNA")
    assert (mean[1, 1], mean[0, 0]) == (-3, 32767)


@pytest.mark.parametrize("project", TWINS)
def test_an_incomplete_stack_is_refused_and_every_plane_of_it_listed(tmp_path: Path, project: str) -> None:
    """The maximum of two planes is no stand-in for that of three."""
    lost, cut = Key("B02", 1, "DNA", 1), Key("B02", 2, "GFP", 2)
    made = write_folder(tmp_path / "s", keys("B02,B03", fields=2, n_z=3, without=[lost]))
    (tmp_path / "s" / cut.file).write_bytes(tiff_bytes(made[cut])[:-40])
    plate = convert(tmp_path / "s", tmp_path / "p.ome.zarr", project=project)
    stacks = set(keys("B02,B03", fields=2)) - {lost._replace(z=0), cut._replace(z=0)}
    assert planes_in(plate) == stacks
    said = broken(plate)
    assert {key: status for key, (status, _) in said.items()} == {
        **{lost._replace(z=z): "missing" for z in range(3)},
        **{cut._replace(z=z): "unreadable" for z in range(3)},
    }
    assert said[lost._replace(z=0)][1] == "its z stack is not complete: z=1 is missing"
    assert "truncated" in said[cut][1]
    assert verified(tmp_path / "s", tmp_path / "p.ome.zarr", project=project) == 6


def test_without_a_projection_an_incomplete_stack_keeps_its_other_planes(tmp_path: Path) -> None:
    made = write_folder(tmp_path / "s", keys("B02,B03", n_z=3, without=[Key("B02", 1, "DNA", 1)]))
    plate = convert(tmp_path / "s", tmp_path / "p.ome.zarr")
    assert_holds(plate, made)
    assert set(broken(plate)) == {Key("B02", 1, "DNA", 1)}


def test_the_projected_plate_has_no_z_step_and_another_fingerprint(tmp_path: Path) -> None:
    write_folder(tmp_path / "s", keys("B02", n_z=2))
    whole = convert(tmp_path / "s", tmp_path / "a.ome.zarr", pixel_size_um=0.5)
    flat = convert(tmp_path / "s", tmp_path / "b.ome.zarr", pixel_size_um=0.5, project="max")
    assert flat.pixel_size == PixelSize(0.5, 0.5)
    assert whole.origin["conversion"] != flat.origin["conversion"]


def test_another_projection_into_the_same_plate_converts_all_of_it_again(tmp_path: Path) -> None:
    made = write_folder(tmp_path / "s", keys("B02,B03", channels="DNA", n_z=2))
    place = tmp_path / "p.ome.zarr"
    convert(tmp_path / "s", place)
    before = content(place)
    with pytest.raises(UsageError, match=r"(?s)project none there, max now.*--overwrite"):
        convert(tmp_path / "s", place, project="max")
    assert content(place) == before
    plate = convert(tmp_path / "s", place, project="max", overwrite=True)
    flat = {Key(well): np.maximum(made[Key(well)], made[Key(well, z=1)]) for well in ("B02", "B03")}
    assert_holds(plate, flat)
    assert_holds(convert(tmp_path / "s", place, overwrite=True), made)


def test_another_plate_into_the_same_place_is_refused(tmp_path: Path) -> None:
    write_folder(tmp_path / "one", keys("B02"))
    write_folder(tmp_path / "two", keys("B02"))
    convert(tmp_path / "one", tmp_path / "p.ome.zarr")
    with pytest.raises(UsageError, match="plate one there, two now"):
        convert(tmp_path / "two", tmp_path / "p.ome.zarr")


# --- parts -------------------------------------------------------------------------------------------------------

PARTS = {
    "wells": Part(wells=parse_wells("B02,C03")),
    "fields": Part(fields=parse_fields("2")),
    "channels": Part(channels=("Red", "DNA")),
    "all": Part(parse_wells("C03"), parse_fields("1-2"), ("GFP",)),
}


def chosen(key: Key, part: Part) -> bool:
    wells = None if part.wells is None else {well.name for well in part.wells}
    return (
        (wells is None or key.well in wells)
        and (part.fields is None or key.field in part.fields)
        and (part.channels is None or key.channel in part.channels)
    )


@VERSIONS
@pytest.mark.parametrize("name", PARTS)
def test_a_part_then_the_whole_then_the_part_again_is_refused(tmp_path: Path, name: str, ngff: str) -> None:
    source, place, part = tmp_path / "s", tmp_path / "p.ome.zarr", PARTS[name]
    made = write_folder(source, keys("B02,B03,C03", fields=3, channels="DNA,GFP,Red"))
    some = convert(source, place, part=part, ngff=ngff)
    assert_holds(some, {key: image for key, image in made.items() if chosen(key, part)})
    assert broken(some) == {}
    # Channels keep the plate's order, whatever the order in which they were asked for.
    assert list(some.channels) == [
        name for name in ("DNA", "GFP", "Red") if part.channels is None or name in part.channels
    ]
    # Another set of channels is another image: nothing of the first may stay, so that must be asked for.
    whole = convert(source, place, ngff=ngff, overwrite=part.channels is not None)
    assert_holds(whole, made)
    before = content(place)
    with pytest.raises(UsageError, match=r"of the plate are not among them, such as"):
        convert(source, place, part=part, ngff=ngff)
    assert content(place) == before


def test_the_whole_after_a_part_equals_the_whole_at_once(tmp_path: Path) -> None:
    """Wells that are committed already stay as they are, and the plate is the same to the byte."""
    write_folder(tmp_path / "s", keys("B02,B03", fields=2))
    convert(tmp_path / "s", tmp_path / "once" / "p.ome.zarr")
    convert(tmp_path / "s", tmp_path / "parts" / "p.ome.zarr", part=Part(wells=parse_wells("B03")))
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "parts").rglob("B/03/1/**/c/**/*")}
    assert stamps
    convert(tmp_path / "s", tmp_path / "parts" / "p.ome.zarr")
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    assert content(tmp_path / "parts") == content(tmp_path / "once")


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (Part(wells=parse_wells("B02,H12")), "H12"),
        (Part(fields=frozenset({2, 7, 11})), "7, 11"),
        (Part(channels=("DNA", "dapi")), "dapi"),
        (Part(channels=()), "none"),
    ],
)
def test_unknown_names_are_told_with_the_known_ones_and_nothing_is_written(
    tmp_path: Path, part: Part, said: str
) -> None:
    write_folder(tmp_path / "s", keys("B02,B03", fields=2))
    with pytest.raises(NotFoundError, match=said):
        convert(tmp_path / "s", tmp_path / "p.ome.zarr", part=part)
    assert not (tmp_path / "p.ome.zarr").exists()


# --- offsets -----------------------------------------------------------------------------------------------------


@pytest.fixture
def scanr(tmp_path: Path) -> dict[Key, np.ndarray]:
    """Cameras of 12 bits whose values were stored 32,768 higher."""
    made = {key: pixels(key, dtype="uint16") % 4096 + np.uint16(32_768) for key in keys("B02,B03", fields=2)}
    (tmp_path / "s").mkdir()
    for key, image in made.items():
        (tmp_path / "s" / key.file).write_bytes(tiff_bytes(image))
    return made


def test_an_offset_is_told_and_stays(tmp_path: Path, scanr: dict[Key, np.ndarray]) -> None:
    told = inspect_source(tmp_path / "s", pattern=PATTERN)
    assert told.to_json()["offset"] == 32_768
    assert any("offset" in line for line in told.lines())
    plate = convert(tmp_path / "s", tmp_path / "p.ome.zarr")
    assert_holds(plate, scanr)
    assert (plate.origin["offset"], plate.origin["removed_offset"]) == (32_768, 0)
    assert sum("constant offset" in note for note in plate.origin["notes"]) == 1


@VERSIONS
def test_an_offset_is_removed_on_request(tmp_path: Path, scanr: dict[Key, np.ndarray], ngff: str) -> None:
    plate = convert(tmp_path / "s", tmp_path / "p.ome.zarr", remove_offset=True, ngff=ngff)
    assert_holds(plate, {key: image - np.uint16(32_768) for key, image in scanr.items()})
    assert (plate.origin["offset"], plate.origin["removed_offset"]) == (32_768, 32_768)
    notes = [note for note in plate.origin["notes"] if "offset" in note]
    assert notes == ["the constant offset of 32,768 was removed from every pixel"]
    assert verified(tmp_path / "s", tmp_path / "p.ome.zarr", remove_offset=True, ngff=ngff) == 8


def test_a_plane_below_the_offset_is_unreadable_and_never_wraps(tmp_path: Path, scanr: dict[Key, np.ndarray]) -> None:
    odd = Key("B02", 2, "GFP")
    image = scanr[odd].copy()
    image[5, 7] = 32_767
    (tmp_path / "s" / odd.file).write_bytes(tiff_bytes(image))
    plate = convert(tmp_path / "s", tmp_path / "p.ome.zarr", remove_offset=True)
    assert planes_in(plate) == set(scanr) - {odd}
    assert broken(plate) == {
        odd: ("unreadable", f"{odd.file}: has pixels of 32767, below the offset 32768 that is to be removed")
    }
    assert verified(tmp_path / "s", tmp_path / "p.ome.zarr", remove_offset=True) == 7
    kept = convert(tmp_path / "s", tmp_path / "kept.ome.zarr")
    assert_holds(kept, {**scanr, odd: image})


def test_offset_and_projection_together(tmp_path: Path) -> None:
    made = {key: pixels(key) % 4096 + np.uint16(32_768) for key in keys("B02", channels="DNA", n_z=3)}
    (tmp_path / "s").mkdir()
    for key, image in made.items():
        (tmp_path / "s" / key.file).write_bytes(tiff_bytes(image))
    plate = convert(tmp_path / "s", tmp_path / "p.ome.zarr", remove_offset=True, project="mean")
    expected = mean_projection([image - np.uint16(32_768) for image in made.values()])
    assert_holds(plate, {Key("B02"): expected})


def test_where_there_is_no_offset_none_is_removed(tmp_path: Path) -> None:
    made = write_folder(tmp_path / "s", keys("B02"))
    plate = convert(tmp_path / "s", tmp_path / "p.ome.zarr", remove_offset=True)
    assert_holds(plate, made)
    assert "no constant offset was found, none was removed" in plate.origin["notes"]


# --- pixel size --------------------------------------------------------------------------------------------------


@VERSIONS
def test_a_given_pixel_size_is_kept_and_noted_where_the_files_say_another(
    tmp_path: Path, small_truth: hts.synth.Truth, ngff: str
) -> None:
    part = Part(wells=parse_wells("B02"))
    plate = hts.convert(small_truth.plate, tmp_path / "p.ome.zarr", pixel_size_um=0.33, part=part, ngff=ngff)
    assert plate.pixel_size == PixelSize(0.33, 0.33)
    assert "pixel size 0.33 µm was given by hand; the files say 0.65 µm" in plate.origin["notes"]
    same = hts.convert(small_truth.plate, tmp_path / "q.ome.zarr", pixel_size_um=0.65, part=part, ngff=ngff)
    assert not any("by hand" in note for note in same.origin["notes"])


@pytest.mark.parametrize("size_um", [0.0, -0.5, float("nan"), float("inf"), 5000.0])
def test_an_absurd_pixel_size_is_refused(tmp_path: Path, size_um: float) -> None:
    write_folder(tmp_path / "s", keys("B02"))
    with pytest.raises(UsageError, match="pixel size in micrometres"):
        convert(tmp_path / "s", tmp_path / "p.ome.zarr", pixel_size_um=size_um)


# --- versions and rewriting --------------------------------------------------------------------------------------


def test_a_plate_of_the_other_version_is_never_written_into(tmp_path: Path) -> None:
    write_folder(tmp_path / "s", keys("B02"))
    convert(tmp_path / "s", tmp_path / "p.ome.zarr", ngff="0.4")
    before = content(tmp_path / "p.ome.zarr")
    with pytest.raises(UsageError, match=r"OME-Zarr 0\.5\n.*version 0\.4"):
        convert(tmp_path / "s", tmp_path / "p.ome.zarr")
    assert content(tmp_path / "p.ome.zarr") == before


@pytest.mark.parametrize("to", ["0.5", "0.4"])
@pytest.mark.parametrize("old", ["0.5", "0.4", "zip"])
def test_a_plate_of_ours_is_rewritten_with_all_it_says(tmp_path: Path, old: str, to: str) -> None:
    lost, cut = Key("B02", 1, "DNA", 1), Key("B03", 2, "GFP", 0, 1)
    made = write_folder(tmp_path / "s", keys("B02,B03", fields=2, n_z=2, n_t=2, without=[lost]))
    (tmp_path / "s" / cut.file).write_bytes(b"")
    first = convert(tmp_path / "s", tmp_path / "p.ome.zarr", ngff="0.4" if old == "0.4" else "0.5", pixel_size_um=0.3)
    place = tmp_path / "p.ome.zarr"
    if old == "zip":
        place = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "p.ome.zarr"))
    again = hts.convert(place, tmp_path / "q.ome.zarr", rewrite=True, ngff=to)
    del made[cut]
    assert_holds(again, made)
    assert broken(again) == broken(first)
    assert (again.version, again.pixel_size, again.channels) == (to, first.pixel_size, first.channels)
    assert again.channel_colors == first.channel_colors
    found = Conversion.prepare(place, tmp_path / "q.ome.zarr", ConvertOptions(rewrite=True, ngff=to)).verify()
    assert (found.equal, found.different) == (len(made), ())


@pytest.mark.parametrize("version", ["0.5", "0.4"])
def test_plates_of_others_are_rewritten(tmp_path: Path, version: str) -> None:
    theirs = {"A/1": ints((2, 40, 48), 1), "B/3": ints((2, 40, 48), 2)}
    ome_zarr_py_plate(tmp_path / "theirs.zarr", theirs, version)
    plate = hts.convert(tmp_path / "theirs.zarr", tmp_path / "p.ome.zarr", rewrite=True)
    for path, values in theirs.items():
        for c, channel in enumerate(plate.channels):
            np.testing.assert_array_equal(plate[path.replace("/", "")].fields[0].read_plane(channel), values[c])
    assert any("was not made by hts" in note for note in plate.origin["notes"])


@pytest.mark.parametrize("version", ["0.5", "0.4"])
def test_a_plate_of_ngio_is_rewritten_with_its_channels(tmp_path: Path, version: str) -> None:
    values = ints((2, 3, 40, 48))
    ngio_plate(tmp_path / "theirs.zarr", values, version)
    plate = hts.convert(tmp_path / "theirs.zarr", tmp_path / "p.ome.zarr", rewrite=True)
    assert plate.channels == ("DAPI", "GFP")
    assert plate.pixel_size == PixelSize(0.325, 0.325, 2.0)
    for c, channel in enumerate(plate.channels):
        for z in range(3):
            np.testing.assert_array_equal(plate["C05"].fields[0].read_plane(channel, z=z), values[c, z])


def test_a_plate_is_not_copied_unless_asked_for_and_never_over_itself(tmp_path: Path) -> None:
    write_folder(tmp_path / "s", keys("B02"))
    place = tmp_path / "p.ome.zarr"
    convert(tmp_path / "s", place)
    before = content(place)
    with pytest.raises(UsageError, match="--rewrite"):
        hts.convert(place, tmp_path / "q.ome.zarr")
    with pytest.raises(UsageError, match="itself"):
        hts.convert(place, place, rewrite=True, overwrite=True)
    assert content(place) == before
    assert not (tmp_path / "q.ome.zarr").exists()


def test_a_plate_of_others_is_never_written_into(tmp_path: Path) -> None:
    write_folder(tmp_path / "s", keys("B02"))
    ome_zarr_py_plate(tmp_path / "theirs.zarr", {"B/2": ints((2, *SHAPE))}, "0.5")
    before = content(tmp_path / "theirs.zarr")
    with pytest.raises(UsageError, match="another plate"):
        convert(tmp_path / "s", tmp_path / "theirs.zarr")
    assert content(tmp_path / "theirs.zarr") == before


def test_a_damaged_chunk_of_a_plate_costs_one_plane_of_its_copy(tmp_path: Path) -> None:
    made = write_folder(tmp_path / "s", keys("B02,B03"))
    convert(tmp_path / "s", tmp_path / "p.ome.zarr")
    shard = tmp_path / "p.ome.zarr" / "B" / "03" / "1" / "0" / "c" / "0" / "1" / "0" / "0" / "0"
    shard.write_bytes(shard.read_bytes()[:-7])
    plate = hts.convert(tmp_path / "p.ome.zarr", tmp_path / "q.ome.zarr", rewrite=True)
    del made[Key("B03", 1, "GFP")]
    assert_holds(plate, made)
    assert list(broken(plate)) == [Key("B03", 1, "GFP")]


# --- threads and repetition --------------------------------------------------------------------------------------


@VERSIONS
def test_any_number_of_threads_makes_the_same_bytes(tmp_path: Path, ngff: str) -> None:
    write_folder(tmp_path / "s", keys("B02,B03,C02,C03", fields=3, n_z=2))
    hashes = []
    for workers in (1, 2, 7):
        convert(tmp_path / "s", tmp_path / str(workers) / "p.ome.zarr", workers=workers, ngff=ngff)
        hashes.append(content(tmp_path / str(workers)))
    assert hashes[0] == hashes[1] == hashes[2]


def test_overwrite_writes_every_well_again_to_the_same_bytes(tmp_path: Path) -> None:
    write_folder(tmp_path / "s", keys("B02,B03"))
    place = tmp_path / "p.ome.zarr"
    convert(tmp_path / "s", place)
    before = content(place)
    stamps = {path: path.stat().st_mtime_ns for path in place.rglob("*/c/**/0") if path.is_file()}
    convert(tmp_path / "s", place, overwrite=True)
    assert content(place) == before
    assert all(path.stat().st_mtime_ns > stamp for path, stamp in stamps.items())


def test_what_zarr_itself_reads_is_what_was_acquired(tmp_path: Path) -> None:
    """Not through our own reading, which could hide a mistake of our writing."""
    made = write_folder(tmp_path / "s", keys("B02", channels="DNA,GFP", n_z=2))
    for ngff in ("0.5", "0.4"):
        convert(tmp_path / "s", tmp_path / f"{ngff}.ome.zarr", ngff=ngff)
        array = zarr.open_array(str(tmp_path / f"{ngff}.ome.zarr" / "B" / "02" / "1" / "0"), mode="r")
        for (c, channel), z in ((one, z) for one in enumerate(("DNA", "GFP")) for z in range(2)):
            np.testing.assert_array_equal(array[0, c, z], made[Key("B02", 1, channel, z)])
