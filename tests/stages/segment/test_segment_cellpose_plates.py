"""Cellpose on plates: pooled fields, facts of plate and well, one pixel size, the seam audit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from hts.errors import StageError
from hts.stages.segment import FieldWork, StepContext, segment_fields
from hts.stages.segment.blocks import block_grid, seam_lines
from hts.stages.segment.cellpose_plates import CellposePlateSegmenter
from hts.stages.segment.networks import adapter
from hts.stages.segment.networks.unet import ResidualUNet
from hts.stages.segment.options import step_model
from hts.stages.segment.stitch.audit import audit_field, audit_lines
from hts.stages.segment.stitch.grid import BlockGrid

RADIUS_PX = 8


class Seer:
    """A network that was told how images are drawn: bright discs, whose slopes lead to their centres."""

    name, sha256, diameter_px, channels, multiple, fixed_block_px = "seer", "cc" * 32, 16.0, 2, 8, None
    device, precision = torch.device("cpu"), "float32"

    def __init__(self) -> None:
        self.batches: list[int] = []

    def run(self, batch: torch.Tensor) -> tuple[torch.Tensor, None]:
        self.batches.append(len(batch))
        image = batch[:, :1]
        slopes = torch.nn.functional.pad(image, (1, 1, 1, 1), mode="replicate")
        down = slopes[:, :, 2:, 1:-1] - slopes[:, :, :-2, 1:-1]
        across = slopes[:, :, 1:-1, 2:] - slopes[:, :, 1:-1, :-2]
        length = (down**2 + across**2).sqrt().clamp_min(1e-6)
        return torch.cat([5 * down / length, 5 * across / length, 20 * (image - 0.05)], 1), None


@pytest.fixture
def seer(monkeypatch: pytest.MonkeyPatch) -> Seer:
    made = Seer()
    monkeypatch.setattr(adapter, "load_network", lambda *_: made)
    return made


@pytest.fixture
def model(tmp_path: Path) -> str:
    """A file of weights; the seer stands in for what it holds."""
    torch.save(ResidualUNet((2, 2, 2, 2)).state_dict(), tmp_path / "model")
    return str(tmp_path / "model")


def image(shape: tuple[int, int], count: int, seed: int, height: float = 1000) -> NDArray[np.uint16]:
    """Cones of a radius of 8 px at places of a grid, drawn by lot."""
    rng = np.random.default_rng(seed)
    places = [(y, x) for y in range(12, shape[0] - 11, 24) for x in range(12, shape[1] - 11, 24)]
    y, x = np.indices(shape)
    made = np.zeros(shape)
    for place in rng.permutation(len(places))[:count]:
        made = np.maximum(made, 1 - np.hypot(y - places[place][0], x - places[place][1]) / (RADIUS_PX + 1))
    return (100 + height * made).astype(np.uint16)


def works(counts: list[int], size: int = 96, um: float | None = 0.5) -> Iterator[FieldWork]:
    for seed, count in enumerate(counts):
        yield FieldWork({"dna": image((size, size), count, seed)}, pixel_size_um=um, key=seed)


def step(model: str, **keys: object) -> tuple[CellposePlateSegmenter, object]:
    segmenter = CellposePlateSegmenter()
    return segmenter, step_model(segmenter)(**{"model": model, **keys})


def test_the_diameter_of_a_plate_is_that_of_the_objects_of_its_sample(seer: Seer, model: str) -> None:
    segmenter, params = step(model)
    assert segmenter.survey_scopes(params) == ("plate",)
    facts = segmenter.survey("plate", works([4, 6, 5]), params, StepContext())
    assert facts["diameter_px"] == pytest.approx(2 * RADIUS_PX, rel=0.15)
    assert facts["n_objects"] == 15
    context = StepContext(plate=facts)
    found = list(segment_fields(works([3, 0, 7]), {"nuclei": (segmenter, params)}, {"nuclei": context}))
    assert [int(one.labels["nuclei"].max()) for one in found] == [3, 0, 7]
    for one in found:
        assert one.facts["nuclei"]["diameter_px"] == facts["diameter_px"]
        assert (one.facts["nuclei"]["model"], one.facts["nuclei"]["weights_sha256"]) == ("seer", "cc" * 32)
        assert (one.facts["nuclei"]["device"], one.facts["nuclei"]["nan_pixels"]) == ("cpu", 0)
        assert "seams" not in one.facts["nuclei"]
    with pytest.raises(StageError, match="fields of the plate that can be read"):
        segmenter.survey("plate", iter(()), params, StepContext())


def test_blocks_of_many_fields_make_full_batches(seer: Seer, model: str) -> None:
    chosen = step(model, diameter_px=16, batch_size=4)
    found = list(segment_fields(works([2] * 10), {"nuclei": chosen}))
    assert seer.batches == [4, 4, 2]
    assert [int(one.labels["nuclei"].max()) for one in found] == [2] * 10
    assert chosen[0].fields_in_flight(chosen[1], (96, 96)) >= 4
    assert chosen[0].fields_in_flight(chosen[1], (2048, 2048)) == 4
    assert chosen[0].fields_in_flight(chosen[1], (9000, 9000)) == 2


def test_fields_that_wait_for_a_batch_are_no_more_than_the_plan_counts(seer: Seer, model: str, monkeypatch) -> None:
    monkeypatch.setattr("hts.stages.segment.cellpose_plates._STREAM_BYTES", 3 * 64 * 96 * 96)
    list(segment_fields(works([2] * 10), {"nuclei": step(model, diameter_px=16)}))
    assert seer.batches == [3, 3, 3, 1]
    fields = [*works([2]), *(FieldWork({"dna": np.full((96, 96), 7, np.uint16)}) for _ in range(9)), *works([3])]
    found = list(segment_fields(fields, {"nuclei": step(model, diameter_px=16)}))
    assert [int(one.labels["nuclei"].max()) for one in found] == [2, *[0] * 9, 3]
    assert [one.facts["nuclei"]["blank"] for one in found] == [False, *[True] * 9, False]


def test_a_diameter_in_um_goes_by_the_pixel_size_and_a_field_of_another_one_is_refused(seer: Seer, model: str) -> None:
    segmenter, params = step(model, diameter_um=8)
    assert params.needs_pixel_size
    assert segmenter.survey_scopes(params) == ()
    fields = [*works([3, 2, 4])]
    fields[1].pixel_size_um = 0.6
    found = list(segment_fields(fields, {"nuclei": (segmenter, params)}))
    assert [one.error is None for one in found] == [True, False, True]
    assert "found: 0.6 µm" in str(found[1].error)
    assert found[2].facts["nuclei"]["diameter_px"] == 16
    assert not step(model, diameter_px=16)[1].needs_pixel_size


def test_limits_of_the_well_are_those_of_all_its_fields(seer: Seer, model: str) -> None:
    segmenter, params = step(model, diameter_px=16, normalize="well")
    assert segmenter.survey_scopes(params) == ("well",)
    fields = [FieldWork({"dna": image((96, 96), 5, 0, height)}) for height in (50, 5000)]
    facts = segmenter.survey("well", iter(fields), params, StepContext())
    assert facts["limits"]["dna"] == np.percentile([one.images["dna"] for one in fields], (1, 99)).tolist()
    found = segment_fields(fields, {"nuclei": (segmenter, params)}, {"nuclei": StepContext(well=facts)})
    assert [int(one.labels["nuclei"].max()) for one in found] == [0, 5]
    (by_itself,) = segment_fields([FieldWork(fields[0].images)], {"nuclei": step(model, diameter_px=16)})
    assert by_itself.labels["nuclei"].max() == 5


def test_plate_and_well_may_both_be_asked(seer: Seer, model: str) -> None:
    segmenter, params = step(model, normalize="well")
    assert segmenter.survey_scopes(params) == ("plate", "well")
    plate = segmenter.survey("plate", works([4]), params, StepContext())
    assert plate["limits"] == {}
    both = step(model, normalize="plate")
    assert both[0].survey_scopes(both[1]) == ("plate",)
    assert set(both[0].survey("plate", works([4]), both[1], StepContext())["limits"]) == {"dna"}


def test_the_same_weights_under_another_name_are_the_same(model: str, tmp_path: Path) -> None:
    (tmp_path / "copy").write_bytes(Path(model).read_bytes())
    torch.save(ResidualUNet((2, 2, 2, 4)).state_dict(), tmp_path / "other")
    prints = []
    for name in (model, str(tmp_path / "copy"), str(tmp_path / "other")):
        segmenter, params = step(name)
        prints.append(segmenter.identity(params))
    assert prints[0] == prints[1] != prints[2]


def test_a_field_of_several_blocks_is_audited_along_their_edges(seer: Seer, model: str) -> None:
    chosen = step(model, diameter_px=16, block_px=96, overlap_px=32)
    (one,) = segment_fields(works([60], 240), {"nuclei": chosen})
    assert one.labels["nuclei"].max() == 60
    seams = one.facts["nuclei"]["seams"]
    grid = block_grid((240, 240), 96, 32)
    assert seams["seam_px"] == 2 * 240 * len(seam_lines(grid, 0, 1.0)[0])
    assert seams["seam_straight_edges"] == 0


def test_lines_of_seams_are_where_the_blocks_meet() -> None:
    grid = block_grid((200, 40), 96, 32)
    assert (grid.block, grid.starts) == ((88, 40), ((0, 56, 112), (0,)))
    assert seam_lines(grid, 0, 1.0) == ([56, 72, 88, 112, 128, 144], [44, 100, 156])
    assert seam_lines(grid, 0, 2.0) == ([28, 36, 44, 56, 64, 72], [22, 50, 78])
    assert seam_lines(grid, 1, 1.0) == ([], [])


def test_an_audit_along_named_lines_is_that_of_the_grid() -> None:
    grid = BlockGrid((120, 150), 48, 12)
    labels = np.random.default_rng(0).integers(0, 30, (20, 25)).repeat(6, 0).repeat(6, 1).astype(np.int32)
    labels[:, 96:] = np.where(labels[:, 96:] > 0, labels[:, 96:] + 30, 0)
    seams = (42, 48, 54, 90, 96, 102), (42, 48, 54, 90, 96, 102, 138, 144)
    assert audit_lines(labels, seams, ((24, 72), (24, 72, 120))) == audit_field(labels, grid)
    broken = labels.copy()
    broken[48:, :] = np.where(broken[48:, :] > 0, broken[48:, :] + 100, 0)
    lines = ((48,), ()), ((25,), ())
    assert audit_lines(broken, *lines).seam_straight_edges > audit_lines(labels, *lines).seam_straight_edges
