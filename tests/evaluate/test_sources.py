"""Label images wherever people keep them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from hts.errors import NotFoundError, SourceError, StoreError, UsageError
from hts.evaluate.sources import open_labels, open_pictures, read_file
from hts.locations import location
from hts.store import Plate, list_labels, write_labels

LABELS = np.arange(12, dtype=np.uint8).reshape(3, 4)


def save(path: Path, labels: np.ndarray = LABELS, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png":
        Image.fromarray(labels).save(path)
    else:
        tifffile.imwrite(path, labels, **options)
    return path


class TestFiles:
    @pytest.mark.parametrize("dtype", ["uint8", "uint16"])
    def test_png(self, tmp_path, dtype):
        labels = LABELS.astype(dtype) * (20 if dtype == "uint8" else 5000)
        found = read_file(save(tmp_path / "a.png", labels))
        np.testing.assert_array_equal(found, labels)

    @pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "uint32", "int64"])
    def test_tiff(self, tmp_path, dtype):
        labels = LABELS.astype(dtype) * (1 if dtype == "uint8" else 2000)
        found = read_file(save(tmp_path / "a.tif", labels, compression="zlib"))
        np.testing.assert_array_equal(found, labels)
        assert found.dtype == dtype

    def test_colours_of_a_palette_are_numbers_of_objects(self, tmp_path):
        picture = Image.fromarray(LABELS).convert("P")
        picture.putdata(LABELS.ravel().tolist())
        picture.putpalette(list(range(255, -1, -1)) * 3)
        picture.save(tmp_path / "a.png")
        np.testing.assert_array_equal(read_file(tmp_path / "a.png"), LABELS)

    def test_one_bit(self, tmp_path):
        save(tmp_path / "a.png", LABELS > 5)
        assert read_file(tmp_path / "a.png").dtype == bool

    @pytest.mark.parametrize("suffix", [".png", ".tif"])
    def test_colour_pictures_are_refused(self, tmp_path, suffix):
        path = save(tmp_path / f"a{suffix}", np.zeros((8, 9, 3), np.uint8))
        with pytest.raises(SourceError, match=r"a\.\w+: is a colour (picture|image)"):
            read_file(path)

    def test_stacks_are_refused(self, tmp_path):
        with pytest.raises(SourceError, match="holds 5 planes"):
            read_file(save(tmp_path / "a.tif", np.zeros((5, 30, 40), np.uint16), photometric="minisblack"))

    @pytest.mark.parametrize("suffix", [".png", ".tif"])
    @pytest.mark.parametrize("keep_bytes", [0, 7, 60, 300])
    def test_damaged_files_are_refused(self, tmp_path, suffix, keep_bytes):
        noise = np.random.default_rng(0).integers(0, 60_000, (40, 40)).astype(np.uint16)
        path = save(tmp_path / f"a{suffix}", noise)
        path.write_bytes(path.read_bytes()[:keep_bytes])
        with pytest.raises(SourceError, match=r"a\.\w+: "):
            read_file(path)

    def test_a_text_is_no_png(self, tmp_path):
        (tmp_path / "a.png").write_text("label")
        with pytest.raises(SourceError, match="is not a PNG file"):
            read_file(tmp_path / "a.png")


class TestFolders:
    def test_files_are_named_by_their_stems(self, tmp_path):
        for name in ("b.TIF", "a.png", "c.tiff", "._a.png", "notes.txt"):
            (tmp_path / name).touch()
        assert list(open_labels(tmp_path).read) == ["a", "b", "c"]

    def test_images_beside_their_masks_are_left_out_and_masks_beside_their_images(self, tmp_path):
        for name in ("a.tif", "b.tif", "a_cp_masks.tif", "b_cp_masks.tif", "a_cp_output.png"):
            save(tmp_path / name)
        found = open_labels(tmp_path)
        assert list(found.read) == ["a_cp_masks", "b_cp_masks"]
        assert found.notes == (
            f"{tmp_path}: 3 files were left out, because 2 others are called masks, such as a_cp_masks.tif",
        )
        assert list(open_pictures(tmp_path).read) == ["a", "a_cp_output", "b"]

    def test_a_star_names_the_part_that_counts(self, tmp_path):
        for name in ("man_seg1.tif", "man_seg22.tif", "man_seg3.png", "man_track1.tif", "man_[x]1.tif"):
            save(tmp_path / name)
        assert list(open_labels(f"{tmp_path}/man_seg*.tif").read) == ["1", "22"]
        assert list(open_labels(tmp_path / "man_seg*").read) == ["1", "22", "3"]
        assert list(open_labels(tmp_path / "man_[x]*").read) == ["1"]
        save(tmp_path / "aa.tif")
        save(tmp_path / "a.tif")
        assert list(open_labels(tmp_path / "a*a.tif").read) == [""]  # a.tif has no room for both
        np.testing.assert_array_equal(open_labels(tmp_path / "*k1.tif").read["man_trac"](), LABELS)

    def test_a_file(self, tmp_path):
        found = open_labels(str(save(tmp_path / "one.png")))
        np.testing.assert_array_equal(found.read["one"](), LABELS)

    def test_on_an_object_store_alike(self, memory):
        folder = location(memory)
        for name in ("a.png", "b.png"):
            with (folder / name).open("wb") as file:
                Image.fromarray(LABELS).save(file, "png")
        found = open_labels(memory)
        assert list(found.read) == ["a", "b"]
        np.testing.assert_array_equal(found.read["b"](), LABELS)

    @pytest.mark.parametrize(
        ("where", "error", "message"),
        [
            ("", NotFoundError, "no .png or .tif file"),
            ("nowhere", NotFoundError, "found: nothing"),
            ("x*.tif", NotFoundError, "no .png or .tif file"),
            ("nowhere/x*.tif", NotFoundError, "no .png or .tif file"),
            ("*_*.tif", UsageError, "one \\* in the name"),
        ],
    )
    def test_nothing_there(self, tmp_path, where, error, message):
        with pytest.raises(error, match=message):
            open_labels(tmp_path / where)

    def test_two_files_of_one_name(self, tmp_path):
        save(tmp_path / "a.png")
        save(tmp_path / "a.tif")
        with pytest.raises(UsageError, match=r"a\.png and a\.tif(.|\n)*star"):
            open_labels(tmp_path)


def label(plate: Plate, names: list[str], listed: list[str] | None = None) -> None:
    """Give every field of a plate label images: the first has label 1 everywhere, the second 2 …"""
    for well in plate.wells:
        for field in plate[well].fields:
            shape = field.sizes["y"], field.sizes["x"]
            write_labels(field, {name: np.full(shape, i, np.int32) for i, name in enumerate(names, 1)})
            list_labels(field, names if listed is None else listed)


class TestZarr:
    def test_fields_of_a_plate_are_named_by_well_and_field(self, plate):
        label(plate, ["nuclei-0123abcd"])
        found = open_labels(plate.path)
        fields = [field for well in plate.wells for field in plate[well].fields]
        assert list(found.read) == [f"{field.key.well}_s{field.key.field}" for field in fields]
        assert found.where.endswith("small.ome.zarr: nuclei")
        labels = found.read["B02_s1"]()
        assert (labels.shape, labels.dtype, labels.max()) == ((192, 192), np.int32, 1)

    def test_labels_are_chosen_by_name_with_or_without_fingerprint(self, plate):
        label(plate, ["nuclei-0123abcd", "cells-0123abcd", "nuclei-ffff0000"], ["nuclei-0123abcd", "cells-0123abcd"])
        for name, value in (("nuclei", 1), ("cells", 2), ("nuclei-ffff0000", 3)):
            assert open_labels(plate.path, name).read["B02_s1"]().max() == value
        with pytest.raises(UsageError, match=r"found: cells, nuclei(.|\n)*--labels"):
            open_labels(plate.path)
        with pytest.raises(NotFoundError, match="label images spots"):
            open_labels(plate.path, "spots")

    def test_a_plate_without_labels(self, plate):
        with pytest.raises(NotFoundError, match=r"found: none(.|\n)*hts run"):
            open_labels(plate.path)

    def test_only_annotated_fields_count(self, plate):
        field = plate["C04"].fields[0]
        write_labels(field, {"drawn": np.ones((192, 192), np.int32)})
        list_labels(field, ["drawn"])
        assert list(open_labels(plate.path).read) == [f"C04_s{field.key.field}"]

    def test_what_is_damaged_costs_itself_only(self, plate):
        label(plate, ["nuclei"])
        fields = plate["B02"].fields
        (fields[0].location / "labels" / "zarr.json").write_text("{")
        (plate["B03"].location / "zarr.json").write_text("{")
        found = open_labels(plate.path, "nuclei")
        assert len(found.notes) == 1
        assert "well B03" in found.notes[0]
        assert "B03_s1" not in found.read
        assert found.read[f"C02_s{plate['C02'].fields[0].key.field}"]().max() == 1

    def test_a_damaged_list_of_labels_is_told_when_it_is_read(self, plate):
        label(plate, ["nuclei-0123abcd"])
        (plate["B02"].fields[0].location / "labels" / "zarr.json").write_text("{")
        with pytest.raises(StoreError, match="labels"):
            open_labels(plate.path, "nuclei").read["B02_s1"]()

    def test_an_image_and_its_label_image(self, plate):
        label(plate, ["nuclei"])
        image = plate["B02"].fields[0].location
        for where in (image, image / "labels" / "nuclei"):
            (read,) = open_labels(where).read.values()
            assert read().max() == 1

    def test_a_zip_file(self, plate, tmp_path):
        label(plate, ["nuclei"])
        archive = shutil.make_archive(str(tmp_path / "small.ome.zarr"), "zip", plate.path)
        assert open_labels(archive).read["B02_s1"]().max() == 1


class TestPictures:
    def test_planes_and_colours(self, tmp_path):
        save(tmp_path / "grey.png", LABELS)
        save(tmp_path / "deep.tif", LABELS.astype(np.uint16) * 1000)
        colours = np.stack([LABELS, 2 * LABELS, 3 * LABELS, np.full_like(LABELS, 255)], axis=-1)
        save(tmp_path / "colours.png", colours)
        read = open_pictures(tmp_path).read
        for name, factor in (("grey", 1), ("deep", 1000), ("colours", 2)):
            found = read[name]()
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, LABELS * np.float32(factor))

    def test_the_first_channel_of_a_plate(self, plate):
        field = plate["B02"].fields[0]
        found = open_pictures(plate.path).read["B02_s1"]()
        np.testing.assert_array_equal(found, field.read_plane(field.channels[0]).astype(np.float32))
