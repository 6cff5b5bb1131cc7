"""How many CPU threads a task may use: what its worker owns, shared among the tasks that it runs at once."""

from __future__ import annotations

import os

WORKER_CORES = "HTS_WORKER_CORES"
"""Environment variable of a worker: the CPU cores it owns. A local cluster sets it; elsewhere it is the worker's
threads unless whoever starts the worker says otherwise."""


def task_threads() -> int:
    """Threads for the task that asks; outside a worker, one."""
    from distributed import get_worker

    try:
        tasks = int(get_worker().state.nthreads)
    except ValueError:
        # Distributed's way to say that this is no worker.
        return 1
    owned = os.environ.get(WORKER_CORES, "")
    return max(1, (int(owned) if owned.isdecimal() else tasks) // max(1, tasks))
