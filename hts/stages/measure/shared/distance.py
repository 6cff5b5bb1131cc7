"""How deep in its object a pixel lies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hts.stages.measure.shared import _kernels_distance as kernels
from hts.stages.measure.shared.runs import Runs, over_objects


def edge_distances(runs: Runs, shape: tuple[int, ...], *, closed: bool = True, threads: int = 1) -> NDArray[np.int32]:
    """(N,) squared Euclidean distance (px^2) of each object pixel to the nearest pixel that is not of its object.

    Parameters
    ----------
    runs : the objects; the result lists their pixels object by object.
    shape : (Y, X) of the labels.
    closed : whether the outside of the image counts as not of the object. If not, an object that fills the image has
        no edge, and what stands for it is no distance.
    """
    squared = np.empty(int(runs.offset[-1]), np.int32)
    frame = kernels.Frame(shape[0], shape[1], closed)
    over_objects(kernels.edge_distances, runs, frame, squared, threads=threads)
    return squared
