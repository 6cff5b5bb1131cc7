"""Pairs of channels inside objects, beside cp_measure."""

from __future__ import annotations

import warnings
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from hts.stages.measure import channel_token
from tests.reference.features.peers import Columns, ParityField, PeerRow


def _named(found: Columns, first: str, second: str) -> Columns:
    """The peer's ``_1`` is ``_first_second``, as in CellProfiler's tables; ``_2`` the other way."""
    one, two = channel_token(first), channel_token(second)
    columns = {}
    for name, values in found.items():
        base = name.replace("Pearson", "Correlation")
        turned = base.endswith("_2")
        base = base.removesuffix("_1").removesuffix("_2")
        columns[f"{base}_{two}_{one}" if turned else f"{base}_{one}_{two}"] = np.asarray(values, np.float64)
    return columns


def cp_measure(field: ParityField) -> Columns:
    """Pearson, slope, overlap, Manders, RWC."""
    from cp_measure.core import measurecolocalization as peer

    columns: Columns = {}
    for one, two in combinations(range(len(field.channels)), 2):
        for measure in (
            peer.get_correlation_pearson,
            peer.get_correlation_manders_fold,
            peer.get_correlation_rwc,
            peer.get_correlation_overlap,
        ):
            with np.errstate(all="ignore"):
                found = measure(field.scaled[one], field.scaled[two], field.labels)
            columns.update(_named(found, field.channels[one], field.channels[two]))
    return columns


def costes(field: ParityField) -> Columns:
    """Costes' coefficients by bisection."""
    from cp_measure.core import measurecolocalization as peer

    columns: Columns = {}
    scale = np.iinfo(field.images.dtype).max if field.images.dtype.kind == "u" else 65535
    for one, two in combinations(range(len(field.channels)), 2):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # its way to say that a value is NaN
            found = peer.get_correlation_costes(
                field.scaled[one], field.scaled[two], field.labels, scale_max=int(scale), fast_costes=peer.M_FASTER
            )
        columns.update(_named(found, field.channels[one], field.channels[two]))
    return columns


def _empty(field: ParityField, name: str, theirs: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Objects without a pixel in both: the peer has 0 for 0 / 0."""
    return (theirs == 0) & np.isin(name.split("_")[1], ("Overlap", "K"))


PEERS = (
    PeerRow(
        "correlation",
        "cp_measure 0.3 get_correlation_…",
        cp_measure,
        atol=1e-12,
        why="a correlation of nearly 0 rounds; Overlap and K over no pixels are NaN, the peer has 0",
        undefined=_empty,
    ),
    PeerRow("costes", "cp_measure 0.3 get_correlation_costes", costes),
)
