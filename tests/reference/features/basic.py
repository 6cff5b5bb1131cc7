"""Area, box, axes and outline, beside scikit-image."""

from __future__ import annotations

import numpy as np

from hts.stages.measure import channel_token
from tests.reference import measure
from tests.reference.features.peers import Columns, ParityField, PeerRow


def _all(field: ParityField) -> Columns:
    found = measure.scikit_image(field.labels, np.moveaxis(field.images, 0, -1))
    tokens = {f"_C{n}": f"_{channel_token(name)}" for n, name in enumerate(field.channels)}
    return {name[:-3] + tokens[name[-3:]] if name[-3:] in tokens else name: np.asarray(v) for name, v in found.items()}


def shape(field: ParityField) -> Columns:
    """Area, box, centre, axes, extent and perimeter; orientation means nothing where an object is round."""
    return {k: v for k, v in _all(field).items() if k.startswith("AreaShape_") and not k.endswith("_Orientation")}


PEERS = (PeerRow("shape", "scikit-image regionprops_table", shape, atol=1e-7, why="roots near 0: axes of lines"),)
