"""Where files are: a path on this machine, or an address such as ``s3://bucket/plate`` or ``memory://plate``.

Addresses are ``universal_pathlib`` paths: they behave like ``pathlib`` paths and reach every file system that fsspec
knows. Credentials and endpoints come from the environment, as that file system's own tools expect them
(``AWS_PROFILE``, ``AWS_ENDPOINT_URL`` …).
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from hts.errors import UsageError

if TYPE_CHECKING:
    from upath import UPath

_NO_CHARACTER = re.compile("[\ud800-\udfff]")
_BYTES_FROM = 0xDC00

Location: TypeAlias = "Path | UPath"
"""A path or an address; both have ``/``, ``name``, ``open``, ``read_bytes``, ``iterdir`` and the like."""


def location(where: str | Path | UPath) -> Location:
    """Turn what people write into a location; nothing is looked at.

    >>> location("plates/a.ome.zarr").name
    'a.ome.zarr'

    Raises
    ------
    UsageError
        when nothing installed knows the protocol of an address, or ``~name`` is nobody's folder.
    """
    if not isinstance(where, str):
        # UPath has a type of its own for files of this machine, which is no pathlib path.
        return Path(str(where).removeprefix("file://")) if getattr(where, "protocol", "") == "file" else where
    protocol, separator, rest = where.partition("://")
    if not separator:
        return expanded(Path(where))
    if protocol == "file":
        return Path(rest)
    from fsspec import get_filesystem_class
    from upath import UPath

    try:
        # Asked first: UPath would take an unknown protocol for the name of a folder.
        get_filesystem_class(protocol)
    except (ImportError, ValueError) as error:
        raise UsageError(
            "a path, or an address such as s3://bucket/plate.ome.zarr",
            found=f"{where} ({error})",
            fix="pip install 'hts[s3]' for S3; fsspec's documentation names the package of other protocols",
        ) from error
    return UPath(where)


def expanded(path: Path) -> Path:
    """The path with the home folder in place of ``~``; UsageError where nobody has that one."""
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise UsageError(
            "a path of this machine", found=f"{path} ({error})", fix="write the path in full, or ./~name for a file"
        ) from error


def is_local(place: Location) -> bool:
    """Whether a location is a path on this machine."""
    return isinstance(place, Path)


def relative_name(place: Location, root: Location) -> str:
    """Name of a place below ``root``, with ``/`` between folders; the whole name where it is not below.

    It is :func:`printable`: what opens the file is the place, never its name.
    """
    return printable(place.as_posix().removeprefix(root.as_posix().rstrip("/") + "/"))


def printable(name: str | Path | UPath) -> str:
    """A name as text that every file and screen takes: bytes that are no UTF-8 are written ``\\xb5``."""
    text = str(name)
    return text if text.isascii() else _NO_CHARACTER.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    # Python carries a byte of a file's name that is no UTF-8 as U+DC80 to U+DCFF.
    return f"\\x{code - _BYTES_FROM:02x}" if 0x80 <= code - _BYTES_FROM <= 0xFF else f"\\u{code:04x}"


def file_errors(*others: type[Exception]) -> tuple[type[Exception], ...]:
    """What reading and writing a location can raise: `OSError`, and what clients of object stores raise instead.

    Their classes are taken from modules that are loaded already: if none is, none of them can have been raised.
    """
    found: list[type[Exception]] = [*others, OSError, NotImplementedError]
    for module, names in (("botocore.exceptions", ("BotoCoreError", "ClientError")), ("aiohttp", ("ClientError",))):
        if module in sys.modules:
            found += [getattr(sys.modules[module], name) for name in names]
    return tuple(found)
