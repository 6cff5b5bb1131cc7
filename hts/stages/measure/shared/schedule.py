"""Work whose parts wait for one another, shared among threads."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Task:
    """A call, the tasks that come before it, and how much it costs beside the others."""

    call: Callable[[], Any]
    after: tuple[Hashable, ...] = ()
    cost: float = 0.0


def run_tasks(tasks: Mapping[Any, Task], threads: int) -> dict[Any, Any]:
    """The results of all tasks by name. Of those that may begin the costliest does, so that no thread ends late.

    Each name in ``after`` is that of a task further up in ``tasks``. What a task raises is raised when those that
    run beside it have ended; no other is begun.
    """
    if threads == 1:
        return {name: task.call() for name, task in tasks.items()}
    waiting, running, results = dict(tasks), dict[Future[Any], Any](), dict[Any, Any]()
    with ThreadPoolExecutor(threads) as pool:
        while waiting or running:
            ready = [name for name, task in waiting.items() if results.keys() >= set(task.after)]
            for name in sorted(ready, key=lambda name: -waiting[name].cost)[: threads - len(running)]:
                running[pool.submit(waiting.pop(name).call)] = name
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                results[running.pop(future)] = future.result()
    return results
