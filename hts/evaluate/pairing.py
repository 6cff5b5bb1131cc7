"""Which predicted image belongs to which true one, by their names.

The first of these rules that finds a pair is used for all images of both sides:

1. the names are equal (``a.png`` and ``a.tif``, or the same well and field of two plates);
2. they are equal when an ending such as ``_masks``, ``_cp_masks`` or ``_labels`` is left out;
3. their last numbers are equal (``man_seg021`` and ``t021``).

A rule is left out when it would give two images of one side the same name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hts.errors import NotFoundError

MASK_ENDING = re.compile(r"[ _.-](?:cp[ _.-])?(?:masks?|labels?)$", re.IGNORECASE)
_LAST_NUMBER = re.compile(r"(\d+)\D*$")


@dataclass(frozen=True)
class Pairs:
    """Names of partners, truth first, in the order of the truth; who has none; and the rule that paired them."""

    partners: tuple[tuple[str, str], ...]
    truth_alone: tuple[str, ...]
    prediction_alone: tuple[str, ...]
    rule: str


def _bare(name: str) -> str:
    return MASK_ENDING.sub("", name)


def _last_number(name: str) -> str | None:
    found = _LAST_NUMBER.search(name)
    return found[1].lstrip("0") or "0" if found else None


RULES: dict[str, Callable[[str], str | None]] = {
    "equal names": str,
    "equal names without endings such as _masks": _bare,
    "equal last numbers": _last_number,
}


def pair_names(truth: Sequence[str], prediction: Sequence[str]) -> Pairs:
    """Pair the names of two sides; a single image on each side is a pair whatever the names.

    Raises
    ------
    NotFoundError
        when no rule finds a pair.
    """
    if len(truth) == len(prediction) == 1:
        return Pairs(((truth[0], prediction[0]),), (), (), "one image on each side")
    for rule, key in RULES.items():
        true_keys, predicted_keys = _keyed(truth, key), _keyed(prediction, key)
        if true_keys is None or predicted_keys is None or not true_keys.keys() & predicted_keys.keys():
            continue
        return Pairs(
            tuple((name, predicted_keys[key]) for key, name in true_keys.items() if key in predicted_keys),
            tuple(name for key, name in true_keys.items() if key not in predicted_keys),
            tuple(name for key, name in predicted_keys.items() if key not in true_keys),
            rule,
        )
    raise NotFoundError(
        "images of truth and prediction that belong together by their names",
        found=f"truth {_some(truth)}; prediction {_some(prediction)}",
        fix="give them the same names, or put a star for the part that is the same: 'seg/man_seg*.tif' 'res/t*.tif'",
    )


def _keyed(names: Sequence[str], key: Callable[[str], str | None]) -> dict[str, str] | None:
    """Names by their keys; None when a name has no key or shares it."""
    keyed = {found: name for name in names if (found := key(name)) is not None}
    return keyed if len(keyed) == len(names) else None


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" … ({len(names)})" if len(names) > 3 else "")
