"""Every kernel with its slow twin and its peer: one table for the tests and for the benchmarks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hts.stages.measure.shared.moments import object_moments
from hts.stages.segment import _kernels_normalize as kernels_normalize
from hts.stages.segment._kernels_propagate import propagate
from hts.stages.segment.flows import masks
from hts.stages.segment.flows._kernels_follow import follow, prepare_field
from hts.stages.segment.flows._kernels_heat import flow_errors
from hts.stages.segment.flows._kernels_objects import fill_holes, renumber
from hts.stages.segment.flows._kernels_sinks import count_ends, find_seeds, grow_sinks, label_points
from hts.stages.segment.flows.targets import boxes_of, flows_of_labels, heat_buffers
from hts.stages.segment.propagate import heap_buffers
from hts.stages.segment.stitch import _kernels_stitch as kernels_stitch
from tests.reference import (
    colocalization,
    distance,
    edges,
    flows,
    geodesic,
    granularity,
    intensity,
    measure,
    neighbors,
    normalize,
    outline,
    radial,
    ranks,
    runs,
    segment,
    stitch,
    texture,
)
from tests.reference.rows import KernelRow

Labels = NDArray[np.int32]


def grown(
    image: NDArray[np.float32], seeds: NDArray[np.int32], mask: NDArray[np.bool_], regularization: float
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Labels and costs of the propagation kernel; `seeds` stay as they are."""
    labels = seeds.copy()
    buffers = heap_buffers(labels.shape)
    propagate(image, labels, mask, regularization, buffers)
    return labels, buffers[2].reshape(labels.shape)


def errors_of(labels: Labels, given: NDArray[np.float32]) -> NDArray[np.float64]:
    boxes = boxes_of(labels)
    errors = np.empty(len(boxes))
    flow_errors(labels, boxes, heat_buffers(boxes), given, errors)
    return errors


def prepared(
    given: NDArray[np.float32], probability: NDArray[np.float32], threshold: float
) -> tuple[NDArray[np.float32], Labels, int]:
    rows, columns = probability.shape
    field, ends = np.empty((rows + 1, columns + 1, 2), np.float32), np.empty((rows, columns), np.int32)
    return field, ends, prepare_field(given, probability, np.float32(threshold), field, ends)


def followed(field: NDArray[np.float32], steps: int, starts: Labels) -> Labels:
    """`starts` stay as they are; seven points walk at a time."""
    ends, coordinates = starts.copy(), np.empty((4, 7), np.float32)
    follow(field, steps, masks.settling_limits(steps), (*coordinates, np.empty(7, np.int32)), ends)
    return ends


def counted(ends: Labels) -> Labels:
    counts = np.empty(ends.shape, np.int32)
    count_ends(ends, counts)
    return counts


def seeds_of(counts: Labels) -> list[int]:
    seeds = np.empty(counts.size, np.int64)
    return seeds[: find_seeds(counts, seeds)].tolist()


def sinks_of(counts: Labels, seeds: NDArray[np.int64]) -> Labels:
    owners = np.empty(counts.shape, np.int32)
    grow_sinks(counts, seeds, owners, np.empty(121, np.int64))
    return owners


def labelled(ends: Labels, owners: Labels) -> Labels:
    labels = np.empty(ends.shape, np.int32)
    label_points(ends, owners, labels)
    return labels


def renumbered(labels: Labels, kept: NDArray[np.bool_]) -> Labels:
    result = labels.copy()
    given = renumber(result, kept, np.empty(len(kept), np.int32))
    return result if given == result.max(initial=0) else np.full_like(result, -1)


def filled(labels: Labels) -> Labels:
    result, boxes = labels.copy(), boxes_of(labels)
    room = heat_buffers(boxes)[0].size
    fill_holes(result, boxes, np.empty(room, np.uint8), np.empty(room, np.int64))
    return result


def _of_flows(kernel: str, call: Callable[..., Any], twin: Callable[..., Any], dtype: type[np.generic]) -> KernelRow:
    """A row of the kernels between flows and masks; who computes the same is cellpose, with all of them at once."""
    peer = flows.cellpose_flows if kernel.endswith("flows_of_objects") else flows.cellpose_masks
    name = f"hts.stages.segment.flows._kernels_{kernel}"
    return KernelRow(name, call, twin, f"cellpose {peer.__name__}", peer, (dtype,))


KERNELS: tuple[KernelRow, ...] = (
    *runs.KERNELS,
    *outline.KERNELS,
    *distance.KERNELS,
    *granularity.KERNELS,
    *texture.KERNELS,
    *geodesic.KERNELS,
    *radial.KERNELS,
    *neighbors.KERNELS,
    *edges.KERNELS,
    *ranks.KERNELS,
    *intensity.KERNELS,
    *colocalization.KERNELS,
    KernelRow(
        kernel="hts.stages.measure.shared._kernels_moments.integer_moments",
        call=object_moments,
        twin=measure.sums,
        peer_name="scikit-image regionprops_table",
        peer=measure.scikit_image,
        dtypes=(np.uint8, np.uint16),
    ),
    KernelRow(
        kernel="hts.stages.measure.shared._kernels_moments.float_moments",
        call=object_moments,
        twin=measure.sums,
        peer_name="scikit-image regionprops_table",
        peer=measure.scikit_image,
        dtypes=(np.float32,),
    ),
    KernelRow(
        kernel="hts.stages.segment._kernels_propagate.propagate",
        call=grown,
        twin=segment.propagate,
        peer_name="scikit-image expand_labels",
        peer=segment.voronoi,
        dtypes=(np.float32,),
    ),
    *(
        KernelRow(
            kernel=f"hts.stages.segment.stitch._kernels_stitch.{name}",
            call=getattr(kernels_stitch, name),
            twin=getattr(stitch, name),
            peer_name="none",
            peer=getattr(stitch, name),
            dtypes=(np.int32,),
        )
        for name in ("number_in_raster_order", "object_sums", "border_runs", "run_overlaps", "paint_runs")
    ),
    *(
        KernelRow(
            kernel=f"hts.stages.segment._kernels_normalize.{name}",
            call=getattr(kernels_normalize, name),
            twin=getattr(normalize, name),
            peer_name="none",
            peer=getattr(normalize, name),
            dtypes=dtypes,
        )
        for name, dtypes in (
            ("count_levels", (np.uint8, np.uint16)),
            ("scale_pixels", (np.uint8, np.uint16)),
            ("scale_finite", (np.float32,)),
        )
    ),
    _of_flows("heat.object_boxes", boxes_of, flows.object_boxes, np.int32),
    _of_flows("heat.flows_of_objects", flows_of_labels, flows.flows_of_labels, np.int32),
    _of_flows("heat.flow_errors", errors_of, flows.flow_errors, np.float32),
    _of_flows("follow.prepare_field", prepared, flows.prepare_field, np.float32),
    _of_flows("follow.follow", followed, flows.follow, np.float32),
    _of_flows("sinks.count_ends", counted, flows.count_ends, np.int32),
    _of_flows("sinks.find_seeds", seeds_of, flows.find_seeds, np.int32),
    _of_flows("sinks.grow_sinks", sinks_of, flows.grow_sinks, np.int32),
    _of_flows("sinks.label_points", labelled, flows.label_points, np.int32),
    _of_flows("objects.renumber", renumbered, flows.renumber, np.int32),
    _of_flows("objects.fill_holes", filled, flows.fill_holes, np.int32),
)
