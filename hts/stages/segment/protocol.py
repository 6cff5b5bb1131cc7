"""What a segmenter is, what it is given and what it gives back.

A segmenter is a class with a name, a version (raised when its numbers change), a frozen parameter
model ``Params`` and one pure function. Others add theirs through the entry-point group
``hts.segmenters``; ours are registered the same way.

Beyond :class:`Segmenter` it may have any of these; the engine asks whether they are there:

``segment_stream(fields, params, context) -> Iterator[Found]``
    instead of calling `segment` field by field: a generator that takes a lazy iterator of :class:`FieldWork` and yields
    one :class:`Found` a field, in their order. It may take several fields before it yields the first, as many as
    ``fields_in_flight(params, shape) -> int`` says; that is how blocks of many fields fill one batch.
``identity(params) -> dict``
    plain JSON of all that decides the numbers: parameters that matter, the hash of the weights, versions of libraries.
    It stands for the parameters in the fingerprint. Called before anything runs, and for every well, it raises what is
    wrong with a model that is absent or damaged.
``packages``
    names of the distributions whose versions the report states.
``survey_scopes(params) -> tuple[str, ...]`` and ``survey(scope, fields, params, context) -> dict``
    facts of a whole ``plate`` or ``well`` that every field needs (a diameter, limits of normalisation), as plain JSON,
    from a lazy iterator of :class:`FieldWork`. Of a plate it sees a sample of ``sample_fields`` fields (16 when it does
    not say) of all wells, once for all wells; of a well all fields. They come back in the context.

``Params`` may have a property ``needs_pixel_size``: true when a parameter is in µm. A plate without pixel size is
refused then before anything runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hts.errors import HtsError

Images = Mapping[str, NDArray[Any]]
Labels = Mapping[str, NDArray[np.int32]]
Steps = Mapping[str, tuple["Segmenter", Any]]
"""By object set its segmenter and parameters, in an order that satisfies ``needs``."""


class Segmenter(Protocol):
    """What the engine needs of a segmenter.

    ``Params`` is a frozen pydantic model with a ``method`` key and the properties ``roles`` (channel
    roles it reads) and ``needs`` (object sets it starts from; its objects keep the numbers of the first).
    """

    version: int
    Params: type[Any]

    def segment(self, images: Images, labels: Labels, params: Any) -> NDArray[np.int32]:
        """Label image (Y, X), int32: 0 outside, objects numbered from 1.

        Parameters
        ----------
        images : planes (Y, X) by channel role.
        labels : label images (Y, X) of the object sets already made.
        params : an instance of ``Params``.
        """
        ...

    def working_bytes(self, params: Any, shape: tuple[int, int]) -> int:
        """Most memory `segment` needs beyond its input, for a field of `shape`."""
        ...


@dataclass(frozen=True)
class StepContext:
    """What a segmenter is told beyond its parameters.

    ``plate`` and ``well`` are the facts of its own survey; ``threads`` how many CPU threads a field may use.
    """

    threads: int = 1
    plate: Mapping[str, Any] = field(default_factory=dict)
    well: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """What a segmenter made of one field: its labels (Y, X) int32, or the error that costs this field.

    ``facts`` are plain JSON, one value a name, that the quality table and the report show: ``model``,
    ``weights_sha256``, ``diameter_px``, ``device``, ``precision``, ``batch_halvings``, ``nan_pixels``, ``notes``
    (a list of sentences) …
    """

    labels: NDArray[np.int32] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    error: HtsError | None = None


@dataclass
class FieldWork:
    """One field on its way through the steps.

    images : planes (Y, X) by channel role.
    labels : label images (Y, X) int32 of the object sets made so far.
    pixel_size_um : edge of a pixel, None when the plate does not say.
    key : whatever tells the caller which field it is.
    facts : by object set what is told of it.
    is_whole : false for a part of a field, which has no frame of its own: nothing is dropped or counted there.
    error : why there is no result; the field passes the remaining steps untouched.
    """

    images: Images
    labels: dict[str, NDArray[np.int32]] = field(default_factory=dict)
    pixel_size_um: float | None = None
    key: Any = None
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    error: HtsError | None = None
    is_whole: bool = True

    def fail(self, error: HtsError) -> None:
        """Give the field up and let go of its pixels."""
        self.error = error
        self.release()

    def release(self) -> None:
        """Let go of the pixels: whoever made the field may hold it while the next one is computed."""
        self.images, self.labels = {}, {}
