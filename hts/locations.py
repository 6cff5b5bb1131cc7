"""Where files are: a path on this machine, or an address such as ``s3://bucket/plate`` or ``memory://plate``.

Addresses are ``universal_pathlib`` paths: they behave like ``pathlib`` paths and reach every file system that fsspec
knows. Credentials and endpoints come from the environment, as that file system's own tools expect them
(``AWS_PROFILE``, ``AWS_ENDPOINT_URL`` …).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from hts.errors import UsageError

if TYPE_CHECKING:
    from upath import UPath

Location: TypeAlias = "Path | UPath"
"""A path or an address; both have ``/``, ``name``, ``open``, ``read_bytes``, ``iterdir`` and the like."""


def location(where: str | Path | UPath) -> Location:
    """Turn what people write into a location; nothing is looked at.

    >>> location("plates/a.ome.zarr").name
    'a.ome.zarr'

    Raises
    ------
    UsageError
        when nothing installed knows the protocol of an address.
    """
    if not isinstance(where, str):
        # UPath has a type of its own for files of this machine, which is no pathlib path.
        return Path(str(where).removeprefix("file://")) if getattr(where, "protocol", "") == "file" else where
    protocol, separator, rest = where.partition("://")
    if not separator:
        return Path(where).expanduser()
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


def is_local(place: Location) -> bool:
    """Whether a location is a path on this machine."""
    return isinstance(place, Path)


def relative_name(place: Location, root: Location) -> str:
    """Name of a place below ``root``, with ``/`` between folders; the whole name where it is not below."""
    return place.as_posix().removeprefix(root.as_posix().rstrip("/") + "/")
