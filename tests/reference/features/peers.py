"""A row of the table: a feature family, who else computes it, and how equal the two are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Columns = dict[str, NDArray[np.float64]]
"""(n,) values by the name of the feature, without the object set."""


@dataclass(frozen=True)
class ParityField:
    """What both measure.

    labels : (Y, X) int32, objects 1 … n without gaps
    images : (C, Y, X) uint8, uint16, or float32 from 0 to 1
    channels : their names
    """

    name: str
    labels: NDArray[np.int32]
    images: NDArray[Any]
    channels: tuple[str, ...]

    @property
    def scaled(self) -> NDArray[np.float64]:
        """The images from 0 to 1, as CellProfiler takes them."""
        scale = np.iinfo(self.images.dtype).max if self.images.dtype.kind == "u" else 1.0
        return self.images.astype(np.float64) / scale


@dataclass(frozen=True)
class PeerRow:
    """A family and a peer.

    family : name of the feature family.
    options : settings of the family that make it the peer's.
    peer : who computes the same, with the version that was compared.
    columns : what the peer finds.
    rtol, atol : how far apart values may be, |ours - peer| <= rtol |peer| + atol.
    why : why the tolerance is not 1e-9, where it is not.
    undefined : objects for which the two differ by definition, (n,) for a feature; what ours says there is in `why`.
    """

    family: str
    peer: str
    columns: Callable[[ParityField], Columns]
    rtol: float = 1e-9
    atol: float = 0.0
    why: str = ""
    options: dict[str, Any] | None = None
    undefined: Callable[[ParityField, str, NDArray[np.float64]], NDArray[np.bool_]] | None = None

    def compared(self, field: ParityField, name: str, theirs: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(n,) the objects whose values must be equal."""
        if self.undefined is None:
            return np.ones(theirs.shape, np.bool_)
        return ~self.undefined(field, name, theirs)
