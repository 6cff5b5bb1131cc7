"""Work whose parts wait for one another."""

from __future__ import annotations

import threading
import time

import pytest

from hts.stages.measure.shared.objects import Objects
from hts.stages.measure.shared.schedule import Task, run_tasks


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_a_task_begins_when_those_before_it_have_ended(threads):
    ended: list[str] = []

    def call(name, before):
        assert set(before) <= set(ended)
        time.sleep(0.002)
        ended.append(name)
        return name.upper()

    order = {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c"), "e": ()}
    tasks = {name: Task(lambda name=name, before=before: call(name, before), before) for name, before in order.items()}
    assert run_tasks(tasks, threads) == {name: name.upper() for name in order}
    assert sorted(ended) == sorted(order)


def test_two_run_at_once_and_the_costliest_first():
    together, begun = threading.Barrier(2, timeout=20), []

    def call(name):
        begun.append(name)
        if name in ("dear", "middle"):
            together.wait()

    costs = {"cheap": 1.0, "middle": 2.0, "dear": 3.0}
    run_tasks({name: Task(lambda name=name: call(name), cost=cost) for name, cost in costs.items()}, 2)
    assert begun[-1] == "cheap"


def test_what_a_task_raises_is_raised():
    def fail():
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        run_tasks({"a": Task(fail), "b": Task(lambda: 1, ("a",))}, 2)


def test_every_shared_property_that_is_made_of_others_exists():
    for name, before in Objects.PREREQUISITES.items():
        assert all(hasattr(Objects, each) for each in (name, *before))
