"""From the planes of a field to what a network takes, and from its outputs to objects."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from hts.arrays import to_gpu
from hts.errors import StageError
from hts.stages.segment import Images
from hts.stages.segment.blocks import BlockGrid, block_grid, seam_lines
from hts.stages.segment.flows import FlowParams, masks_from_flows
from hts.stages.segment.networks.adapter import Network
from hts.stages.segment.networks.batches import BatchRecord, FieldOutput, PreparedField, as_tensor, run_pooled
from hts.stages.segment.networks.size import Diameter, Looked, SizeModel, estimate_diameter
from hts.stages.segment.normalize import limits, normalize, spanning_limits
from hts.stages.segment.resize import resize, resized_shape
from hts.stages.segment.stitch.audit import audit_lines

if TYPE_CHECKING:
    from hts.stages.segment.cellpose import Calibration, CellposeParams

BRIGHTEST = 20.0
"""Normalised pixels are cut to this many spans of the percentiles, as those of the training scenes are."""
_STEPS = 200
"""Steps along the flows at the scale of the network; more where the image is larger (cellpose 3, ``eval``)."""


@dataclass(frozen=True)
class Scaled:
    """A field at the network's scale: ``image`` (channels, Y, X) float32, `factor` times the size of ``shape``.

    ``image`` is None where the main channel has no contrast: there is nothing to look for.
    """

    image: torch.Tensor | None
    grid: BlockGrid | None
    shape: tuple[int, int]
    factor: float
    n_invalid: int
    diameter: Diameter


@dataclass(frozen=True)
class Job:
    """Settings, network and calibration that all fields of a stream share."""

    params: CellposeParams
    network: Network
    calibration: Calibration | None
    size_model: SizeModel | None
    threads: int | None = None

    def prepare(self, images: Images) -> Scaled:
        """A field at the scale that its diameter asks for.

        Raises
        ------
        StageError
            when a plane is missing, of another shape or not of numbers, or its diameter is unknown.
        """
        planes = self._planes(images)
        return self._scale(planes, self._diameter(images))

    def stream(
        self, fields: Iterable[tuple[Any, Images]], order: deque[tuple[Any, Scaled | StageError]]
    ) -> Iterator[PreparedField | None]:
        """The fields for the network, None for those it need not see; all are noted in `order`, with their errors."""
        for key, images in fields:
            try:
                scaled = self.prepare(images)
            except StageError as error:
                order.append((key, error))
                yield None
                continue
            order.append((key, scaled))
            if scaled.image is None or scaled.grid is None:
                yield None
            else:
                yield PreparedField(key, scaled.image, scaled.grid)

    def labels(self, scaled: Scaled, output: FieldOutput) -> NDArray[np.int32]:
        """Objects (Y, X) int32 at the resolution of the image, from the outputs at that of the network."""
        full = resize(output.outputs, scaled.shape)
        return self._masks(full, max(1, round(_STEPS / scaled.factor)))

    def facts(self, scaled: Scaled, record: BatchRecord, labels: NDArray[np.int32] | None = None) -> dict[str, Any]:
        """How a field was segmented, for records and reports; with the seam audit of its labels, if it has seams."""
        seams: dict[str, Any] = {}
        if labels is not None and scaled.grid is not None and len(scaled.grid) > 1:
            rows, columns = (seam_lines(scaled.grid, axis, scaled.factor) for axis in (0, 1))
            seams = {"seams": audit_lines(labels, (rows[0], columns[0]), (rows[1], columns[1])).to_json()}
        return seams | {
            "model": self.network.name,
            "sha256": self.network.sha256,
            "device": self.network.device.type,
            "precision": self.network.precision,
            "diameter_px": scaled.diameter.px,
            "diameter_source": scaled.diameter.source,
            "blank": scaled.image is None,
            "invalid_pixels": scaled.n_invalid,
            "batch_halvings": record.halvings,
        }

    def estimate(self, sample: list[Images]) -> Diameter:
        """The diameter of the objects in a sample of fields."""
        return estimate_diameter(self._look, sample, self.network.diameter_px, self.size_model)

    def _look(self, images: Images, diameter_px: float) -> Looked:
        """Areas of the objects found as if they had this diameter, px² of the image, and the style."""
        scaled = self._scale(self._planes(images), Diameter(diameter_px, 0, "given"))
        if scaled.image is None or scaled.grid is None:
            return np.zeros(0), None
        prepared = PreparedField(None, scaled.image, scaled.grid)
        (output,) = run_pooled(self.network, [prepared], self.params.batch_size, threads=self.threads)
        if output is None:
            return np.zeros(0), None
        areas = np.bincount(self._masks(output.outputs, _STEPS, smallest_px=0).ravel())[1:] / scaled.factor**2
        return areas[areas >= self.params.min_area_px], None if output.style is None else output.style.cpu().numpy()

    def _masks(self, outputs: torch.Tensor, steps: int, smallest_px: int | None = None) -> NDArray[np.int32]:
        params = self.params
        settings = FlowParams(
            flow_threshold=params.flow_threshold,
            probability_threshold=params.probability_threshold,
            steps=steps,
            min_area_px=params.min_area_px if smallest_px is None else smallest_px,
        )
        return masks_from_flows(outputs[:2].contiguous(), outputs[2].contiguous(), settings)

    def _planes(self, images: Images) -> list[Any]:
        roles = self.params.roles
        missing = [role for role in roles if role not in images]
        if missing:
            raise StageError(
                f"a plane of {missing[0]} in this field", found=f"planes of {', '.join(images) or 'nothing'}"
            )
        planes = [images[role] for role in roles]
        shapes = [tuple(plane.shape) for plane in planes]
        if len(shapes[0]) != 2 or len(set(shapes)) > 1:
            raise StageError("planes (Y, X) of one shape", found=" and ".join(map(str, shapes)))
        if len(planes) > self.network.channels:
            raise StageError(
                f"{self.network.name} takes {self.network.channels} channel(s)",
                found=f"{len(planes)}: {', '.join(roles)}",
                fix="leave out the key nucleus, or choose a model that takes two channels",
            )
        return planes

    def _diameter(self, images: Images) -> Diameter:
        params, calibration = self.params, self.calibration
        if calibration is not None:
            return Diameter(calibration.diameter_px, calibration.n_objects, calibration.source)
        if params.diameter_px is not None:
            return Diameter(params.diameter_px, 0, "given")
        if params.diameter_um is not None:
            raise StageError(
                f"a pixel size, to know how many pixels a diameter of {params.diameter_um} µm has",
                found="none",
                fix="hts convert --pixel-size-um, or give diameter_px",
            )
        return self.estimate([images])

    def _scale(self, planes: list[Any], diameter: Diameter) -> Scaled:
        """Normalise and resize; absent channels are zeros."""
        given = self.calibration.limits if self.calibration is not None else {}
        factor = self.network.diameter_px / diameter.px
        shape = (int(planes[0].shape[0]), int(planes[0].shape[1]))
        if self.params.normalize != "image" and not all(role in given for role in self.params.roles):
            raise StageError(
                f"limits of all images of the {self.params.normalize}, as normalize: {self.params.normalize} asks for",
                found="none",
                fix="normalize: image, where a field is segmented by itself",
            )
        device, n_invalid = self.network.device, 0
        ready: list[torch.Tensor] = []
        for role, plane in zip(self.params.roles, planes, strict=True):
            there = to_gpu(plane) if device.type == "cuda" else plane
            used = given.get(role) or spanning_limits(there)
            n_invalid += limits(there).n_invalid if role in given else used.n_invalid
            if not ready and used.is_constant:
                return Scaled(None, None, shape, factor, n_invalid, diameter)
            # Where objects cover less than 1 % of a field, they are hundreds of units bright; training ended at this.
            bounded = as_tensor(normalize(there, used), device).clamp(-BRIGHTEST, BRIGHTEST)
            ready.append(bounded)
        absent = [torch.zeros_like(ready[0])] * (self.network.channels - len(ready))
        image = resize(torch.stack([*ready, *absent]), resized_shape(shape, factor))
        return Scaled(image, self._grid(image), shape, factor, n_invalid, diameter)

    def _grid(self, image: torch.Tensor) -> BlockGrid:
        network, params = self.network, self.params
        overlap_px = params.overlap_px if params.overlap_px is not None else round(2 * network.diameter_px)
        block_px = network.fixed_block_px or params.block_px
        shape = (int(image.shape[1]), int(image.shape[2]))
        return block_grid(shape, block_px, overlap_px, network.multiple, network.fixed_block_px is not None)
