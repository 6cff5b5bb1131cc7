"""The Dask graph of the large fields of a well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hts.engine.large.blocks import BlockDone, BlockTask, measure_block, resolve_field, segment_block
from hts.engine.large.places import field_grid
from hts.errors import SourceError
from hts.recipe import Recipe
from hts.store import Plate

if TYPE_CHECKING:
    from distributed import Client

    from hts.engine.work import WellJob


def submit_blocks(client: Client, job: WellJob, plate: Plate, recipe: Recipe, run_id: str) -> dict[int, list[Any]]:
    """Send the blocks of a well's fields to the cluster; what comes back is for the task of the well.

    Returns
    -------
    By field, futures of :class:`BlockDone`; the thing itself when the field cannot be read.
    """
    found: dict[int, list[Any]] = {}
    for number in job.task.fields:
        try:
            n_blocks = len(field_grid(plate[job.task.well].field(number), recipe))
        except SourceError as error:
            found[number] = [BlockDone(unread=" ".join(str(error).split()))]
            continue

        def send(work: Any, block: int, *after: Any, field: int = number) -> Any:
            # Tuples: the dashboard groups tasks by the first part.
            key = (f"{work.__name__}-{plate.name}", job.task.well.name, field, block, run_id)
            return client.submit(work, BlockTask(job, field, block), *after, key=key, pure=False)

        ready: Any = BlockDone()
        if "segment" in job.task.stages:
            ready = send(resolve_field, -1, [send(segment_block, block) for block in range(n_blocks)])
        found[number] = [send(measure_block, block, ready) for block in range(n_blocks)]
    return found
