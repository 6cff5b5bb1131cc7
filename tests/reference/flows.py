"""Slow, obvious twins of the kernels between flows and masks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Labels = NDArray[np.int32]


def object_boxes(labels: Labels) -> NDArray[np.int64]:
    """Top, bottom, left, right, area and the sums of y and x of each number; of those not there, an empty box."""
    rows, columns = labels.shape
    table = []
    for number in range(labels.max(initial=0) + 1):
        y, x = np.nonzero(labels == number) if number else ([], [])
        if len(y):
            table.append((y.min(), y.max() + 1, x.min(), x.max() + 1, len(y), y.sum(), x.sum()))
        else:
            table.append((rows, 0, columns, 0, 0, 0, 0))
    return np.array(table, np.int64)


def flows_of_labels(labels: Labels) -> NDArray[np.float64]:
    """Unit gradients (2, Y, X) of the heat of every object, one after the other, each on the whole plane."""
    flows = np.zeros((2, *labels.shape))
    for number in np.unique(labels[labels > 0]):
        mine = labels == number
        heat = heat_of_object(mine)
        gradient = np.stack((heat[2:, 1:-1] - heat[:-2, 1:-1], heat[1:-1, 2:] - heat[1:-1, :-2]))
        flows[:, mine] = (gradient / (1e-60 + np.hypot(*gradient)))[:, mine]
    return flows


def heat_of_object(mine: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Heat (Y + 2, X + 2) from the pixel nearest the centroid, after two steps a pixel of the framed box's sides."""
    y, x = np.nonzero(mine)
    nearest = np.argmin((y - y.mean()) ** 2 + (x - x.mean()) ** 2)
    heat = np.zeros((mine.shape[0] + 2, mine.shape[1] + 2))
    for _ in range(2 * ((np.ptp(y) + 3) + (np.ptp(x) + 3))):
        heat[y[nearest] + 1, x[nearest] + 1] += 1
        along = (heat[:, :-2] + heat[:, 2:]) + heat[:, 1:-1]
        heat[1:-1, 1:-1] = ((along[:-2] + along[2:]) + along[1:-1]) * mine / 9
    return heat


def flow_errors(labels: Labels, flows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean squared distance of a fifth of the flows from those of the shape, by number; 0 where there is no object."""
    squares = ((flows_of_labels(labels) - 0.2 * flows.astype(np.float64)) ** 2).sum(axis=0)
    present = range(1, labels.max(initial=0) + 1)
    return np.array([0.0, *(squares[labels == number].mean() if (labels == number).any() else 0 for number in present)])


def prepare_field(
    flows: NDArray[np.float32], probability: NDArray[np.float32], threshold: float
) -> tuple[NDArray[np.float32], Labels, int]:
    """A fifth of the flows (Y + 1, X + 1, 2), the own places of pixels inside (Y, X), their number."""
    inside = (probability > np.float32(threshold)) & np.isfinite(flows).all(axis=0)
    steps = np.clip(np.where(inside, flows, 0), -1e30, 1e30).astype(np.float32) / np.float32(5)
    field = np.pad(np.moveaxis(steps, 0, -1), ((0, 1), (0, 1), (0, 0)))
    places = np.arange(inside.size, dtype=np.int32).reshape(inside.shape)
    return field, np.where(inside, places, -1), int(inside.sum())


def follow(field: NDArray[np.float32], steps: int, ends: Labels) -> Labels:
    """Every point takes every step; where each pixel's point is then."""
    rows, columns = ends.shape
    y, x = (indices[ends >= 0].astype(np.float32) for indices in np.indices(ends.shape))
    for _ in range(steps):
        top, left = y.astype(int), x.astype(int)
        fy, fx = (y - top).astype(np.float32)[:, None], (x - left).astype(np.float32)[:, None]
        upper = field[top, left] + fx * (field[top, left + 1] - field[top, left])
        lower = field[top + 1, left] + fx * (field[top + 1, left + 1] - field[top + 1, left])
        flow = upper + fy * (lower - upper)
        y, x = np.clip(y + flow[:, 0], 0, rows - 1), np.clip(x + flow[:, 1], 0, columns - 1)
    result = np.full(ends.shape, -1, np.int32)
    result[ends >= 0] = y.astype(int) * columns + x.astype(int)
    return result


def count_ends(ends: Labels) -> Labels:
    """How many points end in each pixel."""
    return np.bincount(ends[ends >= 0], minlength=ends.size).reshape(ends.shape).astype(np.int32)


def find_seeds(counts: Labels) -> list[int]:
    """Pixels of more than ten points, and of no fewer than any other of the 5 × 5 around them, in raster order."""
    highest = ndimage.maximum_filter(counts, 5, mode="constant", cval=0)
    return [int(place) for place in np.flatnonzero((counts == highest) & (counts > 10))]


def grow_sinks(counts: Labels, seeds: NDArray[np.int64]) -> Labels:
    """One seed after the other: five dilations within the pixels of more than two points, painted over the rest."""
    owners = np.zeros(counts.shape, np.int32)
    for number, place in enumerate(seeds, 1):
        seed = np.zeros(counts.shape, np.bool_)
        seed.flat[place] = True
        grown = ndimage.binary_dilation(seed, np.ones((3, 3)), iterations=5, mask=counts > 2)
        owners[grown] = number
    return owners


def label_points(ends: Labels, owners: Labels) -> Labels:
    """The number of the sink in which each pixel's point ends."""
    return np.array([owners.flat[place] if place >= 0 else 0 for place in ends.flat], np.int32).reshape(ends.shape)


def renumber(labels: Labels, kept: NDArray[np.bool_]) -> Labels:
    """Objects to keep numbered as a raster scan meets them."""
    numbers: dict[int, int] = {}
    for old in labels.flat:
        if old and kept[old]:
            numbers.setdefault(int(old), len(numbers) + 1)
    return np.array([numbers.get(int(old), 0) for old in labels.flat], np.int32).reshape(labels.shape)


def fill_holes(labels: Labels) -> Labels:
    """Objects in the order of their numbers, each with all that it encloses."""
    filled = labels.copy()
    for number in range(1, labels.max(initial=0) + 1):
        filled[ndimage.binary_fill_holes(filled == number)] = number
    return filled


def cellpose_masks(flows: NDArray[Any], probability: NDArray[Any], **settings: Any) -> Labels:
    """The peer: cellpose's own, all steps. Its objects are numbered anew between two of its functions.

    ``fill_holes_and_remove_small_masks`` takes numbers without gaps for granted, which ``compute_masks`` does not give
    when it has dropped objects; as shipped, other objects than the small ones are removed then.
    """
    import fastremap
    from cellpose import dynamics, utils

    masks = dynamics.compute_masks(flows, probability, min_size=-1, **settings).astype(np.int32)
    return utils.fill_holes_and_remove_small_masks(fastremap.renumber(masks)[0], min_size=15).astype(np.int32)


def cellpose_flows(labels: Labels) -> NDArray[np.float32]:
    """The peer's flows (2, Y, X) of labels."""
    import torch
    from cellpose import dynamics

    return dynamics.labels_to_flows([labels.copy()], device=torch.device("cpu"))[0][2:]
