"""Planning is pure: facts in, tasks out."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

import hts
from hts.engine.facts import FieldFacts, PlateFacts, WellFacts
from hts.engine.plan import Costs, check_memory, make_plan
from hts.engine.stages import WELL_STAGES
from hts.errors import NotFoundError, UsageError
from hts.model import WellId, parse_wells
from hts.synth import SynthSpec
from tests.conftest import SETTINGS

COSTS = Costs(working_bytes=1000, n_channels=2, n_objects=3, n_levels=2)


def facts(**wells: tuple[tuple[FieldFacts, ...], set[str]]) -> PlateFacts:
    rows = [WellFacts(WellId.parse(name), fields, "x", frozenset(done)) for name, (fields, done) in wells.items()]
    return PlateFacts("plate", tuple(rows), (100, 200), 1, 2)


GOOD = (FieldFacts(1), FieldFacts(2))


@pytest.mark.parametrize(
    ("committed", "stages"),
    [
        (set(), WELL_STAGES),
        ({"segment"}, ("measure", "aggregate")),
        ({"segment", "measure"}, ("aggregate",)),
        ({"measure", "aggregate"}, WELL_STAGES),
        ({"segment", "aggregate"}, ("measure", "aggregate")),
    ],
)
def test_a_stage_that_is_needed_takes_its_followers_along(committed: set[str], stages: tuple[str, ...]) -> None:
    plan = make_plan(facts(A01=(GOOD, committed)), COSTS)
    assert [task.stages for task in plan.tasks] == [stages]


def test_committed_wells_are_done_and_overwrite_computes_them_again() -> None:
    known = facts(A01=(GOOD, set(WELL_STAGES)), A02=(GOOD, set()))
    plan = make_plan(known, COSTS)
    assert (plan.done, [task.well.name for task in plan.tasks]) == ((WellId(0, 0),), ["A02"])
    assert len(make_plan(known, COSTS, overwrite=True).tasks) == 2


def test_broken_fields_are_dropped_and_wells_without_any_are_hopeless() -> None:
    bad = FieldFacts(2, "DNA missing: no file")
    plan = make_plan(facts(A01=((FieldFacts(1), bad), set()), A02=((bad,), set())), COSTS)
    assert plan.tasks[0].fields == (1,)
    assert plan.tasks[0].dropped == ((2, "DNA missing: no file"),)
    assert plan.hopeless == ((WellId(0, 1), "no usable field (field 2: DNA missing: no file)"),)
    assert plan.expected == 2


def test_bytes_are_counted_for_what_will_be_computed_only() -> None:
    plan = make_plan(facts(A01=(GOOD, {"segment"}), A02=(GOOD, set()), A03=(GOOD, set(WELL_STAGES))), COSTS)
    assert plan.read_bytes == 4 * 100 * 200 * 2 * 2
    assert plan.label_bytes == 2 * 100 * 200 * 3 * 4


def test_time_is_told_only_from_a_known_pace() -> None:
    known = facts(A01=(GOOD, set()), A02=(GOOD, set(WELL_STAGES)))
    assert make_plan(known, COSTS).seconds is None
    assert "not known before the first run" in "\n".join(make_plan(known, COSTS).lines())
    plan = make_plan(dataclasses.replace(known, seconds_per_field=1.5), COSTS)
    assert plan.seconds == 3.0
    assert "about 3 s on one worker" in "\n".join(plan.lines())


def test_selected_wells_must_be_on_the_plate() -> None:
    known = facts(A01=(GOOD, set()), A02=(GOOD, set()))
    assert [task.well.name for task in make_plan(known, COSTS, parse_wells("A02")).tasks] == ["A02"]
    with pytest.raises(NotFoundError, match="H12 is not on plate"):
        make_plan(known, COSTS, parse_wells("A01,H12"))


def test_a_task_larger_than_a_worker_is_refused_with_both_numbers() -> None:
    plan = make_plan(facts(A01=(GOOD, set())), Costs(8_000_000_000, 2, 3, 2))
    with pytest.raises(UsageError, match=r"8\.00 GB(.|\n)*4\.00 GB(.|\n)*--workers"):
        check_memory(plan, 4_000_000_000)
    check_memory(plan, 9_000_000_000)
    check_memory(plan, None)


def test_planning_loads_neither_dask_nor_zarr() -> None:
    code = "import sys; import hts.engine.plan; sys.exit(bool({'dask', 'distributed'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(("size_px", "channels"), [(512, 2), (768, 5)])
def test_measured_memory_stays_below_the_projection(size_px: int, channels: int, tmp_path: Path) -> None:
    """Peak of everything Python and NumPy allocate in one task, against what the plan says of it."""
    from hts.engine.prepare import prepare
    from hts.engine.work import run_well, warm_up

    spec = SynthSpec(wells="B02", fields=3, size_px=size_px, channels=channels, missing_field=False)
    truth = hts.write_plate(tmp_path / "made", spec)
    plate = hts.convert(truth.plate, tmp_path / "p.ome.zarr")
    names = [f"channels.{name.lower()}={name}" for name in plate.channels]
    # Python does not trace the memory of torch; what networks need is measured with the segmenter.
    names += [
        "segment.nuclei={method: threshold, channel: dna, threshold: local, diameter_px: 22}",
        "segment.cells={method: propagate, channel: agp, seeds: nuclei, correction: 0.6, max_distance_px: 60}",
    ]
    recipe = (
        hts.Recipe.load("translocation", SETTINGS[:2]) if channels == 2 else hts.Recipe.load("cell-painting", names)
    )
    prepared = prepare(plate, recipe)
    job = prepared.job(prepared.plan.tasks[0])
    warm_up()
    run_well(job)
    tracemalloc.start()
    done = run_well(job)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert done.failed == ""
    assert peak <= prepared.plan.worker_bytes
    assert peak > prepared.plan.worker_bytes / 8
