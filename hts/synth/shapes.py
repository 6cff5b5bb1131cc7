"""Outlines of nuclei and cells, where they lie, and the label images they make.

An outline is a star-shaped polygon: its radius at :data:`N_ANGLES` equal steps, an ellipse perturbed by a short Fourier
series. One signed coordinate per pixel, ``depth``, decides everything: it is 0 on the outline of the nucleus, 1 on
the outline of the cell, and the pixel belongs to the cell where it is smallest. Labels can therefore not overlap, and
a nucleus lies inside its cell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hts.synth.spec import NUCLEUS_RADIUS_UM

N_ANGLES = 256
CELL_RADIUS_UM = 19.0
MIN_CYTOPLASM_UM = 2.0
GAP_UM = 2.0
CONTACT_PX = 1.5
"""How far the outlines of touching nuclei run into each other, so that no background pixel is left between them."""
TRIES = 200

Floats = NDArray[np.float32]
Labels = NDArray[np.int32]
Points = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Outlines:
    """Outlines of n cells: radii in pixels, shape (n, N_ANGLES); ``large`` marks nuclei in G2 (double DNA)."""

    nucleus_px: Floats
    cell_px: Floats
    large: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.nucleus_px)

    def first(self, count: int) -> Outlines:
        return Outlines(self.nucleus_px[:count], self.cell_px[:count], self.large[:count])


@dataclass(frozen=True, slots=True)
class Scene:
    """n cells placed on a field of shape (Y, X).

    ``centers_px`` (n, 2) whole pixels y, x; ``nuclei`` and ``cells`` label images with the same numbers 1..n;
    ``depth`` is below 0 in a nucleus, 0 to 1 in the cytoplasm, 1 outside; ``radius`` is the distance from the
    centre as part of the nuclear radius in that direction.
    """

    outlines: Outlines
    centers_px: Points
    nuclei: Labels
    cells: Labels
    depth: Floats
    radius: Floats


def draw_outlines(rng: np.random.Generator, count: int, pixel_size_um: float) -> Outlines:
    """Draw the outlines of ``count`` cells; sizes and shapes vary from cell to cell."""
    large = rng.random(count) < 0.25
    nucleus_um = NUCLEUS_RADIUS_UM * np.where(large, 1.12, 0.97) * rng.lognormal(0, 0.09, count)
    nucleus = wobbly_ellipses(rng, nucleus_um, max_aspect=1.6, wobble=0.15)
    cell_um = CELL_RADIUS_UM * rng.lognormal(0, 0.15, count)
    cell = wobbly_ellipses(rng, cell_um, max_aspect=2.2, wobble=0.5)
    cell = np.maximum(cell, nucleus + MIN_CYTOPLASM_UM)
    return Outlines((nucleus / pixel_size_um).astype("f4"), (cell / pixel_size_um).astype("f4"), large)


def wobbly_ellipses(
    rng: np.random.Generator, radius: NDArray[np.float64], max_aspect: float, wobble: float, turns: float = np.pi
) -> NDArray[np.float64]:
    """Radii (n, N_ANGLES) of n outlines around discs of the given radii.

    `max_aspect` bounds the ratio of the axes, `wobble` is the strength of the Fourier series, and `turns` the range of
    the directions of the long axes, in radians.
    """
    count = len(radius)
    angles = np.arange(N_ANGLES) * (2 * np.pi / N_ANGLES)
    aspect = 1 + (max_aspect - 1) * rng.beta(1.5, 2.5, (count, 1))
    turned = angles - rng.uniform(0, turns, (count, 1))
    # Radius of an ellipse with area π·radius², in polar form around its centre.
    outline = radius[:, None] / np.sqrt(np.cos(turned) ** 2 / aspect + np.sin(turned) ** 2 * aspect)
    order = np.arange(2, 8)[:, None]
    size = rng.normal(0, 1, (count, 6, 1)) * wobble / order**1.5
    phase = rng.uniform(0, 2 * np.pi, (count, 6, 1))
    waves = (size * np.cos(order * angles + phase)).sum(axis=1)
    return np.asarray(outline * np.clip(1 + waves, 0.6, 1.5))


def place(rng: np.random.Generator, outlines: Outlines, size_px: int, touching: float, gap_px: float) -> Points:
    """Centres (n, 2), y and x, of the cells in turn: each against an earlier one, or free with a gap all round.

    Placing ends with the first cell that finds no room in :data:`TRIES` tries. Centres lie in the field; cells
    may be cut by its edge.
    """
    centers = np.empty((0, 2), dtype=np.intp)
    for index in range(len(outlines)):
        against = len(centers) > 0 and rng.random() < touching
        for attempt in range(TRIES):
            # A crowded neighbourhood must not lose the cell: half-way it may lie anywhere.
            if against and attempt < TRIES // 2:
                center, gap = _beside(rng, outlines, centers, index), -CONTACT_PX - 1
            else:
                center, gap = rng.integers(0, size_px, 2), gap_px
            inside = bool(np.all((center >= 0) & (center < size_px)))
            if inside and _clearance(outlines.nucleus_px, centers, center, index) >= gap:
                centers = np.vstack([centers, center])
                break
        else:
            return centers
    return centers


def _beside(rng: np.random.Generator, outlines: Outlines, centers: Points, index: int) -> Points:
    partner, angle = int(rng.integers(len(centers))), int(rng.integers(N_ANGLES))
    nucleus = outlines.nucleus_px
    distance = nucleus[partner, angle] + nucleus[index, (angle + N_ANGLES // 2) % N_ANGLES] - CONTACT_PX
    theta = angle * 2 * np.pi / N_ANGLES
    step = distance * np.array([np.sin(theta), np.cos(theta)])
    return np.asarray(np.rint(centers[partner] + step), dtype=np.intp)


def _clearance(nucleus_px: Floats, centers: Points, center: Points, index: int) -> float:
    """Smallest gap, along the line of centres, between a nucleus at ``center`` and those already placed."""
    if len(centers) == 0:
        return np.inf
    delta = centers - center
    angle = _angle_index(delta[:, 0], delta[:, 1])
    own = nucleus_px[index, angle]
    other = nucleus_px[np.arange(len(centers)), (angle + N_ANGLES // 2) % N_ANGLES]
    return float(np.min(np.hypot(delta[:, 0], delta[:, 1]) - own - other))


def _angle_index(dy: Points, dx: Points) -> Points:
    turns = np.arctan2(dy, dx) / (2 * np.pi)
    return np.asarray(np.rint(turns * N_ANGLES), dtype=np.intp) % N_ANGLES


def populate(rng: np.random.Generator, count: int, size_px: int, pixel_size_um: float, touching: float) -> Scene:
    """Draw ``count`` cells, place them on a square field and compose it."""
    outlines = draw_outlines(rng, count, pixel_size_um)
    centers = place(rng, outlines, size_px, touching, GAP_UM / pixel_size_um)
    return compose(outlines.first(len(centers)), centers, size_px)


def compose(outlines: Outlines, centers: Points, size_px: int) -> Scene:
    """Draw every cell in its own box and give each pixel to the cell in which it lies deepest."""
    shape = (size_px, size_px)
    cells, depth, radius = np.zeros(shape, "i4"), np.ones(shape, "f4"), np.zeros(shape, "f4")
    # Centres are whole pixels, so that distances and angles are computed once and cut out for each cell.
    half = int(np.ceil(outlines.cell_px.max(initial=1.0)))
    dy, dx = np.mgrid[-half : half + 1, -half : half + 1]
    distance, angle = np.hypot(dy, dx).astype("f4"), _angle_index(dy, dx)
    for index, (y, x) in enumerate(centers):
        reach = int(np.ceil(outlines.cell_px[index].max()))
        top, left = max(y - reach, 0), max(x - reach, 0)
        box = np.s_[top : y + reach + 1, left : x + reach + 1]
        height, width = cells[box].shape
        view = np.s_[top - y + half : top - y + half + height, left - x + half : left - x + half + width]
        nucleus, cell = outlines.nucleus_px[index][angle[view]], outlines.cell_px[index][angle[view]]
        own = (distance[view] - nucleus) / (cell - nucleus)
        deeper = own < depth[box]
        np.copyto(depth[box], own, where=deeper)
        np.copyto(radius[box], distance[view] / nucleus, where=deeper)
        cells[box][deeper] = index + 1
    nuclei = np.where(depth < 0, cells, 0)
    _drop_fragments(cells, centers)
    _drop_fragments(nuclei, centers)
    depth[cells == 0] = 1
    # What is left of a nucleus that a neighbour cut in two is drawn as cytoplasm.
    np.maximum(depth, 0, out=depth, where=nuclei == 0)
    return Scene(outlines, centers, nuclei, cells, depth, radius)


def _drop_fragments(labels: Labels, centers: Points) -> None:
    """Keep of every object in several parts the one with its centre; none when others cover the centre."""
    for index, box in enumerate(ndimage.find_objects(labels, len(centers))):
        parts, count = ndimage.label(labels[box] == index + 1)
        if count > 1:
            y, x = centers[index] - (box[0].start, box[1].start)
            inside = 0 <= y < parts.shape[0] and 0 <= x < parts.shape[1]
            labels[box][(parts > 0) & (parts != (parts[y, x] if inside else 0))] = 0


def touching_objects(labels: Labels, count: int) -> NDArray[np.bool_]:
    """Which of the objects 1..count share a pixel edge with another one; shape (count,)."""
    flags = np.zeros(count + 1, dtype=bool)
    for first, second in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
        meets = (first != second) & (first > 0) & (second > 0)
        flags[first[meets]] = flags[second[meets]] = True
    return flags[1:]


def at_edge(labels: Labels, count: int) -> NDArray[np.bool_]:
    """Which of the objects 1..count have a pixel on the edge of the field; shape (count,)."""
    rim = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    return np.isin(np.arange(1, count + 1), rim)
