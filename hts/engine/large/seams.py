"""The seam audits of a plate's large fields as one row of its quality."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def seam_quality(markers: Iterable[dict[str, Any] | None]) -> dict[str, Any]:
    """What the markers of segmentation say of seams, over all fields and object sets that were cut into blocks.

    Returns
    -------
    Under ``seams``: ``fields``, ``cut_objects`` (no tile saw them whole), and objects and straight edges per 1,000 px
    along seams and along lines without any, weighted by the length of the seams. Empty when no field was cut.
    """
    fields = [facts for marker in markers if marker for facts in marker.get("blocks", {}).values()]
    audits = [audit for facts in fields for audit in facts["seams"].values()]
    length = sum(audit["seam_px"] for audit in audits)
    if not length:
        return {}
    names = ("seam_objects", "inner_objects", "seam_straight_edges", "inner_straight_edges")
    rates = {
        name: round(sum(audit.get(name, 0.0) * audit["seam_px"] for audit in audits) / length, 3)
        for name in (f"{kind}_per_1000_px" for kind in names)
    }
    cut = sum(findings["cut"] for facts in fields for findings in facts["findings"].values())
    return {"seams": {"fields": len(fields), "cut_objects": cut, **rates}}
