"""Rules of plate and well metadata in OME-Zarr 0.4 and 0.5 (specifications, sections plate and well)."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from hts.store.validate.blocks import block, check_block_version, check_version
from hts.store.validate.findings import Check, Finding, is_whole, join, repeated, shown

_ALPHANUMERIC = re.compile("[a-zA-Z0-9]+")
_BIOFORMATS_LAYOUT = 3


def check_plate(attributes: Any, version: str) -> list[Finding]:
    """Check the attributes of a plate's top group; `version` is ``"0.4"`` or ``"0.5"``.

    The text of 0.5 demands ``plate.version``, all plates of its JSON suite lack it and the version stands under
    ``ome`` anyway: its absence is a warning.
    """
    check = Check("plate")
    ome = block(check, attributes, version, "plate")
    if ome is None:
        return check.findings
    plate = ome["plate"]
    if not isinstance(plate, dict):
        check.error("block", "plate", f"An object is expected, found {shown(plate)}. Nobody can find the wells.")
        return check.findings
    check_version(check, plate, "plate", version, missing="warning")
    if "bioformats2raw.layout" in ome and ome["bioformats2raw.layout"] != _BIOFORMATS_LAYOUT:
        text = f"The value 3 is expected, found {shown(ome['bioformats2raw.layout'])}. Readers may refuse the plate."
        check.error("layout", "bioformats2raw.layout", text)
    rows, columns = (_check_names(check, plate, key) for key in ("rows", "columns"))
    _check_wells(check, plate, rows, columns)
    _check_acquisitions(check, plate)
    _check_description(check, plate)
    return check.findings


def _check_description(check: Check, plate: dict[str, Any]) -> None:
    if "name" not in plate:
        check.warning("name", "plate", "A name is recommended and there is none; reports show the folder's name.")
    elif not isinstance(plate["name"], str):
        check.error("name", "plate.name", f"The name is expected to be text, found {shown(plate['name'])}.")
    if "field_count" in plate:
        check.whole(plate, "field_count", "plate", "field_count", least=1)
    else:
        text = "The largest number of fields of a well is recommended and not told; tools look into every well for it."
        check.note("field_count", "plate", text)


def _check_names(check: Check, plate: dict[str, Any], key: str) -> list[str | None]:
    """Names of the rows or columns; None for those that are not in order."""
    entries = check.objects(plate, key, "plate", key, f"Wells cannot be placed without all {key} of the plate.")
    names: list[str | None] = []
    for at, entry in entries:
        name = check.text(entry, "name", at, f"{key}.name", "Wells cannot be placed.")
        names.append(name)
        if name is not None and not _ALPHANUMERIC.fullmatch(name):
            text = (
                f"A name of letters and digits only is expected, found {shown(name)}. Names are folders and addresses."
            )
            check.error(f"{key}.name", join(at, "name"), text)
    if twice := repeated(names):
        text = f"Every name is expected once, found {shown(twice[0])} more than once. Two wells share one folder."
        check.error(f"{key}.unique", join("plate", key), text)
    elif twice := repeated(name.lower() for name in names if name):
        text = f"Names that differ in more than case are recommended, found {shown(twice[0])} in two ways."
        check.warning(f"{key}.case", join("plate", key), f"{text} On Windows and macOS they are one folder.")
    return names


def _check_wells(check: Check, plate: dict[str, Any], rows: list[str | None], columns: list[str | None]) -> None:
    wells = check.objects(plate, "wells", "plate", "wells", "The plate is empty for every tool.")
    for at, well in wells:
        path = check.text(well, "path", at, "well.path", "The well cannot be found.")
        row = check.whole(well, "rowIndex", at, "well.index")
        column = check.whole(well, "columnIndex", at, "well.index")
        if path is not None and rows and columns:
            _check_well_path(check, path, (row, column), (rows, columns), at)
    if twice := repeated(well.get("path") for _, well in wells if isinstance(well.get("path"), str)):
        text = f"Every well is expected once, found {shown(twice[0])} more than once. Tools count it twice."
        check.error("well.unique", "plate.wells", text)


def _check_well_path(
    check: Check,
    path: str,
    index: tuple[int | None, int | None],
    names: tuple[list[str | None], list[str | None]],
    at: str,
) -> None:
    parts = path.split("/")
    if len(parts) != 2 or parts[0] not in names[0] or parts[1] not in names[1]:
        text = f"<name of a row>/<name of a column> is expected, found {shown(path)}"
        swapped = len(parts) == 2 and parts[1] in names[0] and parts[0] in names[1]
        text += ", column before row." if swapped else "."
        check.error("well.path", join(at, "path"), f"{text} Tools that place wells by their path lose this one.")
        return
    for number, own, known, key in zip(index, parts, names, ("rowIndex", "columnIndex"), strict=True):
        if number is not None and (number >= len(known) or known[number] != own):
            named = "is outside the plate" if number >= len(known) else f"means {known[number]!r}"
            text = f"{key} {known.index(own)}, as {path!r} says, is expected, found {number}, which {named}."
            check.error("well.place", join(at, key), f"{text} The well appears in two places, or in the wrong one.")


def _check_acquisitions(check: Check, plate: dict[str, Any]) -> None:
    if "acquisitions" not in plate:
        return
    if plate["acquisitions"] == []:
        return
    entries = check.objects(plate, "acquisitions", "plate", "acquisitions", "Fields cannot be told apart by time.")
    for at, entry in entries:
        check.whole(entry, "id", at, "acquisitions.id")
        for key in ("maximumfieldcount", "starttime", "endtime"):
            if key in entry:
                check.whole(entry, key, at, f"acquisitions.{key}", least=int(key == "maximumfieldcount"))
        if "maximumfieldcount" not in entry:
            check.warning("acquisitions.maximumfieldcount", at, "The number of fields is recommended and not told.")
        if "name" not in entry:
            check.warning("acquisitions.name", at, "A name is recommended and there is none; people see a number.")
        for key in ("name", "description"):
            if key in entry and not isinstance(entry[key], str):
                text = f"Text is expected, found {shown(entry[key])}. Tools may refuse the plate."
                check.error(f"acquisitions.{key}", join(at, key), text)
    if twice := repeated(entry.get("id") for _, entry in entries if is_whole(entry.get("id"))):
        text = f"Every id is expected once, found {twice[0]} more than once. Fields cannot be assigned."
        check.error("acquisitions.unique", "plate.acquisitions", text)


def check_well(attributes: Any, version: str, acquisitions: Collection[int] | None = None) -> list[Finding]:
    """Check the attributes of a well.

    Parameters
    ----------
    acquisitions : ids that the plate lists; None when the plate is not known.
    """
    check = Check("well")
    ome = block(check, attributes, version, "well")
    if ome is None:
        return check.findings
    well = ome["well"]
    if not isinstance(well, dict):
        check.error("block", "well", f"An object is expected, found {shown(well)}. Nobody can find the fields.")
        return check.findings
    check_block_version(check, well, "well", version)
    images = check.objects(well, "images", "well", "images", "The well is empty for every tool.")
    for at, image in images:
        path = check.text(image, "path", at, "image.path", "The field cannot be found.")
        if path is not None and not _ALPHANUMERIC.fullmatch(path):
            text = (
                f"A name of letters and digits only is expected, found {shown(path)}. Some tools do not find the field."
            )
            check.error("image.path", join(at, "path"), text)
        _check_acquisition(check, image, at, acquisitions)
    if twice := repeated(image.get("path") for _, image in images if isinstance(image.get("path"), str)):
        text = f"Every field is expected once, found {shown(twice[0])} more than once. It would be measured twice."
        check.error("image.unique", "well.images", text)
    return check.findings


def _check_acquisition(check: Check, image: dict[str, Any], at: str, known: Collection[int] | None) -> None:
    if "acquisition" in image:
        number = check.whole(image, "acquisition", at, "acquisition")
        if known is not None and number is not None and number not in known:
            listed = ", ".join(map(str, sorted(known))) or "none"
            text = f"An acquisition that the plate lists ({listed}) is expected, found {number}."
            severity = check.error if known else check.warning
            severity("acquisition.known", join(at, "acquisition"), f"{text} Tools that group fields by it fail.")
    elif known is not None and len(known) > 1:
        text = f"The plate has {len(known)} acquisitions, so each field must name its own; found nothing."
        check.error("acquisition", at, f"{text} Time points or cycles cannot be told apart.")
