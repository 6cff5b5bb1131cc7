"""What goes wrong between runs and inside the cluster: it costs its field or its well, is named, and can be mended."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import hts
from hts.engine.clusters import wait_for_workers
from hts.errors import NotFoundError, StageError, StoreError
from hts.model import parse_wells
from hts.recipe import Recipe
from hts.store import Plate, read_table

if TYPE_CHECKING:
    from distributed import Client

    from hts.synth import Truth

FEW = parse_wells("B02,C03")


def simple(recipe: Recipe, **sections: Any) -> Recipe:
    """The recipe with counts only, so that two wells are enough."""
    return Recipe.from_dict({**recipe.to_dict(), "profile": {"readout": "Count_Nuclei"}, **sections})


def results_of(plate: Plate) -> Path:
    return plate.path.parent / "small.hts"


def shard_of(plate: Plate, well: str, field: int) -> Path:
    folder = plate[well].field(field).location / "0" / "c" / "0" / "0"
    return next(path for path in sorted(folder.rglob("*")) if path.is_file())


def test_a_damaged_shard_costs_its_field_until_the_plate_is_mended(
    plate: Plate, small_truth: Truth, client: Client, recipe: Recipe
) -> None:
    shard = shard_of(plate, "C03", 2)
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(bytes(content))
    result = hts.submit(plate, simple(recipe), client, wells=FEW).result(60)
    assert result.profiles["Metadata_FieldsUsed"].tolist() == [2, 1]
    (drop,) = hts.status(plate).dropped_fields
    assert str(shard) in drop["reason"]
    mended = hts.convert(small_truth.plate, plate.path, overwrite=True)
    run = hts.submit(mended, simple(recipe), client, wells=FEW)
    assert run.result(60).profiles["Metadata_FieldsUsed"].tolist() == [2, 2]
    assert [task.well.name for task in run.plan.tasks] == ["C03"]


def test_converting_again_keeps_the_labels_of_the_same_pixels(
    plate: Plate, small_truth: Truth, client: Client, recipe: Recipe
) -> None:
    hts.submit(plate, simple(recipe), client, wells=FEW).result(60)
    names = plate["C03"].field(1).label_names()
    again = hts.convert(small_truth.plate, plate.path, overwrite=True)
    assert names
    assert again["C03"].field(1).label_names() == names
    assert hts.submit(again, simple(recipe), client, wells=FEW).plan.tasks == ()


def test_a_field_that_one_recipe_cannot_use_is_not_lost_to_the_next(
    small_truth: Truth, tmp_path: Path, client: Client, recipe: Recipe
) -> None:
    """The reporter of a field is missing; a recipe with the same nuclei that needs no reporter uses the field."""
    source = tmp_path / "source"
    shutil.copytree(small_truth.plate, source)
    next(source.rglob("*_C03_s2_w2.TIF")).unlink()
    plate = hts.convert(source, tmp_path / "small.ome.zarr")
    nuclei = {"segment": {"nuclei": recipe.to_dict()["segment"]["nuclei"]}, "measure": {"features": ["shape"]}}
    both = simple(recipe, **nuclei)
    first = hts.submit(plate, both, client, wells=FEW).result(60)
    assert first.profiles["Metadata_FieldsUsed"].tolist() == [2, 1]
    alone = simple(both, channels={"dna": "DNA"})
    second = hts.submit(plate, alone, client, wells=FEW).result(60)
    assert second.profiles["Metadata_FieldsUsed"].tolist() == [2, 2]


def test_overwrite_makes_the_profiles_again(plate: Plate, client: Client, recipe: Recipe) -> None:
    result = hts.submit(plate, simple(recipe), client, wells=FEW).result(60)
    whole = result.profiles_path.read_bytes()
    result.profiles_path.write_bytes(whole[:50])
    with pytest.raises(StoreError, match=r"profiles\.parquet is a Parquet table"):
        _ = hts.submit(plate, simple(recipe), client, wells=FEW).result(60).profiles
    hts.submit(plate, simple(recipe), client, wells=FEW, overwrite=True).result(60)
    assert result.profiles_path.read_bytes() == whole


def test_a_well_that_broke_since_leaves_no_stale_cells(
    small_truth: Truth, tmp_path: Path, client: Client, recipe: Recipe
) -> None:
    source = tmp_path / "source"
    shutil.copytree(small_truth.plate, source)
    plate = hts.convert(source, tmp_path / "small.ome.zarr")
    assert set(hts.submit(plate, simple(recipe), client, wells=FEW).result(60).cells["Metadata_Well"]) == {"B02", "C03"}
    for path in source.rglob("*_C03_*"):
        path.write_bytes(b"")
    plate = hts.convert(source, tmp_path / "small.ome.zarr")
    result = hts.submit(plate, simple(recipe), client, wells=FEW).result(60)
    assert set(result.cells["Metadata_Well"]) == set(result.profiles["Metadata_Well"]) == {"B02"}
    assert list(result.failures) == ["C03"]


def test_a_broken_run_leaves_the_finished_one_current(plate: Plate, client: Client, recipe: Recipe) -> None:
    hts.submit(plate, simple(recipe), client, wells=FEW).result(60)
    page = hts.write_report(plate).read_text()
    other = simple(recipe, segment={"nuclei": {"method": "threshold", "diameter_px": 30}}, name="other")
    run = hts.submit(plate, other, client)
    run.cancel()
    with pytest.raises(StageError, match="cancelled"):
        run.result(60)
    assert hts.status(plate).state == "stopped"
    assert hts.status(plate).recipe == "other"
    again = hts.write_report(plate).read_text()
    assert "name: translocation" in again
    assert "name: other" not in again
    assert json.loads((results_of(plate) / "run.json").read_text())["current"]["recipe"] == "translocation"
    assert len(again) == pytest.approx(len(page), rel=0.05)


def test_an_unfinished_conversion_is_said_so(plate: Plate, client: Client, recipe: Recipe) -> None:
    (marker,) = plate.path.glob(".hts/markers/convert-*/C03.json")
    marker.unlink()
    result = hts.submit(plate, simple(recipe), client, wells=FEW).result(60)
    assert "hts convert" in result.failures["C03"]


def test_a_damaged_well_document_costs_its_well(plate: Plate, client: Client, recipe: Recipe) -> None:
    (plate.path / "C" / "03" / "zarr.json").write_text("{")
    result = hts.submit(plate, simple(recipe), client, wells=FEW).result(60)
    assert "C/03/zarr.json" in result.failures["C03"]
    assert hts.status(plate).wells.set_index("Well").loc["C03", "Status"] == "failed"


def test_measuring_some_object_sets_only(plate: Plate, client: Client, recipe: Recipe) -> None:
    chosen = simple(recipe, measure={"features": ["shape"], "objects": ["cells"]})
    result = hts.submit(plate, chosen, client, wells=FEW).result(60)
    assert {"Count_Nuclei", "Count_Cells", "Mean_Cells_AreaShape_Area"} <= set(result.profiles.columns)
    assert not [name for name in result.profiles.columns if "Nuclei_AreaShape" in name or "Cytoplasm" in name]


def test_a_well_without_cells_is_done_with_none(plate: Plate, client: Client, recipe: Recipe) -> None:
    import pyarrow.parquet as pq

    nuclei = {**recipe.to_dict()["segment"]["nuclei"], "min_area_px": 5000}
    empty = simple(recipe, segment={**recipe.to_dict()["segment"], "nuclei": nuclei})
    result = hts.submit(plate, empty, client, wells=FEW).result(60)
    assert result.wells["done"] == 2
    assert result.profiles["Count_Nuclei"].tolist() == [0, 0]
    assert np.isnan(result.profiles["Mean_Nuclei_AreaShape_Area"]).all()
    full = hts.submit(plate, simple(recipe), client, wells=FEW).result(60)
    schemas = [pq.read_schema(path / "B02.parquet") for path in (result.cells_path, full.cells_path)]
    assert schemas[0] == schemas[1]


def test_a_cluster_without_workers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from distributed import Client, LocalCluster

    monkeypatch.setattr("hts.engine.clusters.WORKERS_TIMEOUT_S", 0.5)
    with (
        LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as lonely,
        pytest.raises(NotFoundError, match=r"none in 0\.5 s"),
    ):
        wait_for_workers(lonely)


def test_a_lost_scheduler_ends_the_run_and_fails_no_well(plate: Plate, recipe: Recipe) -> None:
    code = (
        "import sys, time\nfrom distributed import LocalCluster\n"
        "if __name__ == '__main__':\n"
        "    cluster = LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address='127.0.0.1:0')\n"
        "    print(cluster.scheduler_address, flush=True)\n    time.sleep(300)\n"
    )
    script = plate.path.parent / "cluster.py"
    script.write_text(code)
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    try:
        with hts.connect(process.stdout.readline().strip()) as own:
            run = hts.submit(plate, recipe, own)
            deadline = time.monotonic() + 60
            while run.progress().done < 1 and time.monotonic() < deadline:
                assert not run.wait(0.02)
            os.killpg(process.pid, 9)
            with pytest.raises(StageError, match="mend the cluster and submit again"):
                run.result(120)
    finally:
        process.kill()
        process.wait()
    assert hts.status(plate).state == "failed"
    assert hts.status(plate).count("failed") == 0


POISON = """
import os
import numpy as np
from hts.stages.segment.threshold import ThresholdParams, ThresholdSegmenter
from typing import Literal


class PoisonParams(ThresholdParams):
    method: Literal["poison"] = "poison"
    mean: float


class Poison(ThresholdSegmenter):
    Params = PoisonParams

    def segment(self, images, labels, params):
        if abs(float(images[params.channel].mean()) - params.mean) < 1e-9:
            os._exit(1)
        return super().segment(images, labels, params)
"""


def test_a_poisonous_well_fails_after_three_attempts_and_the_others_finish(plate: Plate, tmp_path: Path) -> None:
    """A segmenter of another package takes its worker down with one well."""
    package = tmp_path / "packages"
    (package / "poison-1.dist-info").mkdir(parents=True)
    (package / "poison.py").write_text(POISON)
    (package / "poison-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: poison\nVersion: 1\n")
    (package / "poison-1.dist-info" / "entry_points.txt").write_text("[hts.segmenters]\npoison = poison:Poison\n")
    mean = float(plate["C03"].field(1).read_plane("DNA").mean())
    recipe = tmp_path / "poison.yaml"
    recipe.write_text(
        f"channels: {{dna: DNA}}\nsegment: {{nuclei: {{method: poison, channel: dna, mean: {mean!r}}}}}\n"
    )
    command = [sys.executable, "-m", "hts.cli", "run", str(plate.path), str(recipe), "--workers", "2", "--json"]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(package)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 3, done.stderr
    summary = json.loads(done.stdout)
    assert summary["wells"] == {"expected": 15, "done": 14, "failed": 1, "skipped": 0}
    assert "its worker died 3 times" in summary["failures"]["C03"]
    assert len(read_table(Path(summary["profiles"]))) == 14


def test_damaged_labels_are_mended_by_overwrite(plate: Plate, client: Client, recipe: Recipe) -> None:
    hts.submit(plate, simple(recipe), client, wells=FEW).result(60)
    field = plate["C03"].field(1)
    name = field.label_names()[0]
    whole = field.read_labels(name)
    shard = next(path for path in (field.location / "labels" / name / "0" / "c").rglob("*") if path.is_file())
    content = bytearray(shard.read_bytes())
    content[len(content) // 3] ^= 1
    shard.write_bytes(bytes(content))
    hts.submit(plate, simple(recipe), client, wells=FEW, overwrite=True).result(60)
    np.testing.assert_array_equal(field.read_labels(name), whole)


def test_a_damaged_manifest_is_made_anew(plate: Plate, client: Client, recipe: Recipe) -> None:
    hts.submit(plate, simple(recipe), client, wells=FEW).result(60)
    (results_of(plate) / "run.json").write_text("{")
    assert hts.submit(plate, simple(recipe), client, wells=FEW).result(60).wells["skipped"] == 2
    assert hts.status(plate).state == "done"


def test_the_order_of_the_channels_is_part_of_what_is_measured(plate: Plate, client: Client, recipe: Recipe) -> None:
    names = []
    for channels in ({"dna": "DNA", "reporter": "Reporter"}, {"reporter": "Reporter", "dna": "DNA"}):
        result = hts.submit(plate, simple(recipe, channels=channels), client, wells=FEW).result(60)
        names.append([name for name in result.profiles.columns if name.startswith("Mean_Cells_Correlation_Corr")])
    assert names == [
        ["Mean_Cells_Correlation_Correlation_DNA_Reporter"],
        ["Mean_Cells_Correlation_Correlation_Reporter_DNA"],
    ]


def test_a_conversion_ended_before_its_first_well_goes_on(small_truth: Truth, tmp_path: Path) -> None:
    from hts.acquire import open_source
    from hts.engine.conversion import plate_spec
    from hts.store import create_plate

    destination = tmp_path / "p.ome.zarr"
    create_plate(destination, plate_spec(open_source(small_truth.plate), destination))
    shutil.rmtree(destination / "C")
    assert len(hts.convert(small_truth.plate, destination)["C03"].fields) == 2
