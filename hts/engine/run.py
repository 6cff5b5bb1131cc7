"""Runs: submit a plate, watch it, get its profiles.

A thread of the submitting process keeps a sliding window of wells on the cluster, so that a plate of
any size costs the scheduler the same; when the last well is committed it makes the profiles.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hts.engine.attempts import Attempts
from hts.engine.clusters import wait_for_workers, worker_memory_bytes
from hts.engine.finish import finish
from hts.engine.journal import journal, run_logger
from hts.engine.large.graph import submit_blocks
from hts.engine.large.places import discard
from hts.engine.plan import Plan, WellTask, check_memory
from hts.engine.prepare import Prepared, prepare
from hts.engine.provenance import provenance
from hts.engine.results import RunResult, earlier_failures, now, write_manifest
from hts.engine.stages import segmenter_packages
from hts.engine.surveys import SURVEY_STAGE, discard_surveys, survey_job, survey_plate
from hts.engine.work import DEATH_CAUSES, WellDone, run_well, warm_up
from hts.errors import StageError, StoreError
from hts.locations import Location
from hts.model import WellId
from hts.recipe import Recipe
from hts.store import Markers, Plate, ensure_writable, exclusive, refuse_read_only

if TYPE_CHECKING:
    from distributed import Client, Future

WINDOW_PER_THREAD = 3
"""Wells queued for each worker thread: enough that none ever waits, few enough to stop at once."""
LANDING_S = 20.0
"""How long a stopped run waits for the wells that are being computed."""
_POLL_S = 0.02


@dataclass(frozen=True)
class Progress:
    """Where a run stands."""

    expected: int
    done: int
    failed: int
    running: int
    cells: int
    seconds: float

    @property
    def left_s(self) -> float | None:
        """Estimated seconds left, from the wells finished so far."""
        finished = self.done + self.failed
        return self.seconds / finished * (self.expected - finished) if finished else None


@dataclass
class _State:
    """What the collecting thread knows; guarded by its lock."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    failures: dict[str, str] = field(default_factory=dict)
    computed: int = 0
    running: int = 0
    cells: int = 0
    begin: float = field(default_factory=time.perf_counter)
    error: BaseException | None = None
    result: RunResult | None = None
    compile_s: float | None = None


class Run:
    """A submitted plate. Made by :func:`submit`."""

    def __init__(self, prepared: Prepared, client: Client, guards: ExitStack) -> None:
        self._prepared = prepared
        self._client = client
        self._guards = guards
        self._state = _State(failures={well.name: reason for well, reason in prepared.plan.hopeless})
        self._stop = threading.Event()
        self._started = now()
        self._log = run_logger(prepared.run_id)
        self._thread = threading.Thread(target=self._work, name=f"hts-{prepared.plate.name}", daemon=True)
        self._thread.start()

    @property
    def plan(self) -> Plan:
        """What this run computes and what was there already."""
        return self._prepared.plan

    @property
    def dashboard(self) -> str:
        """Address of Dask's dashboard."""
        return str(self._client.dashboard_link)

    def progress(self) -> Progress:
        """Where the run stands now; wells that were committed before count as done."""
        state, plan = self._state, self._prepared.plan
        with state.lock:
            return Progress(
                expected=plan.expected,
                done=len(plan.done) + state.computed,
                failed=len(state.failures),
                running=state.running,
                cells=state.cells,
                seconds=time.perf_counter() - state.begin,
            )

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the run has ended; False when it has not within `timeout_s`."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def cancel(self) -> None:
        """Stop: wells under way are lost, committed ones stay; submitting again goes on from there."""
        self._stop.set()

    def result(self, timeout_s: float | None = None) -> RunResult:
        """Wait for the end and return the profiles.

        Raises
        ------
        StoreError
            when results could not be written (a full disk): the run stopped, what was committed is kept.
        StageError
            when the run was cancelled.
        TimeoutError
            when it has not ended within `timeout_s`.
        """
        if not self.wait(timeout_s):
            raise TimeoutError(f"the run of {self._prepared.plate.name} has not ended after {timeout_s} s")
        if self._state.error is not None:
            raise self._state.error
        if self._state.result is None:
            raise StageError("the run went to its end", found="it was cancelled", fix="submit it again to go on")
        return self._state.result

    def _work(self) -> None:
        with self._guards:
            try:
                self._manifest("running")
                self._compute()
                if not self._stop.is_set():
                    self._state.result = self._finish()
                    self._log.info("%s", self._state.result.wells)
                self._manifest("stopped" if self._stop.is_set() else "done")
            except BaseException as error:
                # Whatever ends the thread must reach the caller of result().
                self._log.error("the run ended: %s", error)
                self._state.error = error
                with contextlib.suppress(StoreError):
                    self._manifest("failed")

    def _compute(self) -> None:
        plan, state = self._prepared.plan, self._state
        if not plan.tasks:
            return
        wanted = (self._prepared.recipe_text, self._prepared.plate.itemsize_bytes)
        compiled = self._client.submit(warm_up, *wanted, pure=False, key=f"compile-{self._prepared.run_id}")
        while not compiled.done() and not self._stop.is_set():
            self._stop.wait(_POLL_S)
        if not self._stop.is_set():
            state.compile_s = float(_outcome(compiled))
            self._survey()
        if not self._stop.is_set():
            threads = max(1, sum(self._client.nthreads().values()))
            self._slide(threads * WINDOW_PER_THREAD)

    def _survey(self) -> None:
        """What segmenters want to know of the plate before the first well."""
        from distributed import KilledWorker

        job = survey_job(self._prepared)
        if job is None:
            return
        key = (f"{SURVEY_STAGE}-{self._prepared.plate.name}", self._prepared.run_id)
        future = self._client.submit(survey_plate, job, key=key, pure=False)
        while not future.done() and not self._stop.is_set():
            self._stop.wait(_POLL_S)
        if self._stop.is_set():
            return
        try:
            reason = str(_outcome(future))
        except KilledWorker:
            reason = f"its worker died on every attempt: {DEATH_CAUSES}"
        if reason:
            raise StageError("the plate can be surveyed before its wells", found=reason)

    def _slide(self, window: int) -> None:
        """Keep at most `window` wells on the cluster until all are collected or the run is stopped."""
        from distributed import as_completed

        waiting = iter(self._prepared.plan.tasks)
        flying: dict[Future, WellTask] = {}
        arrivals = as_completed()

        def launch(number: int) -> None:
            for task in itertools.islice(waiting, number):
                future = self._submit_well(task)
                flying[future] = task
                arrivals.add(future)

        try:
            launch(window)
            while flying and not self._stop.is_set():
                if arrivals.has_ready():
                    future = next(arrivals)
                    self._collect(future, flying.pop(future))
                    launch(1)
                else:
                    self._stop.wait(_POLL_S)
        finally:
            self._land(flying)

    def _land(self, flying: dict[Future, WellTask]) -> None:
        """Cancel what has not begun, and wait a while for what has: it still writes, and the locks are ours."""
        for future in flying:
            # A scheduler that is gone cannot be asked, and must not hide why the run ended.
            with contextlib.suppress(Exception):
                future.cancel()
        deadline = time.monotonic() + LANDING_S
        while flying and Attempts(self._prepared.results).any_open() and time.monotonic() < deadline:
            time.sleep(_POLL_S)

    def _submit_well(self, task: WellTask) -> Future:
        """Send one well to the cluster under a key that the dashboard groups by stage and plate."""
        prepared = self._prepared
        job = prepared.job(task)
        key = (f"{task.name}-{prepared.plate.name}", task.well.name, prepared.run_id)
        with self._state.lock:
            self._state.running += 1
        blocks = None
        if "measure" in task.stages and prepared.recipe.blocks.are_needed(prepared.field_shape):
            blocks = submit_blocks(self._client, job, prepared.plate, prepared.recipe, prepared.run_id)
        return self._client.submit(run_well, job, blocks, key=key, pure=False)

    def _collect(self, future: Future, task: WellTask) -> None:
        """Take note of a finished well; what concerns more than this well ends the run."""
        from distributed import KilledWorker

        state = self._state
        try:
            done: WellDone = _outcome(future)
        except KilledWorker:
            done = WellDone(task.well.name, failed="its worker died on every attempt: " + DEATH_CAUSES)
        finally:
            with state.lock:
                state.running -= 1
        if done.unwritable:
            raise StoreError(done.unwritable)
        with state.lock:
            state.cells += done.cells
            if done.failed:
                state.failures[done.well] = done.failed
                self._log.error("%s failed: %s", done.well, " ".join(done.failed.split()))
            else:
                state.computed += 1
                self._log.info("%s done: %d cells, %.2f s", done.well, done.cells, done.seconds)

    def _finish(self) -> RunResult:
        state = self._state
        return finish(
            self._prepared,
            failures=dict(sorted(state.failures.items())),
            computed=state.computed,
            seconds=time.perf_counter() - state.begin,
            provenance=provenance(self._client, state.compile_s, segmenter_packages(self._prepared.recipe)),
        )

    def _manifest(self, state: str) -> None:
        selected = {well.name for well in self._prepared.selected}
        failures = {**earlier_failures(self._prepared), **self._state.failures}
        facts = {"state": state, "started": self._started, "selected": sorted(selected)}
        write_manifest(self._prepared, run={**facts, "failures": dict(sorted(failures.items()))})


def _outcome(future: Future) -> Any:
    """The result of a future.

    Raises
    ------
    KilledWorker
        as it is: it concerns one well.
    StageError
        for everything else that Dask can raise: the scheduler is gone, or the workers cannot run our code.
    """
    from distributed import KilledWorker

    try:
        return future.result()
    except KilledWorker:
        raise
    except Exception as error:
        raise StageError(
            "the cluster runs the wells to their end",
            found=f"{type(error).__name__}: {error}",
            cause="the scheduler is gone, or its workers have not the same packages installed",
            fix="mend the cluster and submit again; what is committed is kept",
        ) from error


def submit(
    plate: Plate | str | Location,
    recipe: Recipe | str | Path,
    client: Client,
    *,
    out: str | Path | None = None,
    wells: frozenset[WellId] | None = None,
    overwrite: bool = False,
) -> Run:
    """Run a recipe on a plate and return at once.

    Parameters
    ----------
    plate : an open plate, its path or its address.
    recipe : a recipe, the path of a YAML file or the name of a built-in one.
    client : where to run.
    out : folder of the results; ``<plate>.hts`` beside the plate when None.
    wells : only these wells.
    overwrite : compute again what is committed.

    Raises
    ------
    RecipeError, NotFoundError
        when recipe and plate do not fit, or the cluster has no worker; nothing has run then.
    StoreError
        when the results folder cannot be written.
    UsageError
        when another run works in it, or a task would not fit into a worker.
    """
    prepared = prepare(plate, recipe, out=out, wells=wells, overwrite=overwrite)
    refuse_read_only(prepared.plate.root)
    wait_for_workers(client)
    check_memory(prepared.plan, worker_memory_bytes(client))
    ensure_writable(prepared.results)
    guards = ExitStack()
    try:
        guards.enter_context(exclusive(prepared.results, "run"))
        # The plate holds the labels: one writer there too, whatever the results folder.
        guards.enter_context(exclusive(prepared.plate.root / ".hts", "run"))
        log = run_logger(prepared.run_id)
        guards.enter_context(journal(prepared.results, log))
        log.info("recipe %s on %s: %s", prepared.recipe.name, prepared.plate.path, prepared.plan.lines()[0])
        Attempts(prepared.results).reset()
        if overwrite:
            _discard(prepared)
        return Run(prepared, client, guards)
    except BaseException:
        guards.close()
        raise


def _discard(prepared: Prepared) -> None:
    for task in prepared.plan.tasks:
        discard(prepared.results, task.well.name)
        for stage in task.stages:
            Markers(prepared.results, stage, prepared.prints.of(stage)).discard(task.well.name)
    discard_surveys(prepared)
