"""Lock objects on object stores; locks on disk are tested with the files."""

from __future__ import annotations

import contextlib
import json
import time

import pytest
from fsspec import AbstractFileSystem

import hts.store.locks
from hts.errors import StoreError, UsageError
from hts.locations import location
from hts.store import exclusive, is_held, remove_file, write_bytes
from hts.store.files import read_bytes, read_if_there


@pytest.fixture(params=["memory", "s3"])
def place(request, monkeypatch):
    monkeypatch.setattr(hts.store.locks, "SETTLE_S", 0.05)
    return location(request.getfixturevalue(request.param)) / "p" / ".hts"


def _left_by_another(place, age_s: float) -> None:
    holder = {"host": "elsewhere", "process": 77, "token": "theirs", "beat_s": time.time() - age_s}
    write_bytes(place / ".lock", json.dumps(holder).encode())


def test_a_second_writer_is_refused_and_a_later_one_is_not(place):
    assert not is_held(place)
    with exclusive(place, "convert"):
        assert is_held(place)
        with (
            pytest.raises(
                UsageError, match=rf"{place} is free to run\n  found: another process .*\(process \d+ on .*\n.*60 s"
            ),
            exclusive(place, "run"),
        ):
            pytest.fail("the lock was given twice")
        assert is_held(place)
    assert not is_held(place)
    assert read_if_there(place / ".lock") is None
    with exclusive(place, "run"):
        pass


def test_the_lock_is_free_after_an_error_which_passes_unchanged(place):
    with pytest.raises(KeyError, match="x"), exclusive(place, "run"):
        raise KeyError("x")
    assert not is_held(place)


def test_a_lock_left_behind_is_taken_over_after_a_minute(place):
    _left_by_another(place, age_s=30)
    assert is_held(place)
    with pytest.raises(UsageError, match="process 77 on elsewhere"), exclusive(place, "run"):
        pytest.fail("its holder may live")
    _left_by_another(place, age_s=61)
    assert not is_held(place)
    with exclusive(place, "run"):
        assert is_held(place)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}"])
def test_a_lock_that_says_nothing_readable_is_taken_over(place, content):
    write_bytes(place / ".lock", content)
    with exclusive(place, "run"):
        assert is_held(place)


def test_of_two_that_take_over_one_wins(place, monkeypatch):
    """While the first waits to see who was last, the second writes its token."""
    _left_by_another(place, age_s=61)
    sleep = time.sleep
    monkeypatch.setattr(hts.store.locks.time, "sleep", lambda seconds: (_left_by_another(place, 0), sleep(0))[1])
    with pytest.raises(UsageError, match="process 77 on elsewhere"), exclusive(place, "run"):
        pytest.fail("the lock was given twice")


def test_the_holder_gives_signs_of_life(place, monkeypatch):
    monkeypatch.setattr(hts.store.locks, "HEARTBEAT_S", 0.02)
    with exclusive(place, "run"):
        first = json.loads(read_bytes(place / ".lock"))
        deadline = time.monotonic() + 10
        while json.loads(read_bytes(place / ".lock"))["beat_s"] == first["beat_s"] and time.monotonic() < deadline:
            time.sleep(0.01)
        last = json.loads(read_bytes(place / ".lock"))
    assert last["beat_s"] > first["beat_s"]
    assert last["token"] == first["token"]


def test_a_holder_that_lost_the_lock_says_so_and_leaves_it_to_the_other(place, monkeypatch):
    monkeypatch.setattr(hts.store.locks, "HEARTBEAT_S", 0.02)
    held = exclusive(place, "run")
    held.__enter__()
    _left_by_another(place, age_s=0)
    time.sleep(0.5)
    with pytest.raises(StoreError, match="another process took its lock over"):
        held.__exit__(None, None, None)
    assert json.loads(read_bytes(place / ".lock"))["token"] == "theirs"


@pytest.mark.parametrize("by", [_left_by_another, lambda place, age_s: remove_file(place / ".lock")])
def test_a_holder_sees_at_once_that_the_lock_is_lost(place, by):
    """Before a heartbeat: also when the other has ended already."""
    with contextlib.ExitStack() as held:
        lock = held.enter_context(exclusive(place, "run"))
        lock.still_ours()
        by(place, age_s=0)
        for _ in range(2):
            with pytest.raises(StoreError, match=r"another process took its lock over(.|\n)*stood still"):
                lock.still_ours()
        with pytest.raises(StoreError, match="another process took its lock over"):
            held.close()


def test_on_disk_the_lock_is_ours_until_the_end(tmp_path):
    with exclusive(tmp_path / "p", "run") as lock:
        lock.still_ours()
        (tmp_path / "p" / ".lock").write_text("somebody")
        lock.still_ours()


def _overwrites(self, path, value, mode="overwrite", **_):
    with self.open(path, "wb") as file:
        file.write(value)


@pytest.fixture(params=[_overwrites, AbstractFileSystem.pipe_file], ids=["overwrites", "looks first"])
def without_conditions(request, memory, monkeypatch):
    """A store that has no conditional PUT: it overwrites, or looks first and then writes."""
    monkeypatch.setattr(type(location(memory).fs), "pipe_file", request.param)
    return location(memory) / "p" / ".hts"


def test_a_store_without_conditional_puts_is_found_out(without_conditions, monkeypatch):
    waits = []
    monkeypatch.setattr(hts.store.locks.time, "sleep", waits.append)
    with exclusive(without_conditions, "convert") as lock:
        assert waits == [hts.store.locks.SETTLE_S]
        lock.still_ours()
        with pytest.raises(UsageError, match="another process works on it"), exclusive(without_conditions, "run"):
            pytest.fail("the lock was given twice")
    assert not is_held(without_conditions)


def test_without_conditional_puts_the_last_of_two_wins(without_conditions, monkeypatch):
    monkeypatch.setattr(hts.store.locks.time, "sleep", lambda _: _left_by_another(without_conditions, 0))
    with pytest.raises(UsageError, match="process 77 on elsewhere"), exclusive(without_conditions, "run"):
        pytest.fail("the lock was given twice")


def test_with_conditional_puts_nobody_waits(place, monkeypatch):
    monkeypatch.setattr(hts.store.locks.time, "sleep", lambda _: pytest.fail("waited"))
    with exclusive(place, "run"):
        assert is_held(place)
