"""What validation found: findings one by one for programs, and grouped by kind for people."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, TypeGuard

Severity = Literal["error", "warning", "note"]
_ORDER: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be.

    ``severity`` is ``error`` (a MUST of the specification is broken, or something cannot be read), ``warning`` (a
    SHOULD, or what commonly breaks tools) or ``note`` (worth knowing; nothing breaks). ``rule`` names the kind of
    finding, such as ``image.scale.length``; ``place`` is the group or file relative to what was validated (empty
    for the root) and ``at`` the key inside its document. ``text`` says what was expected and found, what it means
    and how to mend it.
    """

    severity: Severity
    rule: str
    place: str
    at: str
    text: str

    @property
    def where(self) -> str:
        """Place and key for people."""
        place = self.place or "the top"
        return f"{place} ({self.at})" if self.at else place


class Check:
    """Collects the findings about one document; `noun` (plate, well, image, label …) begins the names of its rules."""

    def __init__(self, noun: str) -> None:
        self.noun = noun
        self.findings: list[Finding] = []

    def add(self, severity: Severity, rule: str, at: str, text: str) -> None:
        """Remember a finding."""
        self.findings.append(Finding(severity, f"{self.noun}.{rule}", "", at, text))

    def error(self, rule: str, at: str, text: str) -> None:
        """A broken MUST."""
        self.add("error", rule, at, text)

    def warning(self, rule: str, at: str, text: str) -> None:
        """A broken SHOULD, or what is known to trouble tools."""
        self.add("warning", rule, at, text)

    def note(self, rule: str, at: str, text: str) -> None:
        """Worth knowing; nothing breaks."""
        self.add("note", rule, at, text)

    def objects(self, holder: dict[str, Any], key: str, at: str, rule: str, why: str) -> list[tuple[str, Any]]:
        """The JSON objects of a list that must be there and hold something, each with its pointer.

        Entries that are no objects are reported and come as empty ones, so that indices stay what they are.
        """
        here = join(at, key)
        value = holder.get(key)
        if not isinstance(value, list) or not value:
            found = "nothing" if key not in holder else shown(value)
            self.error(rule, here, f"A list of objects with at least one entry is expected, found {found}. {why}")
            return []
        wrong = [index for index, entry in enumerate(value) if not isinstance(entry, dict)]
        for index in wrong:
            self.error(rule, f"{here}[{index}]", f"An object is expected, found {shown(value[index])}. {why}")
        return [(f"{here}[{i}]", entry if i not in wrong else {}) for i, entry in enumerate(value)]

    def text(self, holder: dict[str, Any], key: str, at: str, rule: str, why: str) -> str | None:
        """A text that must be there; None after reporting that it is not."""
        value = holder.get(key)
        if isinstance(value, str) and value:
            return value
        found = "nothing" if key not in holder else shown(value)
        self.error(rule, join(at, key), f"A text is expected, found {found}. {why}")
        return None

    def whole(self, holder: dict[str, Any], key: str, at: str, rule: str, least: int = 0) -> int | None:
        """A whole number of at least `least` that must be there; None after reporting that it is not."""
        value = holder.get(key)
        if is_whole(value) and value >= least:
            return value
        found = "nothing" if key not in holder else shown(value)
        text = f"A whole number from {least} is expected, found {found}. Tools refuse the file or count wrongly."
        self.error(rule, join(at, key), text)
        return None


def join(at: str, key: str) -> str:
    """A pointer one key further: ``plate`` and ``rows`` give ``plate.rows``."""
    return f"{at}.{key}" if at else key


def shown(value: Any) -> str:
    """A value in a message, cut to what fits on a line."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def is_whole(value: Any) -> TypeGuard[int]:
    """Whether a JSON value is a whole number; true and false are not."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a JSON value is a finite number that a float can hold; true and false are not."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= sys.float_info.max


def repeated(values: Iterable[Any]) -> list[Any]:
    """Values that are there more than once."""
    return [value for value, n in Counter(value for value in values if value is not None).items() if n > 1]


def placed(findings: Iterable[Finding], place: str) -> list[Finding]:
    """The same findings with their place."""
    return [replace(finding, place=place) for finding in findings]


@dataclass
class Validation:
    """Everything that was found, and how much was looked at.

    ``kind`` is plate, well or image, None when it is none of them; ``version`` the version of OME-Zarr. ``chunks``
    counts the chunk files of level 0 that were decoded, which is only done when asked for.
    """

    place: str
    kind: str | None = None
    version: str | None = None
    findings: list[Finding] = field(default_factory=list)
    wells: int = 0
    images: int = 0
    labels: int = 0
    chunks: int = 0

    def count(self, severity: Severity) -> int:
        """Number of findings of a severity."""
        return sum(finding.severity == severity for finding in self.findings)

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return self.count("error") == 0

    def sort(self) -> None:
        """Errors first; what belongs to one rule stands together, in the order of the places."""
        self.findings.sort(key=lambda f: (_ORDER.index(f.severity), f.rule, f.place, f.at))

    def lines(self) -> list[str]:
        """For people: one paragraph a kind of finding."""
        looked = [f"{n} {noun}" for n, noun in self._counts() if n]
        kind = (
            f"OME-Zarr {self.version or 'of unknown version'} {self.kind}"
            if self.kind
            else "no OME-Zarr plate or image"
        )
        first = f"{self.place}: " + ", ".join([kind, *looked])
        groups: dict[tuple[str, str], list[Finding]] = {}
        for finding in self.findings:
            groups.setdefault((finding.severity, finding.rule), []).append(finding)
        return [first, *(_paragraph(group) for group in groups.values()), self._verdict()]

    def _counts(self) -> list[tuple[int, str]]:
        wells = self.wells if self.kind == "plate" else 0
        images = self.images if self.kind != "image" else 0
        return [
            (wells, "wells"),
            (images, "images"),
            (self.labels, "label images"),
            (self.chunks, "chunk files decoded"),
        ]

    def _verdict(self) -> str:
        counts = [(self.count(severity), severity) for severity in _ORDER]
        told = [f"{n} {severity}{'s' * (n > 1)}" for n, severity in counts if n]
        return ", ".join(told) if told else "nothing to mend"

    def to_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        return {
            "place": self.place,
            "kind": self.kind,
            "version": self.version,
            "ok": self.ok,
            "wells": self.wells,
            "images": self.images,
            "labels": self.labels,
            "chunks": self.chunks,
            "errors": self.count("error"),
            "warnings": self.count("warning"),
            "notes": self.count("note"),
            "findings": [asdict(finding) for finding in self.findings],
        }


def _paragraph(group: Sequence[Finding]) -> str:
    first = group[0]
    places = len({finding.place for finding in group})
    if len(group) == 1:
        head = first.where
    elif places == 1:
        head = f"{len(group)} times in {first.place or 'the top'}, first at {first.at}"
    else:
        head = f"{places} places, first in {first.where}"
    return f"{first.severity}: {head}: {first.text}"
