"""Flows to masks on the host, step by step; each step is a kernel with the memory it needs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hts.stages.segment.flows import FlowParams, masks_from_flows
from hts.stages.segment.flows._kernels_follow import WINDOW_STEPS, follow, prepare_field
from hts.stages.segment.flows._kernels_heat import AREA, flow_errors
from hts.stages.segment.flows._kernels_objects import fill_holes, renumber
from hts.stages.segment.flows._kernels_sinks import (
    REACH_PX,
    SEED_POINTS,
    count_ends,
    find_seeds,
    grow_sinks,
    label_points,
)
from hts.stages.segment.flows.targets import boxes_of, flows_of_labels, heat_buffers

Labels = NDArray[np.int32]
Flows = NDArray[np.float32]

SETTLED_PX = 0.1
"""A point beside a sink stops when at its present pace it would not get farther than this in all the steps left."""

POINTS_AT_A_TIME = 256
"""Their coordinates stay in the first cache; the ratio of benchmarks/bench_flows.py hardly depends on it."""


def raw_masks(flows: Flows, probability: Flows, params: FlowParams) -> Labels:
    """Objects (Y, X) of the sinks whose flows fit their shape; holes and small objects are still in them.

    `flows` (2, Y, X) and `probability` (Y, X) are contiguous.
    """
    ends, points = end_points(flows, probability, params)
    labels = drop_large(masks_of_ends(ends, points), params)
    return drop_bad_flows(labels, flows, params)


def end_points(flows: Flows, probability: Flows, params: FlowParams) -> tuple[Labels, int]:
    """Where every pixel inside ends, as place in raster order (Y, X), -1 outside; and how many are inside."""
    rows, columns = probability.shape
    field = np.empty((rows + 1, columns + 1, 2), np.float32)
    ends = np.empty(probability.shape, np.int32)
    points = prepare_field(flows, probability, np.float32(params.probability_threshold), field, ends)
    coordinates = np.empty((4, POINTS_AT_A_TIME), np.float32)
    work = (*coordinates, np.empty(POINTS_AT_A_TIME, np.int32))
    follow(field, params.steps, settling_limits(params.steps), work, ends)
    return ends, points


def settling_limits(steps: int) -> Flows:
    """By window of steps, the square of the distance (px²) below which a point may stop; at last, all do."""
    done = WINDOW_STEPS * np.arange(1, -(-steps // WINDOW_STEPS))
    limits = (SETTLED_PX * WINDOW_STEPS / (steps - done)) ** 2
    return np.append(limits, np.inf).astype(np.float32)


def masks_of_ends(ends: Labels, points: int) -> Labels:
    """Label image (Y, X) of the sinks in which points end; the numbers are by number of points, not consecutive."""
    counts, owners, labels = (np.empty(ends.shape, np.int32) for _ in range(3))
    count_ends(ends, counts)
    places = np.empty(points // (SEED_POINTS + 1) + 1, np.int64)
    seeds = places[: find_seeds(counts, places)]
    # The seed of more points takes what two reach; among equals, the later one in raster order.
    order = np.argsort(counts.reshape(-1)[seeds], kind="stable")
    grow_sinks(counts, seeds[order], owners, np.empty((2 * REACH_PX + 1) ** 2, np.int64))
    label_points(ends, owners, labels)
    return labels


def drop_large(labels: Labels, params: FlowParams) -> Labels:
    """`labels` without the objects that cover too much of the field, numbered in raster order; in place."""
    areas = np.bincount(labels.reshape(-1), minlength=1)
    return _only(labels, areas <= params.max_fraction * labels.size)


def drop_bad_flows(labels: Labels, flows: Flows, params: FlowParams) -> Labels:
    """`labels`, numbered without gaps, without objects whose shape asks for other flows than `flows`; in place."""
    if params.flow_threshold == 0:
        return labels
    boxes = boxes_of(labels)
    errors = np.empty(len(boxes))
    flow_errors(labels, boxes, heat_buffers(boxes), flows, errors)
    return _only(labels, errors <= params.flow_threshold)


def finish(labels: Labels, params: FlowParams) -> Labels:
    """`labels` without holes and small objects, numbered 1…n in raster order; in place."""
    _drop_small(labels, params)
    boxes = boxes_of(labels)
    room = heat_buffers(boxes)[0].size
    fill_holes(labels, boxes, np.empty(room, np.uint8), np.empty(room, np.int64))
    return _drop_small(labels, params)


def _drop_small(labels: Labels, params: FlowParams) -> Labels:
    areas = boxes_of(labels)[:, AREA]
    return _only(labels, areas >= params.min_area_px)


def _only(labels: Labels, kept: NDArray[np.bool_]) -> Labels:
    renumber(labels, kept, np.empty(len(kept), np.int32))
    return labels


def warm_up() -> None:
    """Compile the kernels of masks and of flows, or load them from the cache."""
    labels = np.zeros((8, 8), np.int32)
    labels[1:7, 1:7] = 1
    flows, inside = flows_of_labels(labels)
    masks_from_flows(5 * flows, np.where(inside, 1, -1).astype(np.float32), FlowParams(max_fraction=1))
