"""Whole sets of images: what is scored, what is not and why, and what is written."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from hts.errors import NotFoundError, StoreError, UsageError
from hts.evaluate import evaluate_objects, pool, save_evaluation, score_objects
from hts.evaluate.pictures import PREDICTION_COLOR, TRUTH_COLOR, draw_mistakes
from hts.store import Plate, list_labels, write_labels
from hts.synth import Truth
from tests.evaluate.images import scene

NAMES = ("a", "b", "c")


def save(path: Path, labels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, labels, photometric="rgb" if labels.shape[-1] == 3 else "minisblack")


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Truth and prediction of three fields, `c` being perfect."""
    for seed, name in enumerate(NAMES):
        truth, prediction = scene(seed, size_px=80, cells=12)
        save(tmp_path / "truth" / f"{name}.tif", truth.astype(np.uint16))
        save(tmp_path / "found" / f"{name}_masks.tif", truth if name == "c" else prediction)
    return tmp_path / "truth", tmp_path / "found"


def pair(seed: int) -> tuple[np.ndarray, np.ndarray]:
    truth, prediction = scene(seed, size_px=80, cells=12)
    return truth, truth if seed == 2 else prediction


class TestFolders:
    def test_scores_are_those_of_the_images(self, folders):
        found = evaluate_objects(*folders)
        expected = {name: score_objects(*pair(seed)) for seed, name in enumerate(NAMES)}
        assert found.scored == expected
        assert found.failed == {}
        assert found.pooled == pool(expected.values())
        for name, value in found.mean.items():
            assert value == pytest.approx(np.mean([scores.values()[name] for scores in expected.values()]))
        assert found.notes == ()

    def test_the_worst_come_first_and_perfect_ones_never(self, folders):
        found = evaluate_objects(*folders)
        worst = found.worst(9)
        assert sorted(worst) == ["a", "b"]
        assert found.scored[worst[0]].f1 <= found.scored[worst[1]].f1
        assert found.worst(1) == worst[:1]

    def test_progress_counts_the_images_of_the_truth(self, folders):
        told: list[tuple[int, int]] = []
        evaluate_objects(*folders, progress=lambda *counts: told.append(counts))
        assert told == [(1, 3), (2, 3), (3, 3)]

    def test_a_missing_prediction_is_a_failure_and_a_missing_truth_a_note(self, folders):
        truth, prediction = folders
        (prediction / "b_masks.tif").rename(prediction / "d_masks.tif")
        found = evaluate_objects(truth, prediction)
        assert found.failed == {"b": "no prediction has this name"}
        assert list(found.scored) == ["a", "c"]
        assert found.notes == ("predictions without truth, not scored: d_masks",)
        assert found.to_json()["without_truth"] == ["d_masks"]

    @pytest.mark.parametrize(
        ("labels", "reason"),
        [
            (np.zeros((80, 81), np.uint8), "80 × 80 and 80 × 81 pixels"),
            (np.zeros((80, 80), np.float32), "prediction of whole numbers.*float32"),
            (np.zeros((80, 80, 3), np.uint8), "is a colour image"),
            (np.zeros((4, 80, 80), np.uint8), "holds 4 planes"),
            (np.full((80, 80), -3, np.int16), "labels from 0 .*-3"),
        ],
    )
    def test_one_bad_image_costs_itself(self, folders, labels, reason):
        truth, prediction = folders
        save(prediction / "b_masks.tif", labels)
        found = evaluate_objects(truth, prediction)
        assert list(found.scored) == ["a", "c"]
        assert re.search(reason, found.failed["b"])
        assert "\n" not in found.failed["b"]
        assert found.pooled == pool(found.scored.values())

    def test_when_nothing_can_be_scored_there_is_no_score(self, folders):
        truth, prediction = folders
        for file in prediction.iterdir():
            file.write_bytes(b"II*")
        found = evaluate_objects(truth, prediction)
        assert (found.pooled, found.mean, len(found.failed)) == (None, {}, 3)
        assert found.to_json()["pooled"] is None

    def test_masks_that_look_like_labels_are_told(self, folders):
        truth, prediction = folders
        for file in prediction.iterdir():
            save(file, np.where(tifffile.imread(file) > 0, 255, 0).astype(np.uint8))
        (note,) = evaluate_objects(truth, prediction).notes
        assert note.startswith("3 images of the prediction have one label in several pieces")
        found = evaluate_objects(truth, prediction, components=True)
        assert found.notes == ()
        assert found.to_json()["objects_are"] == "connected components"
        assert found.scored["a"] == score_objects(*pair(0), components=True)
        assert found.labels("a")[1].max() > 1

    def test_one_file_against_one_file(self, folders):
        truth, prediction = folders
        found = evaluate_objects(truth / "a.tif", prediction / "a_masks.tif")
        assert list(found.scored) == ["a"]


class TestPlates:
    @pytest.fixture
    def segmented(self, plate: Plate, small_truth: Truth) -> Plate:
        """Nuclei a pixel to the right of where they are, under a name with a fingerprint, and nothing in B02."""
        for well in plate.wells[1:]:
            for field in plate[well].fields:
                path = small_truth.label_path(field.key, "nuclei")
                moved = np.roll(tifffile.imread(path).astype(np.int32), 1, axis=1)
                write_labels(field, {"nuclei-0123abcd": moved})
                list_labels(field, ["nuclei-0123abcd"])
        return plate

    def test_against_files_named_by_well_and_field(self, segmented, small_truth):
        found = evaluate_objects(small_truth.labels / "*_nuclei.tif", segmented.path, labels="nuclei")
        present = [field.key for well in segmented.wells[1:] for field in segmented[well].fields]
        assert list(found.scored) == sorted(f"{key.well}_s{key.field}" for key in present)
        assert all(name.startswith("B02") or name not in found.scored for name in found.failed)
        assert 0.9 < found.pooled.f1 <= 1
        assert found.pooled.hits[-1].f1 < 1

    def test_against_itself_under_another_name(self, segmented):
        found = evaluate_objects(segmented.path, segmented.path, truth_labels="nuclei", labels="nuclei-0123abcd")
        assert (found.pooled.mean_ap, found.failed) == (1, {})

    def test_pictures_are_drawn_on_the_plate(self, segmented, small_truth, tmp_path):
        found = evaluate_objects(small_truth.labels / "*_nuclei.tif", segmented.path)
        (_, _, bare) = save_evaluation(found, tmp_path / "bare", worst=1)
        (_, _, drawn) = save_evaluation(found, tmp_path / "drawn", worst=1, images=segmented.path)
        plain, on_image = (np.asarray(Image.open(path)) for path in (bare, drawn))
        assert plain.shape == on_image.shape
        assert len(np.unique(on_image)) > len(np.unique(plain)) + 50


class TestOutput:
    def test_files(self, folders, tmp_path):
        truth, prediction = folders
        save(truth / "d.tif", np.ones((5, 5), np.uint8))
        found = evaluate_objects(truth, prediction)
        written = save_evaluation(found, tmp_path / "new" / "scores")
        worst = found.worst(6)
        assert [path.name for path in written] == [
            "scores.csv", "scores.json", f"worst-1-{worst[0]}.png", f"worst-2-{worst[1]}.png"
        ]  # fmt: skip
        assert json.loads(written[1].read_text()) == json.loads(json.dumps(found.to_json()))
        rows = list(csv.DictReader(written[0].open()))
        assert [row["image"] for row in rows] == ["a", "b", "c", "d"]
        assert float(rows[0]["f1_0.50"]) == found.scored["a"].f1
        assert int(rows[1]["tp_0.75"]) == found.scored["b"].hits[5].tp
        assert (rows[3]["reason"], rows[3]["f1_0.50"]) == ("no prediction has this name", "")

    def test_number_of_pictures(self, folders, tmp_path):
        found = evaluate_objects(*folders)
        assert len(save_evaluation(found, tmp_path / "out", worst=0)) == 2

    def test_names_of_pictures_are_names_of_files(self, folders, tmp_path):
        truth, prediction = folders
        name = "a b:c?" + "x" * 200
        (truth / "a.tif").rename(truth / f"{name}.tif")
        (prediction / "a_masks.tif").rename(prediction / f"{name}_masks.tif")
        pictures = [path.name for path in save_evaluation(evaluate_objects(truth, prediction), tmp_path / "out")[2:]]
        assert any(picture[8:].startswith("a_b_c_xxx") and len(picture) < 100 for picture in pictures)

    def test_images_that_do_not_belong_are_refused(self, folders, tmp_path):
        found = evaluate_objects(*folders)
        for name in ("x", "y"):
            save(tmp_path / "images" / f"{name}.tif", np.zeros((80, 80), np.uint8))
        with pytest.raises(NotFoundError, match="belong together"):
            save_evaluation(found, tmp_path / "out", images=tmp_path / "images")

    def test_where_nothing_can_be_written(self, folders, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(StoreError, match="can be written"):
            save_evaluation(evaluate_objects(*folders), tmp_path / "file" / "out")


class TestPictures:
    truth = np.zeros((400, 400), np.int32)
    truth[20:60, 20:60], truth[100:140, 100:140] = 1, 2
    prediction = np.zeros((400, 400), np.int32)
    prediction[20:60, 20:60], prediction[200:240, 200:240] = 5, 6

    def test_sides_have_their_colours(self):
        picture = draw_mistakes(self.truth, self.prediction).astype(int)
        cyan, yellow = (np.array(list(bytes.fromhex(color))) for color in (TRUTH_COLOR, PREDICTION_COLOR))
        assert picture[100, 120].tolist() == cyan.tolist()
        assert picture[200, 220].tolist() == yellow.tolist()
        assert picture[20, 30].tolist() == [255, 255, 255]
        assert picture[40, 40].tolist() == [60, 60, 60]
        for place, color in (((120, 120), cyan), ((220, 220), yellow)):
            assert np.abs(picture[place] - (0.65 * 60 + 0.35 * color)).max() <= 1
        assert picture[300, 300].tolist() == [0, 0, 0]

    def test_on_an_image(self):
        image = np.linspace(0, 1000, 400 * 400, dtype=np.float32).reshape(400, 400)
        picture = draw_mistakes(self.truth, self.prediction, image)
        assert picture[399, 399].tolist() == [178, 178, 178] or picture[399, 399].tolist() == [179, 179, 179]
        assert len(set(picture[350, 350].tolist())) == 1

    def test_small_images_are_enlarged(self):
        assert draw_mistakes(self.truth[:50, :30], self.prediction[:50, :30]).shape == (400, 240, 3)

    def test_an_image_of_another_shape_is_refused(self):
        with pytest.raises(UsageError, match=r"\(400, 400\)(.|\n)*\(400, 399\)"):
            draw_mistakes(self.truth, self.prediction, np.zeros((400, 399)))


@pytest.mark.real
def test_real_truth_against_itself(data_dir: Path):
    folder = data_dir / "dsb2018_stage1_test" / "labels_derived"
    found = evaluate_objects(folder, folder)
    assert (len(found.scored), found.pooled.n_truth) == (23, 1443)
    assert (found.pooled.mean_ap, found.pooled.panoptic()["pq"], found.mean["f1_0.95"]) == (1, 1, 1)


@pytest.mark.real
def test_frames_of_the_tracking_challenge_are_paired_by_their_numbers(data_dir: Path):
    outlines = data_dir / "ctc_gowt1" / "01_GT"
    found = evaluate_objects(outlines / "SEG", outlines / "TRA")
    assert dict(found.pairs.partners)["man_seg021"] == "man_track021"
    assert (len(found.scored), found.failed) == (30, {})
    # Markers are small discs inside the cells: they touch, but match in part only.
    assert found.pooled.touching()["recall"] == 1
