"""Flows to masks on a torch device: the steps of masks.py, each over all points, pixels or objects at once.

The order of floating-point operations is the kernels', and every reduction is one whose order does not matter, so that
the masks are the same. What is left when flows have been judged (numbers, holes, small objects) is cheap and
sequential; it is done on the host, where the masks are needed next.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from hts.stages.segment.flows import FlowParams
from hts.stages.segment.flows._device_heat import flow_errors
from hts.stages.segment.flows._kernels_follow import LONGEST, WINDOW_STEPS
from hts.stages.segment.flows._kernels_sinks import REACH_PX, SEED_POINTS, SINK_POINTS
from hts.stages.segment.flows.masks import settling_limits

POINTS_AT_A_TIME = 2**22
"""About 100 bytes each of device memory."""
SEEDS_AT_A_TIME = 2**15
"""About 3 kB each of device memory."""


def raw_masks_on_device(flows: Tensor, probability: Tensor, params: FlowParams) -> NDArray[np.int32]:
    """Objects (Y, X) int32 on the host, as ``masks.raw_masks`` has them but for their numbers."""
    with torch.inference_mode():
        flows = flows.float()
        probability = probability.to(flows.device, torch.float32)
        places, ends = end_points(flows, probability, params)
        labels = masks_of_ends(places, ends, probability.shape)
        areas = labels.reshape(-1).bincount()
        labels = only(labels, areas <= params.max_fraction * labels.numel())
        if params.flow_threshold > 0:
            labels = only(labels, flow_errors(labels, flows) <= params.flow_threshold)
        return labels.int().cpu().numpy()


def end_points(flows: Tensor, probability: Tensor, params: FlowParams) -> tuple[Tensor, Tensor]:
    """Places, in raster order, of the pixels inside, and the places where these end."""
    rows, columns = probability.shape
    inside = (probability > params.probability_threshold) & flows.isfinite().all(0)
    field = flows.new_zeros((rows + 1, columns + 1, 2))
    field[:-1, :-1] = torch.where(inside, flows.clamp(-LONGEST, LONGEST) / 5, 0).permute(1, 2, 0)
    places = inside.reshape(-1).nonzero()[:, 0]
    parts = [_follow(field, part, params.steps) for part in torch.split(places, POINTS_AT_A_TIME)]
    return places, torch.cat(parts)


def _follow(field: Tensor, places: Tensor, steps: int) -> Tensor:
    columns = field.shape[1] - 1
    corner = field.new_tensor([field.shape[0] - 2, columns - 1])
    ends = torch.empty_like(places)
    who = torch.arange(len(places), device=places.device)
    points = torch.stack((places // columns, places % columns), 1).to(field.dtype)
    for window, limit in enumerate(settling_limits(steps).tolist()):
        before = points
        for _ in range(min(WINDOW_STEPS, steps - window * WINDOW_STEPS)):
            points = _step(field, points, corner)
        moved = (points - before).square().sum(1)
        settled = (moved == 0) | ((moved < limit) & ((limit == np.inf) | _are_at_sinks(field, points)))
        final = points[settled].long()
        ends[who[settled]] = final[:, 0] * columns + final[:, 1]
        who, points = who[~settled], points[~settled]
    return ends


def _corners(field: Tensor, points: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor, Tensor]]:
    """How far points are from their pixel, and the field there, right of it, below, and below right."""
    pixels = points.long()
    pitch = field.shape[1]
    here = pixels[:, 0] * pitch + pixels[:, 1]
    at = field.view(-1, 2)
    return points - pixels, (at[here], at[here + 1], at[here + pitch], at[here + pitch + 1])


def _between(first: Tensor, second: Tensor, part: Tensor) -> Tensor:
    return first + part[:, None] * (second - first)


def _step(field: Tensor, points: Tensor, corner: Tensor) -> Tensor:
    part, (here, right, below, beyond) = _corners(field, points)
    flow = _between(_between(here, right, part[:, 1]), _between(below, beyond, part[:, 1]), part[:, 0])
    return torch.minimum(corner, (points + flow).clamp(min=0))


def _are_at_sinks(field: Tensor, points: Tensor) -> Tensor:
    """Where the flow, as it changes at a point, pulls together and is zero between the same four pixels."""
    part, (here, right, below, beyond) = _corners(field, points)
    flow = _between(_between(here, right, part[:, 1]), _between(below, beyond, part[:, 1]), part[:, 0])
    yy, xy = _between(below - here, beyond - right, part[:, 1]).T
    yx, xx = _between(right - here, beyond - below, part[:, 0]).T
    area = yy * xx - yx * xy
    off_y = part[:, 0] * area - (flow[:, 0] * xx - flow[:, 1] * yx)
    off_x = part[:, 1] * area - (flow[:, 1] * yy - flow[:, 0] * xy)
    between = (off_y > 0) & (off_y < area) & (off_x > 0) & (off_x < area)
    sinks: Tensor = between & (area > 0) & (yy + xx < 0)
    return sinks


def masks_of_ends(places: Tensor, ends: Tensor, shape: torch.Size) -> Tensor:
    """Label image (Y, X) int64 of the sinks in which points end, numbered from the fewest points to the most."""
    counts = ends.bincount(minlength=shape.numel()).view(shape)
    highest = functional.max_pool2d(counts[None].double(), 5, 1, 2)[0]
    seeds = ((counts > SEED_POINTS) & (counts == highest)).reshape(-1).nonzero()[:, 0]
    seeds = seeds[counts.reshape(-1)[seeds].argsort(stable=True)]
    labels = torch.zeros_like(counts).reshape(-1)
    labels[places] = _sinks(counts, seeds).reshape(-1)[ends]
    return labels.view(shape)


def _sinks(counts: Tensor, seeds: Tensor) -> Tensor:
    """Numbers (Y, X) of the sinks that grow from `seeds`; a later one takes from earlier ones."""
    margin, columns = REACH_PX, counts.shape[1]
    around = torch.arange(2 * margin + 1, device=counts.device)
    framed = functional.pad(counts, (margin,) * 4)
    window = around[:, None] * framed.shape[1] + around
    owners = torch.zeros_like(framed)
    first = 1
    for part in torch.split(seeds, SEEDS_AT_A_TIME):
        corners = (part // columns) * framed.shape[1] + part % columns
        near = corners[:, None, None, None] + window
        open_ = (framed.reshape(-1)[near] > SINK_POINTS).float()
        reached = torch.zeros_like(open_)
        reached[..., margin, margin] = 1
        for _ in range(REACH_PX):
            reached = functional.max_pool2d(reached, 3, 1, 1) * open_
        numbers = torch.arange(first, first + len(part), device=counts.device)[:, None, None, None].expand_as(near)
        taken = reached > 0
        owners.view(-1).scatter_reduce_(0, near[taken], numbers[taken], "amax")
        first += len(part)
    return owners[margin:-margin, margin:-margin]


def only(labels: Tensor, kept: Tensor) -> Tensor:
    """`labels` with 0 in place of the numbers that `kept` says no to."""
    return torch.where(kept[labels], labels, 0)
