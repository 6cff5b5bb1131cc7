"""What a feature family is, and how the families that are installed are found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Protocol

from hts.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hts.stages.measure.moments import ObjectMoments

ENTRY_POINT_GROUP = "hts.features"


@dataclass(frozen=True)
class FeatureInfo:
    """One feature: its name without the compartment, and what it means.

    name : as CellProfiler names it, such as ``Intensity_MeanIntensity_DNA``.
    family : name of the family that computes it.
    unit : ``px``, ``px^2``, ``degree``, ``count`` (grey levels as stored) or ``1``.
    channel : role of the channel, two roles with a comma between for a pair, None for shape.
    definition : one sentence.
    """

    name: str
    family: str
    unit: str
    channel: str | None
    definition: str


class FeatureFamily(Protocol):
    """Features that are computed together from the moments of a field.

    Registered under the entry-point group ``hts.features`` as a class without arguments. ``version`` is raised
    when numbers change; ``needs_pairs`` asks for the products of all pairs of channels.
    """

    name: str
    version: int
    needs_pairs: bool

    def catalogue(self, channels: tuple[str, ...]) -> tuple[FeatureInfo, ...]:
        """All features for channels of these roles, in the order of their columns."""
        ...

    def compute(self, m: ObjectMoments, channels: tuple[str, ...]) -> dict[str, NDArray[np.float64]]:
        """(n,) values of every feature of the catalogue by name; NaN where a feature is undefined."""
        ...


def channel_token(role: str) -> str:
    """How a channel role is written in column names: ``dna → DNA``, ``reporter → Reporter``."""
    return role.upper() if len(role) <= 3 else role.capitalize()


@cache
def families(names: tuple[str, ...]) -> tuple[FeatureFamily, ...]:
    """Load the feature families of these names, each once, in this order.

    Raises
    ------
    UsageError
        when no installed package registers a family of that name.
    """
    registered = {entry.name: entry for entry in entry_points(group=ENTRY_POINT_GROUP)}
    for name in names:
        refuse_unknown(name, registered, what="feature family")
    return tuple(registered[name].load()() for name in dict.fromkeys(names))


def refuse_unknown(name: str, known: Iterable[str], *, what: str) -> None:
    """Raise UsageError with the nearest known name when ``name`` is none of them."""
    names = sorted(known)
    if name in names:
        return
    near = get_close_matches(name, names, n=1)
    raise UsageError(
        f"a {what} out of: {', '.join(names) or '(none is installed)'}",
        found=repr(name),
        fix=f"did you mean {near[0]!r}?" if near else "correct the name, or install the package that provides it",
    )
