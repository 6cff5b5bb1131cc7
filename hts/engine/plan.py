"""Planning: what a run would do. Pure: no files, no Dask, no Zarr."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hts.engine.facts import PlateFacts, WellFacts
from hts.engine.stages import WELL_STAGES
from hts.errors import NotFoundError, UsageError
from hts.model import WellId

LABEL_BYTES = 4


@dataclass(frozen=True)
class WellTask:
    """One Dask task: the usable fields of a well and the stages it still needs."""

    well: WellId
    fields: tuple[int, ...]
    dropped: tuple[tuple[int, str], ...]
    stages: tuple[str, ...]
    reads: str

    @property
    def name(self) -> str:
        """First part of the Dask key, so that the dashboard groups tasks by what they do."""
        return self.stages[0]


@dataclass(frozen=True)
class Plan:
    """What would be computed, what is there already, what cannot be, and what it takes."""

    plate: str
    tasks: tuple[WellTask, ...]
    done: tuple[WellId, ...]
    hopeless: tuple[tuple[WellId, str], ...]
    read_bytes: int
    label_bytes: int
    files: int
    worker_bytes: int
    seconds: float | None

    @property
    def expected(self) -> int:
        return len(self.tasks) + len(self.done) + len(self.hopeless)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; wells by the first stage they still need."""
        waiting: dict[str, list[str]] = {stage: [] for stage in WELL_STAGES}
        for task in self.tasks:
            waiting[task.name].append(task.well.name)
        return {
            "plate": self.plate,
            "wells": {"expected": self.expected, "done": len(self.done), "compute": len(self.tasks)},
            "from_stage": waiting,
            "unusable": {well.name: reason for well, reason in self.hopeless},
            "fields": sum(len(task.fields) for task in self.tasks),
            "dropped_fields": [
                {"well": task.well.name, "field": number, "reason": reason}
                for task in self.tasks
                for number, reason in task.dropped
            ],
            "read_bytes": self.read_bytes,
            "label_bytes": self.label_bytes,
            "files": self.files,
            "seconds_on_one_worker": self.seconds,
            "worker_bytes": self.worker_bytes,
        }

    def lines(self) -> list[str]:
        """The plan for people."""
        found = self.to_json()
        text = [f"{self.plate}: {self.expected} wells, {len(self.done)} done already, {len(self.tasks)} to compute"]
        for stage, wells in found["from_stage"].items():
            if wells:
                text.append(f"  from {stage}: {len(wells)} wells")
        for well, reason in found["unusable"].items():
            text.append(f"  cannot be computed: {well}, {reason}")
        for drop in found["dropped_fields"]:
            text.append(f"  without {drop['well']} field {drop['field']}: {drop['reason']}")
        text.append(
            f"reads {self.read_bytes / 1e6:.0f} MB of pixels in {found['fields']} fields, writes up to "
            f"{self.label_bytes / 1e6:.0f} MB of labels before compression, {self.files} files"
        )
        if self.tasks:
            unknown = "not known before the first run; try a few wells with --wells"
            pace = f"about {self.seconds:.0f} s on one worker" if self.seconds is not None else unknown
            text.append(f"time: {pace}")
        return [*text, f"a task needs up to {self.worker_bytes / 1e6:.0f} MB of memory"]


@dataclass(frozen=True)
class Costs:
    """What the recipe needs for a field beyond its planes: bytes of working memory, channels, object sets, levels.

    ``tile`` (Y, X) is what a task has of a field at a time, when that is not all of it.
    """

    working_bytes: int
    n_channels: int
    n_objects: int
    n_levels: int
    tile: tuple[int, int] | None = None


def make_plan(facts: PlateFacts, costs: Costs, wells: frozenset[WellId] | None = None, overwrite: bool = False) -> Plan:
    """Decide for every selected well what it still needs.

    Parameters
    ----------
    facts : the plate and what is committed.
    costs : memory and sizes of the recipe's stages for one field.
    wells : only these; all when None.
    overwrite : compute again what is committed.

    Raises
    ------
    NotFoundError
        when a selected well is not on the plate.
    """
    chosen = _select(facts, wells)
    tasks, done, hopeless = [], [], []
    for well in chosen:
        usable = tuple(field.number for field in well.fields if not field.problem)
        dropped = tuple((field.number, field.problem) for field in well.fields if field.problem)
        needed = tuple(stage for stage in WELL_STAGES if overwrite or stage not in well.committed)
        if not usable:
            reason = "; ".join(f"field {number}: {problem}" for number, problem in dropped)
            hopeless.append((well.well, well.problem or f"no usable field ({reason or 'the well has none'})"))
        elif needed:
            tasks.append(WellTask(well.well, usable, dropped, _with_followers(needed), well.reads))
        else:
            done.append(well.well)
    plane = facts.shape[0] * facts.shape[1]
    fields = sum(len(task.fields) for task in tasks)
    segmented = sum(len(task.fields) for task in tasks if "segment" in task.stages)
    return Plan(
        plate=facts.name,
        tasks=tuple(tasks),
        done=tuple(done),
        hopeless=tuple(hopeless),
        read_bytes=fields * plane * costs.n_channels * facts.n_z * facts.itemsize_bytes,
        label_bytes=segmented * plane * costs.n_objects * LABEL_BYTES,
        files=_files(facts, costs, segmented, len(tasks)),
        worker_bytes=_worker_bytes(facts, costs),
        seconds=None if facts.seconds_per_field is None else round(facts.seconds_per_field * fields, 1),
    )


def _select(facts: PlateFacts, wells: frozenset[WellId] | None) -> tuple[WellFacts, ...]:
    if wells is None:
        return facts.wells
    known = {well.well for well in facts.wells}
    if unknown := sorted(wells - known):
        shown = ", ".join(str(well) for well in unknown[:6])
        raise NotFoundError("--wells names wells of the plate", found=f"{shown} is not on {facts.name}")
    return tuple(well for well in facts.wells if well.well in wells)


def _with_followers(needed: tuple[str, ...]) -> tuple[str, ...]:
    """A stage that is computed again makes all later ones stale."""
    return WELL_STAGES[WELL_STAGES.index(needed[0]) :]


def _files(facts: PlateFacts, costs: Costs, segmented_fields: int, tasks: int) -> int:
    """Files a run makes: a document and a shard for each level of each label image, a group each and their list;
    two tables a well and a marker for each stage."""
    per_image = 2 * costs.n_levels + 1
    return segmented_fields * (costs.n_objects * per_image + 1) + tasks * (2 + len(WELL_STAGES))


def _worker_bytes(facts: PlateFacts, costs: Costs) -> int:
    """Projected peak of one task: two fields' planes (one read ahead), labels of two (one being written), the work."""
    rows, columns = costs.tile or facts.shape
    plane = rows * columns
    planes = 2 * plane * costs.n_channels * facts.itemsize_bytes
    stacked = plane * costs.n_channels * max(facts.itemsize_bytes, LABEL_BYTES)
    labels = 3 * plane * costs.n_objects * LABEL_BYTES
    projection = plane * (facts.n_z + 1) * facts.itemsize_bytes if facts.n_z > 1 else 0
    return planes + stacked + labels + projection + costs.working_bytes


def check_memory(plan: Plan, allowed_bytes: int | None) -> None:
    """Refuse before running when a task would not fit into a worker.

    Raises
    ------
    UsageError
        with both numbers and the knob to turn.
    """
    if allowed_bytes and plan.worker_bytes > allowed_bytes:
        raise UsageError(
            f"a worker has the {plan.worker_bytes / 1e9:.2f} GB that one task of {plan.plate} needs",
            found=f"{allowed_bytes / 1e9:.2f} GB",
            fix="use fewer workers with --workers, or a cluster whose workers have more memory",
        )
