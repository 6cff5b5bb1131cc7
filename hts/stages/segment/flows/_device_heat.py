"""Heat inside objects on a torch device: what ``_kernels_heat`` does, over batches of objects of about one size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from hts.stages.segment.flows._kernels_heat import SCALE

ELEMENTS_AT_A_TIME = 2**23
"""Pixels of framed boxes in one batch: about 60 bytes each of device memory."""


@dataclass(frozen=True)
class Objects:
    """Objects of a label image by number, those that are there: one entry each."""

    number: Tensor
    area: Tensor
    top: Tensor
    left: Tensor
    rows: Tensor
    """Height of the box with a frame of one."""
    columns: Tensor
    centre: Tensor
    """Place in raster order of the pixel nearest the centroid, the first of several."""

    def take(self, chosen: Tensor) -> Objects:
        """The same of some of them."""
        return Objects(**{name: values[chosen] for name, values in vars(self).items()})

    @property
    def steps(self) -> Tensor:
        """How long heat spreads in each."""
        return 2 * (self.rows + self.columns)


def flow_errors(labels: Tensor, flows: Tensor) -> Tensor:
    """Mean square distance by object, float64 (n + 1,), of a fifth of `flows` (2, Y, X) from its shape's."""
    objects = _objects_of(labels)
    errors = flows.new_zeros(int(labels.max()) + 1, dtype=torch.float64)
    for batch, side in _batches(objects):
        errors[batch.number] = _errors(labels, flows, batch, side)
    return errors


def _objects_of(labels: Tensor) -> Objects:
    places = labels.reshape(-1).nonzero()[:, 0]
    numbers = labels.reshape(-1)[places]
    count = int(labels.max()) + 1
    y, x = places // labels.shape[1], places % labels.shape[1]

    def least(of: Tensor, values: Tensor, start: float) -> Tensor:
        return values.new_full((count,), start).scatter_reduce_(0, of, values, "amin")

    zero = numbers.new_zeros(count)
    top, left = least(numbers, y, labels.numel()), least(numbers, x, labels.numel())
    bottom, right = -least(numbers, -y, 0) + 1, -least(numbers, -x, 0) + 1
    area = numbers.bincount(minlength=count)
    sum_y, sum_x = zero.scatter_add(0, numbers, y), zero.scatter_add(0, numbers, x)
    middle_y = (sum_y - area * (top - 1)).double() / area.double()
    middle_x = (sum_x - area * (left - 1)).double() / area.double()
    off_y = (y - top[numbers] + 1).double() - middle_y[numbers]
    off_x = (x - left[numbers] + 1).double() - middle_x[numbers]
    distance = off_x * off_x + off_y * off_y
    nearest = distance == least(numbers, distance, float("inf"))[numbers]
    centre = least(numbers[nearest], places[nearest], labels.numel())
    everything = Objects(
        torch.arange(count, device=labels.device), area, top, left, bottom - top + 2, right - left + 2, centre
    )
    return everything.take(area > 0)


def _batches(objects: Objects) -> Iterator[tuple[Objects, int]]:
    """Objects of about one size with a side into which all their framed boxes fit; in each, long steps first."""
    sides = torch.maximum(objects.rows, objects.columns).cpu()
    steps = objects.steps.cpu()
    side = 32
    while len(sides):
        fits = (sides <= side).nonzero()[:, 0]
        fits = fits[steps[fits].argsort(descending=True)]
        for part in torch.split(fits, max(ELEMENTS_AT_A_TIME // side**2, 1)) if len(fits) else ():
            yield objects.take(part.to(objects.number.device)), side
        larger = sides > side
        objects, sides, steps = objects.take(larger.to(objects.number.device)), sides[larger], steps[larger]
        side = side * 4 // 3 + 1


def _errors(labels: Tensor, flows: Tensor, batch: Objects, side: int) -> Tensor:
    rows, columns = labels.shape
    along = torch.arange(side, device=labels.device) - 1
    y, x = batch.top[:, None, None] + along[:, None], batch.left[:, None, None] + along
    inside = (y >= 0) & (y < rows) & (x >= 0) & (x < columns)
    places = y.clamp(0, rows - 1) * columns + x.clamp(0, columns - 1)
    mine = inside & (labels.reshape(-1)[places] == batch.number[:, None, None])
    centre_y, centre_x = batch.centre // columns - batch.top + 1, batch.centre % columns - batch.left + 1
    heat = _spread(mine, centre_y * side + centre_x, batch.steps)
    dy = heat[:, 2:, 1:-1] - heat[:, :-2, 1:-1]
    dx = heat[:, 1:-1, 2:] - heat[:, 1:-1, :-2]
    length = 1e-60 + (dy * dy + dx * dx).sqrt()
    given = SCALE * flows.reshape(2, -1)[:, places[:, 1:-1, 1:-1]].double()
    squares = (dy / length - given[0]).square() + (dx / length - given[1]).square()
    return torch.where(mine[:, 1:-1, 1:-1], squares, 0).sum((1, 2)) / batch.area


def _spread(mine: Tensor, centres: Tensor, steps: Tensor) -> Tensor:
    """Heat (n, side, side) after so many `steps` of each object, most first, entering at `centres` of its square."""
    shares = mine.double() / 9
    heat = torch.zeros_like(shares)
    flat = heat.view(-1)
    sources = torch.arange(len(mine), device=mine.device) * mine[0].numel() + centres
    longest = steps.tolist()
    active = len(longest)
    for step in range(longest[0]):
        while longest[active - 1] <= step:
            active -= 1
        flat[sources[:active]] += 1.0
        now = heat[:active]
        along = now[:, :, :-2] + now[:, :, 2:]
        along += now[:, :, 1:-1]
        around = along[:, :-2] + along[:, 2:]
        around += along[:, 1:-1]
        torch.mul(around, shares[:active, 1:-1, 1:-1], out=now[:, 1:-1, 1:-1])
    return heat
