"""What a feature family is, and how the families that are installed are found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from hts.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hts.stages.measure.shared.objects import Objects

ENTRY_POINT_GROUP = "hts.features"

ORDER = (
    *("location", "shape", "moments", "zernike", "intensity", "radial", "radial_zernike", "granularity", "texture"),
    *("correlation", "costes", "neighbors"),
)
"""The built-in families as ``"all"`` lists them; those of other packages follow by name."""


@dataclass(frozen=True)
class FeatureInfo:
    """One feature: its name without the compartment, and what it means.

    name : as CellProfiler names it, such as ``Intensity_MeanIntensity_DNA``.
    family : name of the family that computes it.
    unit : ``px``, ``px^2``, ``degree``, ``count`` (grey levels as stored) or ``1``.
    channel : role of the channel, two roles with a comma between for a pair, None for shape.
    definition : one sentence; says where the feature is undefined (NaN).
    source : who defines it, such as ``CellProfiler 4 MeasureTexture``.
    """

    name: str
    family: str
    unit: str
    channel: str | None
    definition: str
    source: str = ""


class FamilyParams(BaseModel):
    """Settings of a feature family; built-in families extend it."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FeatureFamily(Protocol):
    """Features that are computed together.

    Registered under the entry-point group ``hts.features`` as a class. It is made without arguments, or with an
    instance of its ``Params`` (a :class:`FamilyParams`) where it has such settings. ``version`` is raised when
    numbers change. ``needs`` names properties of :class:`Objects` that are computed before; ``cost_ns`` is what
    the family costs on one core in nanoseconds for a pixel inside objects and a channel or pair, as measured.
    A family may lack both, and whatever else :class:`BuiltInFamily` has a default for.
    """

    name: str
    version: int

    def catalogue(self, channels: tuple[str, ...]) -> tuple[FeatureInfo, ...]:
        """All features for channels of these roles, in the order of their columns."""
        ...

    def compute(self, objects: Objects) -> dict[str, NDArray[np.float64]]:
        """(n,) values of every feature of the catalogue by name; NaN where a feature is undefined."""
        ...


class BuiltInFamily:
    """What the built-in families share: no settings unless they say so."""

    Params: ClassVar[type[FamilyParams]] = FamilyParams
    needs: ClassVar[tuple[str, ...]] = ()
    cost_ns: ClassVar[float] = 0.0
    bytes_px: ClassVar[float] = 0.0
    """Working memory for a pixel of the field, beyond what families share."""
    looks_around: ClassVar[bool] = False
    """Whether it has to see objects that another part of the field measures."""
    approximate_in_blocks: ClassVar[str] = ""
    """What is not the same where a field is measured in parts; told in the notes of a run."""

    def __init__(self, params: Any = None) -> None:
        self.params: Any = self.Params() if params is None else params


def channel_token(role: str) -> str:
    """How a channel role is written in column names: ``dna → DNA``, ``reporter → Reporter``.

    Anything but lower-case ASCII letters and digits stays as it is: ``β-actin``, ``Mito tracker``, ``wga_488``.
    """
    if not (role.isascii() and role.isalnum() and role == role.lower()):
        return role
    return role.upper() if len(role) <= 3 else role.capitalize()


@cache
def _registered() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=ENTRY_POINT_GROUP)}


def family_names() -> tuple[str, ...]:
    """Names of all families that are installed: the built-in ones, then others by name."""
    there = set(_registered())
    return (*(name for name in ORDER if name in there), *sorted(there.difference(ORDER)))


def families(
    names: tuple[str, ...] | str, options: Mapping[str, Mapping[str, Any]] | None = None
) -> tuple[FeatureFamily, ...]:
    """Load the feature families of these names (``"all"``: the built-in and installed ones), each once, in this order.

    Parameters
    ----------
    names : names of families.
    options : settings by family, for those whose settings are not the defaults.

    Raises
    ------
    UsageError
        when no installed package registers a family of that name, or settings do not fit their family.
    """
    registered = _registered()
    wanted = family_names() if names == "all" else tuple([names] if isinstance(names, str) else names)
    for name in (*wanted, *(options or {})):
        refuse_unknown(name, registered, what="feature family")
    given = dict(options or {})
    return tuple(_made(name, registered[name].load(), given.get(name, {})) for name in dict.fromkeys(wanted))


def shared_needs(chosen: Iterable[FeatureFamily]) -> tuple[str, ...]:
    """The properties of :class:`Objects` that these families use, each once: what is computed before any family."""
    return tuple(dict.fromkeys(need for family in chosen for need in getattr(family, "needs", ())))


def _made(name: str, family: Any, settings: Mapping[str, Any]) -> FeatureFamily:
    if not hasattr(family, "Params"):
        if settings:
            raise UsageError(f"no settings for feature family {name}, which has none", found=", ".join(settings))
        made: FeatureFamily = family()
        return made
    try:
        made = family(family.Params.model_validate(dict(settings)))
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        raise UsageError(
            f"settings of feature family {name} out of: {', '.join(family.Params.model_fields) or '(it has none)'}",
            found="; ".join(problems),
        ) from None
    return made


def refuse_unknown(name: str, known: Iterable[str], *, what: str) -> None:
    """Raise UsageError with the nearest known name when ``name`` is none of them."""
    names = sorted(known)
    if name in names:
        return
    article = "an" if what[0] in "aeiou" else "a"
    near = get_close_matches(name, names, n=1)
    raise UsageError(
        f"{article} {what} out of: {', '.join(names) or '(none is installed)'}",
        found=repr(name),
        fix=f"did you mean {near[0]!r}?" if near else "correct the name, or install the package that provides it",
    )
