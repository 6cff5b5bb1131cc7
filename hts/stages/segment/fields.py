"""Fields through the steps of a recipe: lazily, in order, each with its own error."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hts.errors import HtsError, SourceError, StageError
from hts.stages.segment.objects import link, numbered_above, object_areas, outside_others, touching_frame, without
from hts.stages.segment.options import numbers_from, options
from hts.stages.segment.protocol import FieldWork, Found, Images, Labels, Segmenter, StepContext, Steps


def segment_field(images: Images, steps: Steps) -> dict[str, NDArray[np.int32]]:
    """Run the steps in order on one field; each sees the images and the object sets made before it.

    Parameters
    ----------
    images : planes (Y, X) by channel role.
    steps : by object set its segmenter and parameters, in an order that satisfies ``needs``.

    Raises
    ------
    StageError
        when the field cannot be segmented.
    """
    (work,) = segment_fields([FieldWork(images)], steps)
    if work.error is not None:
        raise work.error
    return work.labels


def segment_fields(
    fields: Iterable[FieldWork], steps: Steps, contexts: Mapping[str, StepContext] | None = None
) -> Iterator[FieldWork]:
    """Run the steps on a stream of fields; they come back in their order, with labels, facts or an error.

    Nothing is taken from `fields` before a result is asked for, and no more than the segmenters' ``fields_in_flight``
    are held. A field with an error passes; it costs only itself.

    Parameters
    ----------
    fields : the fields; they are changed in place.
    steps : by object set its segmenter and parameters, in an order that satisfies ``needs``.
    contexts : by object set what its segmenter is told beyond its parameters.
    """
    stream = iter(fields)
    for name, (segmenter, params) in steps.items():
        stream = _step(stream, name, (segmenter, params), (contexts or {}).get(name, StepContext()))
    for work in stream:
        if work.error is None and work.is_whole:
            _finish(work, steps)
        yield work
        # Here and below: what is done is let go before the next field is taken.
        del work


def fields_in_flight(steps: Steps, shape: tuple[int, int]) -> int:
    """Most fields that the steps hold at once, one behind the other."""
    return 1 + sum(_held(segmenter, params, shape) - 1 for segmenter, params in steps.values())


def working_bytes(steps: Steps, shape: tuple[int, int]) -> int:
    """Most memory that the steps need beyond the fields: all streams live at once, of the others one at a time."""
    needs = [(s.working_bytes(params, shape), hasattr(s, "segment_stream")) for s, params in steps.values()]
    streams = sum(size for size, is_stream in needs if is_stream)
    return streams + max((size for size, is_stream in needs if not is_stream), default=0)


def _held(segmenter: Segmenter, params: Any, shape: tuple[int, int]) -> int:
    declared = getattr(segmenter, "fields_in_flight", None)
    return 1 if declared is None else max(1, int(declared(params, shape)))


def _step(
    fields: Iterator[FieldWork], name: str, step: tuple[Segmenter, Any], context: StepContext
) -> Iterator[FieldWork]:
    """One step on the stream; fields with an error go round it."""
    segmenter, params = step
    waiting: deque[FieldWork] = deque()

    def usable() -> Iterator[FieldWork]:
        for work in fields:
            waiting.append(work)
            if work.error is None:
                _check_held(waiting, name, step)
                yield work
            del work

    stream = getattr(segmenter, "segment_stream", None)
    results = _one_by_one(usable(), segmenter, params) if stream is None else stream(usable(), params, context)
    for found in results:
        while waiting and waiting[0].error is not None:
            yield waiting.popleft()
        if not waiting:
            raise StageError(f"the segmenter of {name} gives one result a field", found="more results than fields")
        work = waiting.popleft()
        _take(work, name, params, found)
        del found
        yield work
        del work
    while waiting and waiting[0].error is not None:
        yield waiting.popleft()
    if waiting:
        raise StageError(f"the segmenter of {name} gives one result a field", found="fewer results than fields")


def _check_held(waiting: Iterable[FieldWork], name: str, step: tuple[Segmenter, Any]) -> None:
    """The plan's memory counts on what a segmenter says that it holds."""
    live = [work for work in waiting if work.error is None]
    shape = next((image.shape for image in live[-1].images.values()), (0, 0))
    declared = _held(*step, (shape[0], shape[1]))
    if len(live) > declared:
        raise StageError(
            f"the segmenter of {name} holds at most the {declared} fields that it declares",
            found=f"it takes field {len(live)} before it gives the first result",
            fix="report it to the package that provides the segmenter",
        )


def _one_by_one(fields: Iterator[FieldWork], segmenter: Segmenter, params: Any) -> Iterator[Found]:
    for work in fields:
        try:
            found = Found(segmenter.segment(work.images, work.labels, params))
        except (StageError, SourceError) as error:
            found = Found(error=error)
        del work
        yield found
        del found


def _take(work: FieldWork, name: str, params: Any, found: Found) -> None:
    """Put a result into its field, with the numbers that the recipe wants."""
    error = found.error or _problem(found.labels, name, work)
    if error is not None or found.labels is None:
        work.fail(error or StageError(f"labels of {name}", found="neither labels nor an error"))
        return
    work.facts[name] = dict(found.facts)
    largest = max((int(labels.max(initial=0)) for labels in work.labels.values()), default=0)
    partner = options(params).link
    if partner is not None:
        work.labels[name] = outside_others(link(found.labels, work.labels[partner], largest), work.labels[partner])
    elif numbers_from(params) is None and largest:
        work.labels[name] = numbered_above(found.labels, largest)
    else:
        work.labels[name] = found.labels


def _problem(labels: Any, name: str, work: FieldWork) -> HtsError | None:
    """What is wrong with a label image of a segmenter."""
    shape = next((image.shape for image in (*work.images.values(), *work.labels.values())), None)
    if isinstance(labels, np.ndarray) and labels.dtype == np.int32 and labels.shape == (shape or labels.shape):
        return None
    given = f"{labels.dtype} of shape {labels.shape}" if isinstance(labels, np.ndarray) else type(labels).__name__
    return StageError(
        f"the segmenter of {name} gives labels of shape {shape} and type int32",
        found=given,
        fix="report it to the package that provides the segmenter",
    )


def _finish(work: FieldWork, steps: Steps) -> None:
    """Drop what the recipe does not want at the frame, and count.

    That is done when all sets are there: a cell grows up against the neighbour that touches the frame, not into it.
    """
    touching = {name: touching_frame(labels) for name, labels in work.labels.items()}
    areas = {name: object_areas(labels) for name, labels in work.labels.items()}
    made = {name: np.count_nonzero(area) for name, area in areas.items()}
    for name, dropped in border_drops(touching, steps).items():
        for ids in dropped:
            work.labels[name] = without(work.labels[name], ids)
            areas[name][ids[ids < areas[name].size]] = 0
    primary = next(iter(steps), "")
    for name in work.labels:
        kept, there = np.flatnonzero(areas[name]), np.flatnonzero(areas[primary])
        counts = {
            "objects": kept.size,
            "touching_border": touching[name].size,
            "dropped_at_border": made[name] - kept.size,
            "orphans": np.setdiff1d(kept, there, assume_unique=True).size,
            "primary_without": np.setdiff1d(there, kept, assume_unique=True).size,
        }
        work.facts[name] = {**counts, **work.facts[name]}


def border_drops(touching: Labels, steps: Steps) -> dict[str, list[NDArray[np.int32]]]:
    """By object set the numbers to drop: those that touch the frame, in sets that say so and in what follows them."""
    drops: dict[str, list[NDArray[np.int32]]] = {}
    for name, (_, params) in steps.items():
        if options(params).border == "drop" and touching[name].size:
            for relative in (name, *_descendants(name, steps)):
                drops.setdefault(relative, []).append(touching[name])
    return drops


def _descendants(name: str, steps: Steps) -> list[str]:
    """Sets whose objects have the numbers of `name`, directly or through another set."""
    found = [name]
    for other, (_, params) in steps.items():
        if numbers_from(params) in found:
            found.append(other)
    return found[1:]
