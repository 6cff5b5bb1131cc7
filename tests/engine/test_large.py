"""Fields cut into blocks: the same objects and tables as of whole fields, whatever ends the run between the blocks."""

from __future__ import annotations

import hashlib
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

import hts
from hts.engine.large.blocks import LONGEST_REASON, BlockDone, BlockTask, first_problem
from hts.engine.large.gather import merged_facts
from hts.engine.large.places import families, tile_shape
from hts.engine.prepare import prepare
from hts.engine.stages import fingerprints
from hts.errors import RecipeError
from hts.model import Channel, FieldKey, WellId
from hts.recipe import Recipe
from hts.store import FieldImage, Markers, Plate, PlateSpec, create_plate, read_json, read_table, write_field

if TYPE_CHECKING:
    from distributed import Client

SHAPE = (900, 1160)
LIMIT, BLOCK, OVERLAP = 512, 256, 128
SECTIONS: dict[str, Any] = {
    "channels": {"dna": "DNA", "reporter": "Reporter", "texture": "Texture"},
    "segment": {
        # Images of two levels: what a tile sees of them is what the field has.
        "nuclei": {"method": "threshold", "channel": "dna", "threshold": "otsu", "diameter_px": 18, "smooth_px": 0},
        "cells": {"method": "propagate", "channel": "reporter", "smooth_px": 0, "max_distance_px": 30},
        "cytoplasm": "cells - nuclei",
    },
    # The other families: tests/stages/measure/test_measure_parts.py
    "measure": {
        "features": ["shape", "intensity", "correlation", "neighbors"],
        "options": {"neighbors": {"methods": ["adjacent", "expanded", 9]}},
    },
    "profile": {"readout": "Count_Nuclei"},
}


def recipe(limit: int = LIMIT, **sections: Any) -> Recipe:
    blocks = {"limit_px": limit, "block_px": BLOCK, "overlap_px": OVERLAP}
    return Recipe.from_dict({**SECTIONS, "blocks": blocks, **sections}, "large")


def planes(seed: int) -> list[np.ndarray]:
    """Round cells apart from one another with a nucleus each, some on the field's frame, and noise to be measured."""
    rng = np.random.default_rng(seed)
    nodes = np.stack(np.meshgrid(np.arange(0, SHAPE[0], 48), np.arange(0, SHAPE[1], 48), indexing="ij"), -1)
    nodes = nodes.reshape(-1, 2) + rng.integers(-5, 6, (nodes.size // 2, 2))
    inside = (nodes >= 0).all(axis=1) & (nodes < SHAPE).all(axis=1)
    seeds = np.ones(SHAPE, bool)
    seeds[tuple(nodes[inside].T)] = False
    distance, nearest = ndimage.distance_transform_edt(seeds, return_indices=True)
    radius = rng.uniform(6, 10, SHAPE)[tuple(nearest)]
    nuclei, cells = distance <= radius, distance <= 1.7 * radius
    texture = rng.integers(100, 60_000, SHAPE)
    return [np.where(nuclei, 3000, 0), np.where(cells, 2000, 0), texture]


def make_plate(place: Path, ngff: str = "0.5", wells: tuple[str, ...] = ("B03",)) -> Plate:
    keys = [FieldKey(WellId.parse(well), number) for well in wells for number in (1, 2)]
    names = ("DNA", "Reporter", "Texture")
    fields = {key.well: (1, 2) for key in keys}
    spec = PlateSpec("big", fields, tuple(Channel(name) for name in names), SHAPE, np.dtype("uint16"), ngff=ngff)
    create_plate(place, spec)
    for seed, key in enumerate(keys):
        images = [((0, c, 0), plane.astype(np.uint16)) for c, plane in enumerate(planes(seed))]
        write_field(place, spec, FieldImage(key, images))
    return Plate.open(place)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plate of one well with two fields. Shared: runs on it write labels of their own names."""
    folder = tmp_path_factory.mktemp("large")
    make_plate(folder / "big.ome.zarr")
    return folder / "big.ome.zarr"


@pytest.fixture(scope="module")
def runs(made: Path, client: Client, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Results of the same plate by whole fields and by blocks."""
    found = {name: tmp_path_factory.mktemp(name) / "results" for name in ("whole", "blocks")}
    hts.submit(made, recipe(8192), client, out=found["whole"]).result(120)
    hts.submit(made, recipe(), client, out=found["blocks"]).result(120)
    return found


def cells_of(results: Path, settings: Recipe) -> pd.DataFrame:
    return read_table(results / "cells" / fingerprints(settings).measure / "B03.parquet")


def labels_of(plate: Plate, limit: int, field: int, name: str, level: int = 0) -> np.ndarray:
    prints = fingerprints(recipe(limit))
    return plate[WellId.parse("B03")].field(field).read_labels(prints.label_name(name), level)


def hashes(folder: Path, pattern: str) -> dict[str, str]:
    files = sorted(path for path in folder.rglob(pattern) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_blocks_give_the_table_of_whole_fields(runs: dict[str, Path]) -> None:
    tables = []
    for results, limit in zip(runs.values(), (8192, LIMIT), strict=True):
        table = cells_of(results, recipe(limit)).sort_values(
            ["Metadata_Site", "Nuclei_AreaShape_Center_Y", "Nuclei_AreaShape_Center_X"], ignore_index=True
        )
        numbers = [name for name in table if name.endswith(("ObjectNumber", "_Parent_Nuclei"))]
        assert all(table[name].equals(table[numbers[0]]) for name in numbers[1:])
        assert (
            table.groupby("Metadata_Site")[numbers[0]].apply(lambda ids: sorted(ids) == [*range(1, len(ids) + 1)]).all()
        )
        tables.append(table.drop(columns=numbers))
    assert len(tables[0]) > 800
    whole, blocks = tables
    # Where an object beyond the overlap could matter, blocks have no value; elsewhere that of the field.
    near = [name for name in whole if "_Neighbors_" in name]
    seen = blocks[near].notna()
    assert seen.mean(axis=None) > 0.6
    assert seen[[name for name in near if name.endswith(("OfNeighbors_Adjacent", "OfNeighbors_9"))]].all(axis=None)
    pd.testing.assert_frame_equal(whole.assign(**whole[near].where(seen)), blocks)


@pytest.mark.parametrize("name", ["nuclei", "cells", "cytoplasm"])
def test_blocks_give_the_labels_of_whole_fields_at_every_level(made: Path, runs: dict[str, Path], name: str) -> None:
    plate = Plate.open(made)
    for field in (1, 2):
        whole, found = (labels_of(plate, limit, field, name) for limit in (8192, LIMIT))
        pairs = np.unique(np.stack([whole.ravel(), found.ravel()]), axis=1)
        assert len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]
        assert ((pairs[0] == 0) == (pairs[1] == 0)).all()
        for level in (1, 2, 3):
            np.testing.assert_array_equal(labels_of(plate, LIMIT, field, name, level), found[:: 2**level, :: 2**level])


def test_the_marker_keeps_decisions_and_the_seam_audit(made: Path, runs: dict[str, Path]) -> None:
    prints = fingerprints(recipe())
    marker = Markers(runs["blocks"], "segment", prints.segment).read("B03")
    assert marker is not None
    for facts in marker["blocks"].values():
        assert facts["before"] == sorted(facts["before"])
        assert facts["findings"]["nuclei"]["cut"] == facts["findings"]["nuclei"]["parted"] == 0
        assert facts["findings"]["nuclei"]["shared"] > 100
        seams = facts["seams"]["nuclei"]
        assert seams["seam_px"] > 10_000
        assert seams["seam_objects_per_1000_px"] == pytest.approx(seams["inner_objects_per_1000_px"], rel=0.4)


def test_the_quality_of_the_run_tells_of_seams(runs: dict[str, Path]) -> None:
    whole, blocks = (read_json(results / "run.json")["current"]["quality"] for results in runs.values())
    assert "seams" not in whole
    assert (blocks["seams"]["fields"], blocks["seams"]["cut_objects"]) == (2, 0)
    assert blocks["seams"]["seam_straight_edges_per_1000_px"] < 0.5


def test_nothing_is_left_in_the_results_folder(runs: dict[str, Path]) -> None:
    assert list(runs["blocks"].rglob("*.arrays")) == []


def test_labels_are_listed_and_the_same_run_does_nothing(made: Path, runs: dict[str, Path], client: Client) -> None:
    run = hts.submit(made, recipe(), client, out=runs["blocks"])
    assert len(run.plan.done) == 1
    run.result(60)
    field = Plate.open(made)[WellId.parse("B03")].field(2)
    assert fingerprints(recipe()).label_name("cells") in field.label_names()


def test_other_features_are_measured_from_the_stored_labels(
    made: Path, runs: dict[str, Path], client: Client, tmp_path: Path
) -> None:
    before = hashes(made, "*")
    shapes = {"measure": {"features": ["shape"]}}
    again = hts.submit(made, recipe(**shapes), client, out=runs["blocks"])
    assert [task.stages for task in again.plan.tasks] == [("measure", "aggregate")]
    again.result(60)
    found, full = cells_of(runs["blocks"], recipe(**shapes)), cells_of(runs["blocks"], recipe())
    pd.testing.assert_frame_equal(found, full[found.columns])
    assert hashes(made, "*") == before


def test_zarr_v2_plates_too(tmp_path: Path, client: Client, runs: dict[str, Path]) -> None:
    plate = make_plate(tmp_path / "old.ome.zarr", "0.4")
    hts.submit(plate, recipe(), client, out=tmp_path / "results").result(120)
    pd.testing.assert_frame_equal(
        cells_of(tmp_path / "results", recipe()).drop(columns="Metadata_Plate"),
        cells_of(runs["blocks"], recipe()).drop(columns="Metadata_Plate"),
    )


def test_a_run_killed_between_its_steps_goes_on(
    tmp_path: Path, client: Client, made: Path, runs: dict[str, Path]
) -> None:
    """SIGKILL of the whole process group when blocks are segmented, and again when some are measured."""
    make_plate(tmp_path / "big.ome.zarr")
    results = tmp_path / "results"
    (tmp_path / "large.yaml").write_text(recipe().to_yaml())
    command = [sys.executable, "-m", "hts.cli", "run", str(tmp_path / "big.ome.zarr"), str(tmp_path / "large.yaml")]
    command += ["--workers", "1", "--out", str(results)]
    stamps: dict[str, int] = {}
    for pattern, goal in (("borders-*", 3), ("done-*", 2)):
        process = subprocess.Popen(
            command, start_new_session=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 90
        while len(list(results.glob(f"blocks/B03/*/*/{pattern}.arrays"))) < goal and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.005)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        there = {str(path): path.stat().st_mtime_ns for path in results.glob("blocks/B03/*/*/borders-*.arrays")}
        assert stamps.items() <= there.items()  # nothing was segmented twice
        stamps = there
    assert stamps
    hts.submit(tmp_path / "big.ome.zarr", recipe(), client, out=results).result(120)
    assert len(hashes(results, "*.parquet")) == 6
    assert hashes(results, "*.parquet").items() <= hashes(runs["blocks"], "*.parquet").items()
    names = [fingerprints(recipe()).label_name(name) for name in ("nuclei", "cells", "cytoplasm")]
    for name in names:
        place = Path("B/03/1/labels") / name
        assert hashes(tmp_path / "big.ome.zarr" / place, "*") == hashes(made / place, "*")


def test_a_field_that_cannot_be_read_costs_itself(tmp_path: Path, client: Client) -> None:
    plate = make_plate(tmp_path / "big.ome.zarr")
    for file in (tmp_path / "big.ome.zarr/B/03/2/0").rglob("c/**/*"):
        if file.is_file():
            file.write_bytes(file.read_bytes()[:100])
    run = hts.submit(plate, recipe(), client, out=tmp_path / "results")
    run.result(120)
    assert set(cells_of(tmp_path / "results", recipe())["Metadata_Site"]) == {1}
    (dropped,) = hts.status(plate, tmp_path / "results").dropped_fields
    assert dropped["field"] == 2
    assert "can be read" in dropped["reason"]


def test_object_sets_that_are_not_linked_are_refused(made: Path) -> None:
    segment = dict.fromkeys(("nuclei", "others"), SECTIONS["segment"]["nuclei"])
    with pytest.raises(RecipeError, match="only object sets with the numbers of nuclei"):
        prepare(made, recipe(segment=segment))
    prepare(made, recipe(8192, segment=segment))
    prepare(made, recipe(segment=segment, measure={"objects": ["nuclei"]}))


def test_a_set_that_is_not_measured_has_no_counts_and_ends_no_run(made: Path, client: Client, tmp_path: Path) -> None:
    segment = dict.fromkeys(("nuclei", "others"), SECTIONS["segment"]["nuclei"])
    settings = recipe(segment=segment, measure={"objects": ["nuclei"], "features": ["shape"]})
    result = hts.submit(made, settings, client, out=tmp_path / "results").result(120)
    objects = result.segmentation.set_index("Metadata_ObjectSet")["objects"]
    assert (objects["nuclei"] > 100).all()
    assert objects["others"].isna().all()


def test_what_one_block_tells_is_not_lost_among_the_others() -> None:
    blocks = [
        {"device": "cuda", "notes": [], "blank": True, "nan_pixels": 2, "diameter_px": 20.5},
        {"device": "cpu", "notes": ["no memory on the GPU"], "blank": False, "nan_pixels": 3, "diameter_px": 20.5},
    ]
    assert merged_facts(blocks) == {
        "device": "cuda, cpu",
        "notes": ["no memory on the GPU"],
        "blank": False,
        "nan_pixels": 5,
        "diameter_px": 20.5,
    }


def test_what_goes_through_dask_stays_small(made: Path) -> None:
    prepared = prepare(made, recipe())
    job = prepared.job(prepared.plan.tasks[0])
    assert len(pickle.dumps(BlockTask(job, 1, 7))) < 8_000
    worst = BlockDone(unsegmented="x" * LONGEST_REASON)
    assert len(pickle.dumps(worst)) < 1_000
    assert first_problem([BlockDone(), worst, BlockDone(unread="y")]).unread == "y"


def test_the_plan_counts_the_memory_of_a_tile(made: Path) -> None:
    assert tile_shape(SHAPE, recipe()) == (BLOCK + OVERLAP, BLOCK + OVERLAP)
    assert tile_shape(SHAPE, recipe(8192)) == SHAPE
    whole, blocks = (prepare(made, recipe(limit)).plan.worker_bytes for limit in (8192, LIMIT))
    assert blocks < whole / 6


def test_families() -> None:
    segment = {**SECTIONS["segment"], "spots": SECTIONS["segment"]["nuclei"]}
    assert families(recipe(segment=segment)) == {"nuclei": ("nuclei", "cells", "cytoplasm"), "spots": ("spots",)}


def test_blocks_smaller_than_their_overlap_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"block_px \(256\) is at least overlap_px \(512\)"):
        Recipe.from_dict({**SECTIONS, "blocks": {"block_px": 256, "overlap_px": 512}})
    with pytest.raises(RecipeError, match="did you mean 'block_px'"):
        Recipe.from_dict({**SECTIONS, "blocks": {"blocks_px": 256}})
