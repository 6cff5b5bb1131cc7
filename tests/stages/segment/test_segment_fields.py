"""Fields as a stream: in order, lazily, one error a field, pooled by those segmenters that can."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from hts.errors import HtsError, SourceError, StageError
from hts.stages.segment import (
    FieldWork,
    Found,
    StepContext,
    fields_in_flight,
    segment_field,
    segment_fields,
    working_bytes,
)
from hts.stages.segment.expression import ExpressionParams, ExpressionSegmenter
from hts.stages.segment.options import step_model
from hts.stages.segment.propagate import PropagateParams, PropagateSegmenter


class OracleParams(BaseModel):
    """Settings of a segmenter that is told the answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["oracle"] = "oracle"
    channel: str = "dna"
    fields: int = 3

    @property
    def roles(self) -> tuple[str, ...]:
        return (self.channel,)

    @property
    def needs(self) -> tuple[str, ...]:
        return ()


class Oracle:
    """The image is its own label image; a negative pixel is an error, 99 a crash."""

    version = 1
    Params = OracleParams

    def segment(self, images: Any, labels: Any, params: OracleParams) -> NDArray[np.int32]:
        image = images[params.channel]
        if (image < 0).any():
            raise StageError("a field that can be segmented", found=f"{image.min()}")
        if (image == 99).any():
            raise ZeroDivisionError("a crash")
        return image.astype(np.int32)

    def working_bytes(self, params: OracleParams, shape: tuple[int, int]) -> int:
        return 10 * shape[0]


class Pooled(Oracle):
    """The same, in batches of several fields."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def fields_in_flight(self, params: OracleParams, shape: tuple[int, int]) -> int:
        return params.fields

    def segment_stream(
        self, fields: Iterator[FieldWork], params: OracleParams, context: StepContext
    ) -> Iterator[Found]:
        batch: list[FieldWork] = []
        for work in fields:
            batch.append(work)
            if len(batch) == params.fields:
                yield from self._run(batch, params, context)
                batch = []
        yield from self._run(batch, params, context)

    def _run(self, batch: list[FieldWork], params: OracleParams, context: StepContext) -> Iterator[Found]:
        self.batches.append(len(batch))
        for work in batch:
            try:
                found = Found(self.segment(work.images, {}, params), {"threads": context.threads, "n": len(batch)})
            except StageError as error:
                found = Found(error=error)
            yield found


def work(value: int, key: Any = None) -> FieldWork:
    """A field of one object in the middle."""
    image = np.zeros((5, 5), np.int32)
    image[1:4, 1:4] = value
    return FieldWork({"dna": image, "reporter": image.astype(np.float32)}, key=key)


def step(segmenter: Any, **keys: Any) -> tuple[Any, Any]:
    return segmenter, step_model(segmenter)(**keys)


def broken(key: int) -> FieldWork:
    made = work(1, key)
    made.fail(SourceError("a plane"))
    return made


KINDS = {"good": work, "bad": lambda key: work(-1, key), "unread": broken}


@settings(deadline=None, max_examples=60)
@given(kinds=st.lists(st.sampled_from(["good", "good", "bad", "unread"]), max_size=12), fields=st.integers(1, 5))
def test_pooled_fields_come_back_in_order_each_with_its_own_error(kinds, fields) -> None:
    pooled = Pooled()
    works = [KINDS[kind](key) if kind != "good" else work(key + 1, key) for key, kind in enumerate(kinds)]
    steps = {
        "nuclei": step(pooled, fields=fields),
        "cells": step(PropagateSegmenter(), seeds="nuclei", threshold="none"),
        "more": step(Pooled(), fields=2, link="nuclei"),
    }
    found = list(segment_fields(iter(works), steps, {"nuclei": StepContext(threads=7)}))
    assert [one.key for one in found] == list(range(len(kinds)))
    errors = {"good": type(None), "bad": StageError, "unread": SourceError}
    assert [type(one.error) for one in found] == [errors[kind] for kind in kinds]
    for key, one in enumerate(found):
        if one.error is None:
            assert set(np.unique(one.labels["nuclei"])) == {0, key + 1}
            assert set(np.unique(one.labels["cells"])) == {0, key + 1} or (one.labels["cells"] == key + 1).all()
            assert one.facts["nuclei"]["threads"] == 7
        else:
            assert not one.labels
            assert not one.images
    assert all(n == fields for n in pooled.batches[:-1])


def test_errors_do_not_leave_batches_half_full() -> None:
    pooled = Pooled()
    works = [broken(key) if key % 2 else work(1, key) for key in range(12)]
    list(segment_fields(iter(works), {"nuclei": step(pooled, fields=3)}))
    assert pooled.batches == [3, 3, 0]


@pytest.mark.parametrize(("segmenter", "held"), [(Oracle(), 1), (Pooled(), 3)])
def test_fields_are_taken_when_they_are_needed_and_let_go_when_they_are_done(segmenter, held) -> None:
    alive: list[weakref.ref[FieldWork]] = []
    taken: list[int] = []

    def source() -> Iterator[FieldWork]:
        for key in range(20):
            one = work(1, key)
            alive.append(weakref.ref(one))
            gc.collect()
            taken.append(sum(ref() is not None for ref in alive))
            yield one
            del one

    stream = segment_fields(source(), {"nuclei": step(segmenter)})
    assert alive == []
    most = 0
    for one in stream:
        del one
        gc.collect()
        most = max(most, sum(ref() is not None for ref in alive))
    assert len(alive) == 20
    assert most <= held
    assert max(taken) <= held


def test_a_segmenter_that_holds_more_than_it_says_is_stopped() -> None:
    class Greedy(Pooled):
        def fields_in_flight(self, params: OracleParams, shape: tuple[int, int]) -> int:
            return 2

    with pytest.raises(StageError, match=r"holds at most the 2 fields(.|\n)*takes field 3"):
        list(segment_fields((work(1) for _ in range(5)), {"nuclei": step(Greedy())}))


@pytest.mark.parametrize(("extra", "found"), [(1, "more results"), (-1, "fewer results")])
def test_a_segmenter_that_loses_or_invents_a_field_is_found_out(extra, found) -> None:
    class Wrong(Oracle):
        def segment_stream(self, fields: Iterator[FieldWork], params: Any, context: Any) -> Iterator[Found]:
            results = [Found(self.segment(one.images, {}, params)) for one in fields]
            yield from results[: len(results) + extra] if extra < 0 else [*results, results[0]]

    with pytest.raises(StageError, match=found):
        list(segment_fields([work(1)], {"nuclei": step(Wrong())}))


@pytest.mark.parametrize("bad", [None, [[0]], np.zeros((5, 5), np.int64), np.zeros((4, 5), np.int32)])
def test_labels_of_another_type_or_shape_cost_the_field(bad) -> None:
    class Careless(Oracle):
        def segment(self, images: Any, labels: Any, params: Any) -> Any:
            return bad

    (one,) = segment_fields([work(1)], {"nuclei": step(Careless())})
    with pytest.raises(StageError, match=r"segmenter of nuclei gives labels of shape \(5, 5\) and type int32"):
        raise one.error
    with pytest.raises(StageError, match="segmenter of nuclei"):
        segment_field(work(1).images, {"nuclei": step(Careless())})


def test_a_crash_in_a_segmenter_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError, match="a crash"):
        list(segment_fields([work(99)], {"nuclei": step(Pooled())}))


def scene(**channels: str) -> dict[str, NDArray[np.int32]]:
    """Planes drawn as digits, one row a word."""
    return {
        role: np.array([[int(sign) if sign != "." else 0 for sign in row] for row in text.split()], np.int32)
        for role, text in channels.items()
    }


def test_linked_sets_share_numbers_and_expressions_follow() -> None:
    images = scene(dna="...... .2..3. .2..3. ......", reporter="111222 111222 111222 ....4.")
    steps = {
        "nuclei": step(Oracle(), channel="dna"),
        "cells": step(Oracle(), channel="reporter", link="nuclei"),
        "cytoplasm": step(ExpressionSegmenter(), expression="cells - nuclei"),
    }
    (one,) = segment_fields([FieldWork(images)], steps)
    cells = scene(x="222333 222333 222333 ....5.")["x"]
    np.testing.assert_array_equal(one.labels["cells"], cells)
    np.testing.assert_array_equal(one.labels["cytoplasm"], np.where(one.labels["nuclei"], 0, cells))
    assert one.facts["cells"] == {
        "objects": 3, "touching_border": 3, "dropped_at_border": 0, "orphans": 1, "primary_without": 0,
    }  # fmt: skip
    assert one.facts["nuclei"]["orphans"] == 0


def test_sets_that_are_not_linked_never_share_a_number() -> None:
    images = scene(dna="11.22", reporter="1.2.3")
    steps = {name: step(Oracle(), channel=role) for name, role in (("a", "dna"), ("b", "reporter"), ("c", "dna"))}
    steps["d"] = step(Oracle(), channel="reporter", link="a")
    (one,) = segment_fields([FieldWork(images)], steps)
    numbers = {name: set(np.unique(labels)) - {0} for name, labels in one.labels.items()}
    assert numbers == {"a": {1, 2}, "b": {3, 4, 5}, "c": {6, 7}, "d": {1, 2, 8}}
    assert one.facts["d"]["orphans"] == 1
    assert one.facts["b"]["primary_without"] == 2


def test_a_primary_object_at_the_frame_is_dropped_with_what_belongs_to_it() -> None:
    images = scene(dna="2.... ...3. .....", reporter="22.33 22.33 .....")
    steps = {
        "nuclei": step(Oracle(), border="drop"),
        "cells": step(Oracle(), channel="reporter", link="nuclei"),
        "cytoplasm": step(ExpressionSegmenter(), expression="cells - nuclei"),
        "other": step(Oracle(), channel="reporter"),
    }
    (one,) = segment_fields([FieldWork(images)], steps)
    for name in ("nuclei", "cells", "cytoplasm"):
        assert set(np.unique(one.labels[name])) == {0, 3}, name
    assert one.labels["other"].max() == 6
    assert one.facts["nuclei"] == {
        "objects": 1, "touching_border": 1, "dropped_at_border": 1, "orphans": 0, "primary_without": 0,
    }  # fmt: skip
    assert one.facts["cells"]["dropped_at_border"] == 1


def test_cells_do_not_grow_into_a_neighbour_that_is_dropped() -> None:
    nuclei = np.zeros((9, 20), np.int32)
    nuclei[3:6, 0:3], nuclei[3:6, 9:12] = 1, 2
    images = {"dna": nuclei, "reporter": np.ones((9, 20), np.float32)}
    params = {"threshold": "none", "max_distance_px": 3}
    kept = segment_field(images, {"nuclei": step(Oracle()), "cells": step(PropagateSegmenter(), **params)})
    steps = {"nuclei": step(Oracle(), border="drop"), "cells": step(PropagateSegmenter(), **params)}
    dropped = segment_field(images, steps)
    np.testing.assert_array_equal(dropped["cells"] == 2, kept["cells"] == 2)
    assert set(np.unique(dropped["cells"])) == {0, 2}


def test_dropping_cells_at_the_frame_leaves_their_nuclei() -> None:
    images = scene(dna="..... .2..3 .....", reporter="..... 222.3 .....")
    steps = {
        "nuclei": step(Oracle()),
        "cells": step(Oracle(), channel="reporter", link="nuclei", border="drop"),
    }
    found = segment_field(images, steps)
    assert set(np.unique(found["nuclei"])) == {0, 2, 3}
    assert not found["cells"].any()


def test_memory_counts_all_streams_and_the_fields_they_hold() -> None:
    plain, pooled = Oracle(), Pooled()
    assert fields_in_flight({"a": step(plain), "b": step(plain)}, (5, 5)) == 1
    assert fields_in_flight({"a": step(pooled, fields=4), "b": step(plain), "c": step(pooled)}, (5, 5)) == 6
    assert working_bytes({"a": step(plain), "b": step(plain)}, (5, 5)) == 50
    assert working_bytes({"a": step(pooled), "b": step(plain), "c": step(pooled)}, (5, 5)) == 150


def test_bare_parameters_have_the_default_options() -> None:
    images = {**work(1).images}
    steps = {
        "nuclei": (Oracle(), OracleParams()),
        "cells": (PropagateSegmenter(), PropagateParams(threshold="none")),
        "rest": (ExpressionSegmenter(), ExpressionParams(expression="cells - nuclei")),
    }
    assert set(np.unique(segment_field(images, steps)["rest"])) == {0, 1}


def test_link_is_for_objects_found_on_their_own() -> None:
    with pytest.raises(ValidationError, match="keep the numbers of nuclei"):
        step(PropagateSegmenter(), link="nuclei")
    with pytest.raises(ValidationError, match="keep the numbers of cells"):
        step(ExpressionSegmenter(), expression="cells - nuclei", link="nuclei")
    assert step(Oracle(), link="nuclei")[1].needs == ("nuclei",)


def test_an_error_of_a_field_is_raised_for_a_single_field() -> None:
    with pytest.raises(HtsError, match="a field that can be segmented"):
        segment_field(work(-1).images, {"nuclei": step(Oracle())})
