"""Lock objects on object stores; locks on disk are tested with the files."""

from __future__ import annotations

import json
import time

import pytest

import hts.store.locks
from hts.errors import StoreError, UsageError
from hts.locations import location
from hts.store import exclusive, is_held, write_bytes
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
