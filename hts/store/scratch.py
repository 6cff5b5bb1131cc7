"""Arrays that tasks leave for one another in the results folder: small, fast, whole or not there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hts.errors import StoreError
from hts.locations import Location
from hts.store.files import read_bytes, storage_errors, write_bytes
from hts.store.shards import LABELS, decode_chunk, encode_chunk

_LENGTH_BYTES = 8


def write_arrays(place: Location, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write named arrays into one file, atomically; the same arrays give the same bytes.

    The file is a line of JSON with names, types and shapes, after its length, and then every array compressed by Blosc.

    Raises
    ------
    StoreError
        when it cannot be written.
    """
    heads, parts = [], []
    for name, array in arrays.items():
        content = encode_chunk(np.ascontiguousarray(array), LABELS) if array.size else b""
        heads.append([name, array.dtype.str, list(array.shape), len(content)])
        parts.append(content)
    head = json.dumps(heads).encode()
    write_bytes(place, b"".join([len(head).to_bytes(_LENGTH_BYTES, "little"), head, *parts]))


def read_arrays(place: Location) -> dict[str, NDArray[Any]]:
    """Read what :func:`write_arrays` wrote.

    Raises
    ------
    StoreError
        when the file is not there, or damaged.
    """
    with storage_errors(place, "read"):
        content = read_bytes(place)
    try:
        begin = _LENGTH_BYTES + int.from_bytes(content[:_LENGTH_BYTES], "little")
        found = {}
        for name, dtype, shape, length in json.loads(content[_LENGTH_BYTES:begin]):
            flat = np.frombuffer(decode_chunk(content[begin : begin + length]) if length else b"", dtype)
            found[name] = flat.reshape(shape).copy()
            begin += length
    except (ValueError, TypeError, RuntimeError) as error:
        raise StoreError(f"{place} holds arrays", found=f"{type(error).__name__}: {error}") from error
    return found
