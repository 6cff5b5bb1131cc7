"""A segmenter for tests of the engine, with everything that one may have; it calls bright pixels objects."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy import ndimage

from hts.errors import NotFoundError, StageError
from hts.recipe import plugins
from hts.stages.segment import FieldWork, Found, StepContext

MODELS = {"small": "aa" * 32, "large": "bb" * 32}


class OracleParams(BaseModel):
    """Settings of ``method: oracle``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["oracle"] = "oracle"
    channel: str = "dna"
    model: str = "small"
    diameter_px: float | None = 20.0
    diameter_um: float | None = None
    normalize: Literal["image", "well"] = "image"
    device: str = "cpu"

    @property
    def roles(self) -> tuple[str, ...]:
        return (self.channel,)

    @property
    def needs(self) -> tuple[str, ...]:
        return ()

    @property
    def needs_pixel_size(self) -> bool:
        return self.diameter_um is not None


class Oracle:
    """Objects are what is brighter than the limit of the well or of the field; ``calls`` notes what was asked."""

    version = 1
    Params = OracleParams
    packages = ("scipy",)
    sample_fields = 3
    calls: ClassVar[list[str]] = []
    refused: ClassVar[set[int]] = set()
    """Fields, by the number of their first pixel, that cannot be segmented."""

    def identity(self, params: OracleParams) -> dict[str, Any]:
        if params.model not in MODELS:
            raise NotFoundError(f"a model {params.model}", found="none", fix=f"hts models pull {params.model}")
        return {**params.model_dump(mode="json", exclude={"device", "model"}), "weights": MODELS[params.model]}

    def segment(self, images: Any, labels: Any, params: OracleParams) -> NDArray[np.int32]:
        raise AssertionError("the stream is used instead")

    def working_bytes(self, params: OracleParams, shape: tuple[int, int]) -> int:
        return 64 * shape[0] * shape[1]

    def fields_in_flight(self, params: OracleParams, shape: tuple[int, int]) -> int:
        return 2

    def survey_scopes(self, params: OracleParams) -> tuple[str, ...]:
        plate = ("plate",) if params.diameter_px is None and params.diameter_um is None else ()
        return (*plate, "well") if params.normalize == "well" else plate

    def survey(
        self, scope: str, fields: Iterator[FieldWork], params: OracleParams, context: StepContext
    ) -> dict[str, Any]:
        maxima = [int(work.images[params.channel].max()) for work in fields]
        self.calls.append(f"{scope} {len(maxima)}")
        if not maxima:
            raise StageError("fields to survey", found="none")
        return {"diameter_px": 17.5, "n": len(maxima)} if scope == "plate" else {"limit": max(maxima) / 2}

    def segment_stream(
        self, fields: Iterator[FieldWork], params: OracleParams, context: StepContext
    ) -> Iterator[Found]:
        batch: list[FieldWork] = []
        for work in fields:
            batch.append(work)
            if len(batch) == 2:
                yield from (self._found(one, params, context) for one in batch)
                batch = []
        yield from (self._found(one, params, context) for one in batch)

    def _found(self, work: FieldWork, params: OracleParams, context: StepContext) -> Found:
        image = work.images[params.channel]
        if int(image.flat[0]) in self.refused:
            return Found(error=StageError("a field that can be segmented", found=str(image.flat[0])))
        limit = context.well.get("limit", (int(image.max()) + int(image.min())) / 2)
        labels, _ = ndimage.label(image > limit)
        facts = {
            "model": params.model,
            "weights_sha256": MODELS[params.model],
            "diameter_px": context.plate.get("diameter_px", params.diameter_px),
            "device": params.device,
            "nan_pixels": 0,
            "limits": {"dna": limit},
            "threads": context.threads,
        }
        return Found(labels.astype(np.int32), facts)


@pytest.fixture
def oracle(monkeypatch: pytest.MonkeyPatch) -> type[Oracle]:
    """The oracle as an installed segmenter of this process."""
    monkeypatch.setattr(Oracle, "calls", [])
    monkeypatch.setattr(Oracle, "refused", set())
    known = plugins._points("hts.segmenters")
    point = EntryPoint("oracle", "tests.engine.oracle:Oracle", "hts.segmenters")
    points = {"hts.segmenters": {**known, "oracle": point}}
    before = plugins._points
    monkeypatch.setattr(plugins, "_points", lambda group: points.get(group) or before(group))
    plugins.load_plugin.cache_clear()
    yield Oracle
    plugins.load_plugin.cache_clear()
