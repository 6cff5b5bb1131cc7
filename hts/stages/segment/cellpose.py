"""Objects by the networks of Cellpose: settings, and the segmenter for single fields and for streams of fields."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from hts.errors import StageError
from hts.stages.segment import Images, Labels
from hts.stages.segment.normalize import Distribution, Limits, distribution, pooled, pooled_limits

if TYPE_CHECKING:
    from hts.stages.segment.networks.batches import BatchRecord
    from hts.stages.segment.networks.fields import Job
    from hts.stages.segment.networks.weights import Weights

_OUTPUT_BYTES = 160
"""Per pixel of the field: outputs at both scales, normalised planes, and what post-processing needs."""
_UNET_BYTES = 64
"""Per pixel of a batch and channel of the finest level of a residual U-Net, float32."""
_TRANSFORMER_BYTES = 4096
_BLOCK_MULTIPLE = 8


class CellposeParams(BaseModel):
    """Settings of ``method: cellpose``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["cellpose"] = "cellpose"
    model: str = Field(
        "builtin:nuclei",
        description="builtin:nuclei, builtin:cells, a model of the library that was pulled (cyto3, cpsam), or a file",
    )
    channel: str = Field("dna", description="role of the channel whose objects are wanted")
    nucleus: str | None = Field(None, description="role of the channel of nuclei, for models of cells that take two")
    diameter_px: float | None = Field(
        None, gt=1, description="typical diameter of an object; estimated from a sample of fields when not given"
    )
    diameter_um: float | None = Field(None, gt=0, description="the same in µm, for plates with a pixel size")
    flow_threshold: float = Field(
        0.4, ge=0, description="objects whose shape disagrees more with the flows are dropped; 0: none"
    )
    probability_threshold: float = Field(
        0.0, description="logit from which a pixel is inside; lower finds more and larger objects"
    )
    min_area_px: int = Field(15, ge=0, description="smaller objects are dropped")
    normalize: Literal["image", "well", "plate"] = Field(
        "image", description="1st and 99th percentile of each image, or of all images of its well or plate"
    )
    clear_border: bool = Field(False, description="drop objects that touch the frame")
    block_px: int = Field(1024, ge=64, description="largest edge of the blocks given to the network, at its scale")
    overlap_px: int | None = Field(None, ge=0, description="overlap of blocks; twice the diameter when not given")
    batch_size: int | None = Field(None, ge=1, description="blocks run together; as fits the device when not given")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto takes a GPU where there is one")
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="auto: mixed precision on a GPU, float32 on a CPU"
    )

    @model_validator(mode="after")
    def _one_diameter(self) -> CellposeParams:
        if self.diameter_px is not None and self.diameter_um is not None:
            raise ValueError("diameter_px or diameter_um, not both")
        if self.nucleus is not None and self.nucleus == self.channel:
            raise ValueError("nucleus is the role of a second channel")
        return self

    @property
    def roles(self) -> tuple[str, ...]:
        return (self.channel,) if self.nucleus is None else (self.channel, self.nucleus)

    @property
    def needs(self) -> tuple[str, ...]:
        return ()


@dataclass(frozen=True)
class Calibration:
    """What was found out on a sample of fields before the plate or well is segmented.

    ``diameter_px`` of the objects in pixels of the images, with its source and the number of objects behind it;
    ``limits`` by role, where images are normalised together.
    """

    diameter_px: float
    source: str = "given"
    n_objects: int = 0
    limits: Mapping[str, Limits] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, for fingerprints and reports."""
        return {
            "diameter_px": self.diameter_px,
            "source": self.source,
            "n_objects": self.n_objects,
            "limits": {role: [float(found.low), float(found.high)] for role, found in self.limits.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Calibration:
        """The inverse of `to_json`."""
        found = {role: Limits(float(low), float(high)) for role, (low, high) in data["limits"].items()}
        return cls(float(data["diameter_px"]), str(data["source"]), int(data["n_objects"]), found)


@dataclass(frozen=True)
class Segmented:
    """What came of a field of a stream: ``labels`` (Y, X) int32, or the ``error`` that cost it; ``record`` says how."""

    key: Any
    labels: NDArray[np.int32] | None
    error: StageError | None = None
    record: Mapping[str, Any] = field(default_factory=dict)


class CellposeSegmenter:
    """A network says where each pixel's object is; pixels that flow to one place are one object.

    C. Stringer, T. Wang, M. Michaelos and M. Pachitariu, Nature Methods 18 (2021). Images are normalised by percentiles
    and resized so that objects have the network's diameter; blocks of all fields of a stream share batches; outputs are
    blended over the blocks of a field and become objects once, at the resolution of the image.
    """

    version = 1
    Params = CellposeParams

    def segment(
        self, images: Images, labels: Labels, params: CellposeParams, calibration: Calibration | None = None
    ) -> NDArray[np.int32]:
        """Label image (Y, X) int32 of one field, objects numbered 1…n in raster order.

        Without a calibration and a diameter, the diameter is estimated from the image itself.

        Raises
        ------
        StageError
            when a plane is missing, of another shape or not of numbers; when the weights cannot be used.
        NotFoundError
            when there are no such weights.
        """
        (done,) = self.segment_stream([(None, images)], params, calibration)
        if done.labels is None:
            raise done.error or StageError("labels of the field")
        return done.labels

    def segment_stream(
        self,
        fields: Iterable[tuple[Any, Images]],
        params: CellposeParams,
        calibration: Calibration | None = None,
        threads: int | None = None,
    ) -> Iterator[Segmented]:
        """Segment many fields, in order; their blocks are pooled into full batches.

        Parameters
        ----------
        fields : key and planes by role of each field; read as they are needed.
        calibration : of `calibrate`; without one, each field is by itself.
        threads : CPU threads to compute with; those of torch when not given.

        Raises
        ------
        StageError
            when no field can be segmented: weights, device, memory. What costs one field is in its result.
        """
        from hts.stages.segment.networks.batches import BatchRecord, run_pooled

        job, record, order = _job(params, calibration, threads), BatchRecord(), deque[tuple[Any, Any]]()
        for output in run_pooled(job.network, job.stream(fields, order), params.batch_size, record, threads):
            yield from _without_output(job, record, order)
            key, scaled = order.popleft()
            yield Segmented(key, job.labels(scaled, output), None, job.facts(scaled, record))
        yield from _without_output(job, record, order)

    def calibrate(
        self,
        sample: Iterable[Images],
        params: CellposeParams,
        pixel_size_um: float | None = None,
        threads: int | None = None,
    ) -> Calibration:
        """What has to be known of a plate (or well) before its fields are segmented, from a sample of them.

        The diameter is the one given, in px or by `pixel_size_um`, or the median of the objects found in the sample
        (``networks.size``). With ``normalize`` other than image, the limits are those of the sample's images together.

        Raises
        ------
        StageError
            when a diameter in µm is given for images without a pixel size, or sample or weights cannot be used.
        """
        images = list(sample)
        found = {} if params.normalize == "image" else self.pooled_limits(images, params)
        if params.diameter_px is not None:
            return Calibration(params.diameter_px, limits=found)
        if params.diameter_um is not None:
            if not pixel_size_um:
                raise StageError(
                    f"a pixel size, to know how many pixels a diameter of {params.diameter_um} µm has",
                    found="a plate without one",
                    fix="hts convert --pixel-size-um, or give diameter_px",
                )
            return Calibration(params.diameter_um / pixel_size_um, limits=found)
        by_itself = params.model_copy(update={"normalize": "image"})
        estimate = _job(by_itself, None, threads).estimate(images)
        return Calibration(estimate.px, estimate.source, estimate.n_objects, found)

    def pooled_limits(self, fields: Iterable[Images], params: CellposeParams) -> dict[str, Limits]:
        """Limits by role of all images of `fields` together; in memory there is one field at a time."""
        together: dict[str, Distribution] = {}
        for images in fields:
            for role in params.roles:
                if role in images:
                    parts = [together[role]] if role in together else []
                    together[role] = pooled([*parts, distribution(images[role])])
        return {role: pooled_limits([found]) for role, found in together.items()}

    def identity(self, params: CellposeParams) -> dict[str, Any]:
        """What decides the labels: the parameters that matter, and the content of the weights instead of their name.

        Device, batch size and where the weights lie are left out: they may change between runs of one result.
        """
        weights = _weights(params.model)
        kept = params.model_dump(mode="json", exclude={"model", "device", "batch_size"})
        return {**kept, "weights": weights.sha256, "training_diameter_px": weights.diameter_px}

    def working_bytes(self, params: CellposeParams, shape: tuple[int, int]) -> int:
        """Memory for one field of `shape` on a CPU; an unknown diameter counts as the network's."""
        weights = _weights(params.model)
        factor = weights.diameter_px / params.diameter_px if params.diameter_px else 1.0
        field_px = shape[0] * shape[1]
        scaled_px = int(field_px * factor**2) + 1
        edge_px = params.block_px + _BLOCK_MULTIPLE
        batch_px = min(scaled_px + edge_px * _BLOCK_MULTIPLE, edge_px**2) * (params.batch_size or 1)
        per_px = _UNET_BYTES * weights.width if weights.kind == "unet" else _TRANSFORMER_BYTES
        return per_px * batch_px + _OUTPUT_BYTES * max(field_px, scaled_px) + 2 * weights.path.stat().st_size


def _without_output(job: Job, record: BatchRecord, order: deque[tuple[Any, Any]]) -> Iterator[Segmented]:
    """The fields at the head that the network did not see: those that failed, and the blank ones."""
    while order and (isinstance(order[0][1], StageError) or order[0][1].image is None):
        key, scaled = order.popleft()
        if isinstance(scaled, StageError):
            yield Segmented(key, None, scaled)
        else:
            yield Segmented(key, np.zeros(scaled.shape, np.int32), None, job.facts(scaled, record))


def _weights(model: str) -> Weights:
    from hts.stages.segment.networks.weights import find_weights

    return find_weights(model)


def _job(params: CellposeParams, calibration: Calibration | None, threads: int | None) -> Job:
    from hts.stages.segment.networks.adapter import load_network
    from hts.stages.segment.networks.fields import Job
    from hts.stages.segment.networks.size import size_model_of

    weights = _weights(params.model)
    network = load_network(weights, params.device, params.precision)
    return Job(params, network, calibration, size_model_of(weights), threads)
