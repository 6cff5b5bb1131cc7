"""``hts inspect``"""

from __future__ import annotations

from hts.cli.convert import Channels, Fields, Pattern, Reader, Source, Wells, part_of
from hts.cli.output import Json, emit, show, verb


@verb
def inspect(
    src: Source,
    reader: Reader = None,
    pattern: Pattern = None,
    wells: Wells = None,
    channels: Channels = None,
    fields: Fields = None,
    as_json: Json = False,
) -> int:
    """Say what a microscope's folder or an OME-Zarr plate holds, and what is missing, before anything is written.

    Example: hts inspect images/
    """
    from hts.engine.inspection import inspect_source

    found = inspect_source(src, reader=reader, pattern=pattern, part=part_of(wells, channels, fields))
    if as_json:
        emit(found.to_json())
        return 0
    for line in found.lines():
        show(line)
    return 0
