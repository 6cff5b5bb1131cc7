"""``method: cellpose`` on plates: fields as a stream, the diameter and limits of normalisation from plate and well."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hts.errors import HtsError, StageError
from hts.stages.segment.cellpose import Calibration, CellposeParams, CellposeSegmenter
from hts.stages.segment.normalize import Limits
from hts.stages.segment.protocol import FieldWork, Found, Images, Labels, StepContext

_FIELD_BYTES = 64
"""Per pixel of a field that waits for a batch: its planes at the network's scale and the outputs being blended."""
_STREAM_BYTES = 1 << 30
"""Fields wait for a full batch in this much memory; beyond it a batch is run as it is."""
_MAX_FIELDS = 64
_FACTS = {"sha256": "weights_sha256", "invalid_pixels": "nan_pixels"}


class CellposePlateSegmenter:
    """:class:`CellposeSegmenter` as the engine uses it; see :mod:`hts.stages.segment.protocol`.

    Without a diameter the median of the objects in a sample of the plate's fields counts for all its wells.
    """

    version = CellposeSegmenter.version
    Params = CellposeParams
    packages = ("torch", "cellpose")

    def __init__(self) -> None:
        self._network = CellposeSegmenter()

    def segment(self, images: Images, labels: Labels, params: CellposeParams) -> NDArray[np.int32]:
        """Label image (Y, X) int32 of one image by itself."""
        return self._network.segment(images, labels, params)

    def identity(self, params: CellposeParams) -> dict[str, Any]:
        """The hash of the weights and the parameters that matter."""
        return self._network.identity(params)

    def fields_in_flight(self, params: CellposeParams, shape: tuple[int, int]) -> int:
        """Fields of `shape` that wait for a batch together."""
        return int(np.clip(_STREAM_BYTES // (_FIELD_BYTES * max(1, shape[0] * shape[1])), 2, _MAX_FIELDS))

    def working_bytes(self, params: CellposeParams, shape: tuple[int, int]) -> int:
        """Memory for the network, its batch, and the fields that wait for it."""
        waiting = self.fields_in_flight(params, shape) * _FIELD_BYTES * shape[0] * shape[1]
        return self._network.working_bytes(params, shape) + waiting

    def survey_scopes(self, params: CellposeParams) -> tuple[str, ...]:
        """``plate`` for an unknown diameter or limits of the plate, ``well`` for limits of the well."""
        unknown = params.diameter_px is None and params.diameter_um is None
        plate = ("plate",) if unknown or params.normalize == "plate" else ()
        return (*plate, "well") if params.normalize == "well" else plate

    def survey(
        self, scope: str, fields: Iterator[FieldWork], params: CellposeParams, context: StepContext
    ) -> dict[str, Any]:
        """Diameter and limits as plain JSON; see :meth:`CellposeSegmenter.calibrate`."""
        if scope == "well":
            limits = self._network.pooled_limits((work.images for work in fields), params)
            return {"limits": {role: [found.low, found.high] for role, found in limits.items()}}
        if params.normalize == "well":
            params = params.model_copy(update={"normalize": "image"})
        sample = list(fields)
        if not sample:
            raise StageError("fields of the plate that can be read, to estimate the diameter", found="none")
        sizes = [work.pixel_size_um for work in sample]
        found = self._network.calibrate((work.images for work in sample), params, sizes[0], context.threads)
        return found.to_json()

    def segment_stream(
        self, fields: Iterator[FieldWork], params: CellposeParams, context: StepContext
    ) -> Iterator[Found]:
        """Blocks of all fields in full batches; for a diameter in µm all fields of a stream have one pixel size."""
        first = next(fields, None)
        if first is None:
            return
        wrong: dict[int, HtsError] = {}

        def given() -> Iterator[tuple[int, Images]]:
            for number, work in enumerate(itertools.chain([first], fields)):
                if params.diameter_um is not None and work.pixel_size_um != first.pixel_size_um:
                    wrong[number] = _other_pixels(work, first)
                yield number, {} if number in wrong else work.images

        calibration = _calibration(params, context, first.pixel_size_um)
        shape = next(iter(first.images.values())).shape
        held = self.fields_in_flight(params, (shape[0], shape[1]))
        for done in self._network.segment_stream(given(), params, calibration, context.threads, held):
            facts = {_FACTS.get(key, key): value for key, value in done.record.items()}
            yield Found(done.labels, facts, wrong.pop(done.key, done.error))


def _calibration(params: CellposeParams, context: StepContext, pixel_size_um: float | None) -> Calibration | None:
    """What is known before the fields: from the surveys, else from the parameters."""
    limits = _limits(context.plate) | _limits(context.well)
    if "diameter_px" in context.plate:
        plate = {**context.plate, "limits": {}}
        return Calibration(**{**vars(Calibration.from_json(plate)), "limits": limits})
    if params.diameter_px is not None:
        return Calibration(params.diameter_px, limits=limits)
    if params.diameter_um is not None and pixel_size_um:
        return Calibration(params.diameter_um / pixel_size_um, limits=limits)
    return None


def _limits(facts: Mapping[str, Any]) -> dict[str, Limits]:
    return {role: Limits(float(low), float(high)) for role, (low, high) in facts.get("limits", {}).items()}


def _other_pixels(work: FieldWork, first: FieldWork) -> StageError:
    return StageError(
        f"fields of one pixel size in a well, {first.pixel_size_um} µm, for a diameter in µm",
        found=f"{work.pixel_size_um} µm",
        fix="convert the plate again with --pixel-size-um, or give diameter_px",
    )
