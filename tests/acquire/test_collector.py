from __future__ import annotations

import gc

import pytest

from hts.acquire.collector import collector_paused


@collector_paused()
def fail() -> None:
    raise ValueError(f"the collector is {'on' if gc.isenabled() else 'off'}")


def test_is_on_again_after_a_mistake_and_stays_off_where_it_was_off() -> None:
    with pytest.raises(ValueError, match="the collector is off"):
        fail()
    assert gc.isenabled()
    gc.disable()
    try:
        with pytest.raises(ValueError, match="the collector is off"):
            fail()
        assert not gc.isenabled()
    finally:
        gc.enable()
