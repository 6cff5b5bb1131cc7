"""A field as the feature families see it: its images, its object sets, and what several families need of them.

What is shared is a property here, computed when it is first asked for and kept until the field is measured. A family
lists the properties that it uses in ``needs``, which is the plan of who needs what.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hts.errors import StageError
from hts.stages.measure.shared import _kernels_runs as kernels_runs
from hts.stages.measure.shared.distance import edge_distances
from hts.stages.measure.shared.edges import Edges, edges_of
from hts.stages.measure.shared.hulls import Hulls, circles_of, hulls_of
from hts.stages.measure.shared.moments import ObjectMoments, object_moments
from hts.stages.measure.shared.ranks import Order, order_of
from hts.stages.measure.shared.runs import Runs, in_threads, over_objects, read_only, runs_of

FAMILIES_AT_ONCE = 4
"""The costliest family takes about a quarter of the whole catalogue: more threads than this share single families."""


@dataclass(frozen=True, eq=False)
class FieldData:
    """Labels and images of one field, or of a part of it.

    labels : (Y, X) int32 by object set; the same number in two sets is the same cell.
    images : (C, Y, X) uint16 or float32.
    channels : role of each channel.
    count : largest number in any set; every array of values has so many rows.
    origin : row and column of the first pixel in the whole field.
    shape : (Y, X) of the whole field.
    full_scale : by channel the grey level that CellProfiler calls 1: the largest of the image's type unless told.
    threads : how many threads share the work.
    around : by object set the labels with those objects too that other parts measure, which have higher numbers.
    """

    labels: Mapping[str, NDArray[np.int32]]
    images: NDArray[Any]
    channels: tuple[str, ...]
    count: int
    origin: tuple[int, int]
    shape: tuple[int, int]
    full_scale: tuple[float, ...]
    threads: int = 1
    around: Mapping[str, NDArray[np.int32]] | None = None

    @cached_property
    def sets(self) -> dict[str, Objects]:
        """The object sets by name."""
        return {name: Objects(self, labels, name) for name, labels in self.labels.items()}

    def close(self) -> None:
        """Let go of the object sets, which refer to the field: it is gone when the last reference is, not at some later
        collection."""
        for objects in self.sets.values():
            objects.release()
        self.sets.clear()
        self.shared.clear()

    @property
    def inner_threads(self) -> int:
        """Threads of one family: families run beside one another, which keeps up to about four threads busy."""
        return max(1, self.threads // FAMILIES_AT_ONCE)

    @cached_property
    def shared(self) -> dict[str, Any]:
        """What families keep of the images alone, for the next object set."""
        return {}


@dataclass(frozen=True, eq=False)
class Objects:
    """One object set of a field; row ``i`` of every array belongs to number ``i + 1``.

    Coordinates are those of the field's part: add ``field.origin`` for those of the whole field.
    """

    field: FieldData
    labels: NDArray[np.int32]
    name: str

    PREREQUISITES: ClassVar[dict[str, tuple[str, ...]]] = {
        "in_scale": ("moments", "runs"),
        "values": ("runs",),
        "ranks": ("values",),
        "edges": ("runs",),
        "hulls": ("runs",),
        "circles": ("hulls",),
        "edge_distance": ("runs",),
    }
    """Which shared property is made of which."""

    @property
    def count(self) -> int:
        """Rows of every array of values, gaps among the numbers included."""
        return self.field.count

    @property
    def channels(self) -> tuple[str, ...]:
        """Roles of the channels."""
        return self.field.channels

    @cached_property
    def moments(self) -> ObjectMoments:
        """Area, box, sums of coordinates, perimeter, and sums and extremes of grey levels."""
        return object_moments(self.labels, self.field.images, count=self.count)

    @cached_property
    def runs(self) -> Runs:
        """The pixels of each object as runs and stretches of flat arrays."""
        return runs_of(self.labels, self.count)

    @cached_property
    def values(self) -> NDArray[Any]:
        """(C, N) the grey levels of all objects, object by object in raster order."""
        images = self.field.images
        values = np.empty((len(images), int(self.runs.offset[-1])), images.dtype)
        for image, row in zip(images, values, strict=True):
            self.over(kernels_runs.gather, read_only(image), row)
        return read_only(values)

    @cached_property
    def ranks(self) -> Order:
        """The rank of each pixel's grey level inside its object, and what :attr:`order` tells."""
        return order_of(self.runs, self.values, ranks=True, threads=self.field.inner_threads)

    @cached_property
    def order(self) -> Order:
        """Quartiles, median absolute deviation and number of grey levels; with ranks when they are known already."""
        if "ranks" in self.__dict__:
            return self.ranks
        return order_of(self.runs, self.values, ranks=False, threads=self.field.inner_threads)

    @cached_property
    def edges(self) -> Edges:
        """The pixels of each object that have another label beside them."""
        return edges_of(self.runs, self.labels, threads=self.field.inner_threads)

    @cached_property
    def hulls(self) -> Hulls:
        """The corners of each object's convex hull."""
        return hulls_of(self)

    @cached_property
    def circles(self) -> NDArray[np.float64]:
        """(n, 3) row and column (of the whole field) and radius of the smallest circle around each object."""
        return circles_of(self)

    @cached_property
    def edge_distance(self) -> NDArray[np.int32]:
        """(N,) squared distance (px^2) of each pixel to the nearest one that is not of its object; outside is none."""
        return edge_distances(self.runs, self.labels.shape, threads=self.field.inner_threads)

    @cached_property
    def surroundings(self) -> Objects:
        """The same objects, the same numbers, with all others that can be seen in this part of the field."""
        if self.field.around is None:
            return self
        labels = self.field.around[self.name]
        count, images = int(labels.max(initial=0)), self.field.images[:0]
        without = replace(self.field, images=images, channels=(), full_scale=(), around=None)
        return replace(without, labels={self.name: labels}, count=count).sets[self.name]

    @property
    def clearance_px(self) -> NDArray[np.float64]:
        """(n,) from each object's box to the nearest side beyond which the field goes on; infinite where none is."""
        (top, left), (height, width) = self.field.origin, self.labels.shape
        y0, x0, y1, x1 = self.moments.bbox.T.astype(np.float64)
        below, beyond = self.field.shape[0] - top - height, self.field.shape[1] - left - width
        sides = ((y0, top), (x0, left), (height - y1, below), (width - x1, beyond))
        far = [np.where(more > 0, distance, np.inf) for distance, more in sides]
        nearest: NDArray[np.float64] = np.min(far, axis=0)
        return nearest

    @cached_property
    def present(self) -> NDArray[np.bool_]:
        """(n,) whether the object has a pixel."""
        return np.diff(self.runs.offset) > 0

    @cached_property
    def finite(self) -> NDArray[np.bool_]:
        """(n, C) whether the object has pixels and all of them are finite in the channel."""
        known = np.isfinite(self.moments.squares.astype(np.float64))
        return np.asarray(known & self.present[:, None], dtype=np.bool_)

    @cached_property
    def in_scale(self) -> NDArray[np.bool_]:
        """(n, C) whether all grey levels of the object are finite and from 0 to the full scale of the channel.

        Raises
        ------
        StageError
            when most objects of a channel are not: that is another scale, and no hot pixel.
        """
        m, finite = self.moments, self.finite
        inside = finite & (m.lowest >= 0) & (m.highest <= np.array(self.field.full_scale))
        for channel, (role, scale) in enumerate(zip(self.channels, self.field.full_scale, strict=True)):
            known, fit = (int(np.count_nonzero(mask[:, channel])) for mask in (finite, inside))
            if 2 * fit < known:
                low, high = m.lowest[finite[:, channel], channel].min(), m.highest[finite[:, channel], channel].max()
                raise StageError(
                    f"grey levels from 0 to {scale:g} (the full scale) in channel {role}",
                    found=f"{low:g} to {high:g} inside objects; {known - fit} of {known} objects have others",
                    cause="an image in counts stored as floats, or background subtracted below 0",
                    fix="set measure.full_scale to the largest grey level, and cut off what is below 0; or measure "
                    "without the families that need a scale (texture, costes)",
                )
        return inside

    def release(self) -> None:
        """Forget what was computed, but the runs: the next object set needs the memory."""
        if "surroundings" in vars(self) and self.surroundings is not self:
            self.surroundings.field.close()
        for name in set(vars(self)) - {"field", "labels", "name", "runs", "present"}:
            del vars(self)[name]

    def over(self, kernel: Callable[..., None], *arguments: Any) -> None:
        """Call ``kernel(first, stop, runs, *arguments)`` for all objects, shared among the threads of a family."""
        over_objects(kernel, self.runs, *arguments, threads=self.field.inner_threads)

    def in_threads(self, tasks: list[Callable[[], Any]]) -> list[Any]:
        """The results of ``tasks`` in their order, in the threads of the field."""
        return in_threads(tasks, self.field.inner_threads)

    def each(self, channel: int, function: Callable[[NDArray[Any]], float]) -> NDArray[np.float64]:
        """(n,) ``function`` of the grey levels of each object, one after the other; NaN for objects without a pixel."""
        values, offset = self.values[channel], self.runs.offset
        found = np.full(self.count, np.nan)
        for i in np.flatnonzero(self.present):
            found[i] = function(values[offset[i] : offset[i + 1]])
        return found
