"""From the top of a plate down to its arrays: every document is read once, by its exact path."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hts.locations import Location, is_local
from hts.store.validate.blocks import OME_KEYS
from hts.store.validate.consolidated import Consolidated
from hts.store.validate.documents import FORMAT_OF, ArrayFacts, Group, read_array, read_group
from hts.store.validate.findings import Check, Finding, Validation, is_whole, placed
from hts.store.validate.image import check_image, is_inside
from hts.store.validate.label import check_label, check_labels
from hts.store.validate.levels import axis_names, check_array, check_channels, check_label_fits, check_levels
from hts.store.validate.own import absent_planes, check_own
from hts.store.validate.pixels import decode
from hts.store.validate.places import describe_other, open_place
from hts.store.validate.plate import check_plate, check_well

_LOCAL_THREADS, _REMOTE_THREADS = 4, 32
_BATCH = 1024
_KINDS = {"plate": "plate", "well": "well", "multiscales": "image"}
In = TypeVar("In")
Out = TypeVar("Out")


@dataclass
class _Seen:
    """What was found below one group; `sizes` and `levels` are those of its first multiscale."""

    findings: list[Finding] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    levels: int = 0
    labels: int = 0
    chunks: int = 0
    is_there: bool = False


@dataclass(frozen=True)
class _PlateFacts:
    """What the plate tells its wells."""

    acquisitions: dict[int, int | None] | None = None
    field_count: int | None = None


def validate(where: str | Location, *, every_plane: bool = False) -> Validation:
    """Say what is wrong with an OME-Zarr plate, well or image (0.4 or 0.5) and how to mend it.

    Nothing is listed and nothing written: the documents of all wells, images, levels and labels are opened by their
    exact paths, in threads.

    Parameters
    ----------
    where : a folder, an address such as ``s3://bucket/plate.ome.zarr``, or a ``.zip`` or ``.ozx`` file there.
    every_plane : also read every chunk of level 0 and report those that cannot be decoded.

    Raises
    ------
    NotFoundError
        when there is nothing at `where`.
    StoreError
        when its storage cannot be asked at all.
    """
    result = Validation(str(where))
    check = Check("top")
    root = open_place(where, check)
    if root is not None:
        group = _open_top(root, check)
        if group is not None:
            _Walk(root, group, result, every_plane).run()
    result.findings += check.findings
    result.sort()
    return result


def _open_top(root: Location, check: Check) -> Group | None:
    """The top group, in whichever format; None after saying what is there instead."""
    attempt = Check("top")
    for zarr_format in (3, 2):
        group = read_group(root, zarr_format, attempt, required=False)
        if group is not None or attempt.findings:
            check.findings += attempt.findings
            return group
    describe_other(root, check)
    return None


class _Walk:
    """One validation of one place."""

    def __init__(self, root: Location, top: Group, result: Validation, every_plane: bool) -> None:
        self.root = root
        self.top = top
        self.result = result
        self.every_plane = every_plane
        origin = top.attributes.get("hts")
        self.origin: dict[str, Any] = origin if isinstance(origin, dict) else {}
        check = Check("top")
        self.consolidated = Consolidated(top, check)
        result.findings += check.findings

    def run(self) -> None:
        kind = next((kind for key, kind in _KINDS.items() if key in self.top.ome or key in self.top.attributes), None)
        self.result.kind = kind
        self.result.version = self._declared() if kind else None
        threads = _LOCAL_THREADS if is_local(self.root) else _REMOTE_THREADS
        with ThreadPoolExecutor(threads) as pool:
            if kind == "plate":
                self._plate(pool)
            elif kind == "well":
                self._images(pool, self._take(self._well("", _PlateFacts(), self.top)).images)
            elif kind == "image":
                self._take(self._image("", self.top))
                self.result.images = 1
            else:
                self._not_an_image()

    def _declared(self) -> str:
        """The version that the top group names; the one of its Zarr format when it names none."""
        ome = self.top.ome
        first = next(iter(ome["multiscales"]), None) if isinstance(ome.get("multiscales"), list) else None
        for holder in (ome, ome.get("plate"), ome.get("well"), first):
            if isinstance(holder, dict) and isinstance(holder.get("version"), str):
                return str(holder["version"])
        return self.top.version

    def _not_an_image(self) -> None:
        check = Check("top")
        keys = {*self.top.ome, *self.top.attributes} & set(OME_KEYS)
        if "bioformats2raw.layout" in keys:
            text = "A plate or an image is expected, found a collection of images by bioformats2raw."
            check.error("collection", "", f"{text} Name one of its images, such as {self.root.name}/0.")
        elif "labels" in keys:
            check.error(
                "labels", "", "A plate or an image is expected, found a list of labels: name the image above it."
            )
        else:
            text = "OME metadata (plate or multiscales) is expected, found a Zarr group without."
            check.error("ome", "", f"{text} No viewer knows what to show: it is no OME-Zarr, or its metadata was lost.")
        self.result.findings += check.findings

    def _take(self, seen: _Seen) -> _Seen:
        self.result.findings += seen.findings
        self.result.labels += seen.labels
        self.result.chunks += seen.chunks
        return seen

    # --- plate and wells -------------------------------------------------------------------------------------

    def _plate(self, pool: ThreadPoolExecutor) -> None:
        self.result.findings += check_plate(self.top.attributes, self.top.version)
        plate = self.top.ome.get("plate")
        plate = plate if isinstance(plate, dict) else {}
        wells = _paths(plate.get("wells"))
        facts = _PlateFacts(_acquisitions(plate), _positive(plate.get("field_count")))
        rows = sorted({well.partition("/")[0] for well in wells if "/" in well})
        for findings in _spread(pool, self._row, rows):
            self.result.findings += findings
        images: list[str] = []
        for seen in _spread(pool, lambda well: self._well(well, facts), wells):
            self.result.wells += seen.is_there
            images += self._take(seen).images
        self._images(pool, images)
        check = Check("plate")
        check_own(check, self.root, self.origin, wells)
        self.result.findings += check.findings

    def _images(self, pool: ThreadPoolExecutor, images: Sequence[str]) -> None:
        for seen in _spread(pool, self._image, images):
            self.result.images += self._take(seen).is_there

    def _row(self, path: str) -> list[Finding]:
        attempt = Check("row")
        group = read_group(self.root / path, FORMAT_OF[self.top.version], attempt)
        if group is not None or attempt.findings[-1].rule != "row.absent":
            return placed(attempt.findings, path)
        check = Check("row")
        text = "A Zarr group for the row is expected, found none."
        check.warning("group", "", f"{text} Tools that go down folder by folder do not find its wells.")
        return placed(check.findings, path)

    def _well(self, path: str, facts: _PlateFacts, known: Group | None = None) -> _Seen:
        check = Check("well")
        group = known or self._group(path, check)
        if group is None:
            return _Seen(placed(check.findings, path))
        own = check_well(group.attributes, group.version, facts.acquisitions)
        well = group.ome.get("well")
        entries = well.get("images") if isinstance(well, dict) else None
        images = _paths(entries)
        _check_counts(check, entries if isinstance(entries, list) else [], facts)
        below = [f"{path}/{image}" if path else image for image in images]
        return _Seen(placed([*check.findings, *own], path), images=below, is_there=True)

    def _group(self, path: str, check: Check, *, required: bool = True) -> Group | None:
        group = read_group(self.root / path, self.top.format, check, required=required)
        if group is not None:
            name = f"{path}/.zattrs" if group.format == 2 else path
            copy = group.attributes if group.format == 2 else group.document
            self.consolidated.compare(name, copy, check)
        return group

    # --- images and labels -----------------------------------------------------------------------------------

    def _image(self, path: str, known: Group | None = None) -> _Seen:
        check = Check("image")
        group = known or self._group(path, check)
        if group is None:
            return _Seen(placed(check.findings, path))
        seen = _Seen(is_there=True)
        self._pixels_of(path, group, seen, check, is_label=False)
        check_channels(check, group.ome, seen.sizes)
        seen.findings += placed([*check_image(group.attributes, group.version), *check.findings], path)
        self._labels(path, group, seen)
        return seen

    def _pixels_of(self, path: str, group: Group, seen: _Seen, check: Check, *, is_label: bool) -> None:
        """The arrays of all multiscales of an image; remembers size and levels of the first."""
        multiscales = group.ome.get("multiscales")
        for i, multiscale in enumerate(multiscales if isinstance(multiscales, list) else []):
            if not isinstance(multiscale, dict) or not isinstance(multiscale.get("datasets"), list):
                continue
            datasets = multiscale["datasets"]
            levels = [self._array(path, group, multiscale, entry, seen, is_label=is_label) for entry in datasets]
            check_levels(check, multiscale, f"multiscales[{i}]", levels)
            if i == 0:
                seen.levels = len(datasets)
                if levels and levels[0] is not None:
                    names = axis_names(multiscale)
                    seen.sizes = {name: n for name, n in zip(names, levels[0].shape, strict=False) if name}
            if self.every_plane and levels and levels[0] is not None:
                self._decode(_below(path, datasets[0]["path"]), group, levels[0], seen, is_label=is_label)

    def _array(
        self, path: str, group: Group, multiscale: dict[str, Any], entry: Any, seen: _Seen, *, is_label: bool
    ) -> ArrayFacts | None:
        name = entry.get("path") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not name or not is_inside(name):
            return None
        check = Check("array")
        below = _below(path, name)
        facts = read_array(self.root / below, group.format, check)
        if facts is not None:
            check_array(check, facts, axis_names(multiscale), is_label=is_label)
            key = f"{below}/.zarray" if group.format == 2 else below
            self.consolidated.compare(key, json.loads(facts.document), check)
        seen.findings += placed(check.findings, below)
        return facts

    def _decode(self, path: str, group: Group, facts: ArrayFacts, seen: _Seen, *, is_label: bool) -> None:
        lost = None if is_label else absent_planes(group.attributes)
        chunks, findings = decode(self.root / path, path, facts, lost)
        seen.chunks += chunks
        seen.findings += findings

    def _labels(self, path: str, image: Group, seen: _Seen) -> None:
        here = _below(path, "labels")
        check = Check("labels")
        group = self._group(here, check, required=False)
        if group is not None:
            findings, listed = check_labels(group.attributes, group.version)
            check.findings += findings
            for name in listed:
                self._label(f"{here}/{name}", seen)
        seen.findings += placed(check.findings, here)

    def _label(self, path: str, image: _Seen) -> None:
        check = Check("label")
        group = self._group(path, check)
        seen = _Seen()
        if group is not None:
            image.labels += 1
            self._pixels_of(path, group, seen, check, is_label=True)
            check.findings += check_image(group.attributes, group.version) + check_label(
                group.attributes, group.version
            )
            if seen.levels and image.levels:
                check_label_fits(check, seen.sizes, image.sizes, (image.levels, seen.levels))
        image.chunks += seen.chunks
        image.findings += seen.findings + placed(check.findings, path)


def _below(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def _paths(entries: Any) -> list[str]:
    """Paths of a list of objects that can be followed, each once."""
    listed = entries if isinstance(entries, list) else []
    paths = [entry.get("path") for entry in listed if isinstance(entry, dict)]
    return list(dict.fromkeys(path for path in paths if isinstance(path, str) and path and is_inside(path)))


def _acquisitions(plate: dict[str, Any]) -> dict[int, int | None] | None:
    """The largest number of fields by acquisition; None where the plate does not tell. None when ids are broken."""
    listed = plate.get("acquisitions", [])
    entries = [entry if isinstance(entry, dict) else {} for entry in listed] if isinstance(listed, list) else [{}]
    if not all(is_whole(entry.get("id")) for entry in entries):
        return None
    return {entry["id"]: _positive(entry.get("maximumfieldcount")) for entry in entries}


def _positive(count: Any) -> int | None:
    return count if is_whole(count) and count > 0 else None


def _check_counts(check: Check, entries: list[Any], facts: _PlateFacts) -> None:
    """More fields than the plate announces: tools that make room from the plate's numbers lose the rest."""
    if facts.field_count is not None and len(entries) > facts.field_count * max(len(facts.acquisitions or {}), 1):
        text = f"At most {facts.field_count} fields, as the plate says, are expected, found {len(entries)}."
        check.warning("field_count", "well.images", f"{text} Tools may leave the last ones out.")
    numbers = [entry.get("acquisition") for entry in entries if isinstance(entry, dict)]
    known = facts.acquisitions or {}
    for number, count in Counter(int(number) for number in numbers if number is not None and is_whole(number)).items():
        most = known.get(number)
        if most is not None and count > most:
            text = f"At most {most} fields of acquisition {number}, as the plate says, are expected, found {count}."
            check.warning("maximumfieldcount", "well.images", f"{text} Tools may leave the last ones out.")


def _spread(pool: ThreadPoolExecutor, work: Callable[[In], Out], items: Iterable[In]) -> Iterator[Out]:
    """Results in order, a batch at a time, so that a plate of any size needs little memory."""
    todo = list(items)
    for start in range(0, len(todo), _BATCH):
        yield from pool.map(work, todo[start : start + _BATCH])
