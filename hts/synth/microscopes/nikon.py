"""Nikon NIS-Elements: one ``.nd2`` file a well, as JOBS writes them, or one file of all stage positions.

A minimal writer of the modern file format (version 3.0): the file's signature, chunks with their names and lengths, the
map of chunks at the end; attributes, picture metadata, experiment loops, text and acquisition times as "lite variant"
records. It writes what the package nd2 reads, on whose parser the knowledge of the format rests; NIS-Elements itself
was not at hand to open the files.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from hts.model import FieldKey, WellId
from hts.synth.scan import START, Pixels, PlateScan, Shot

_MAGIC = 0x0ABECEDA
_HEADER = struct.Struct("<IIQ")
_FRAME_NAME_BYTES = 4072
"""Frames' names are padded so that their pixels begin 4096 bytes after the chunk, past a time stamp of 8 bytes."""
_BOOL, _INT32, _UINT32, _DOUBLE, _STRING, _BYTES, _LEVEL = 1, 2, 3, 6, 8, 9, 11
_TIME, _POSITIONS, _Z = 1, 2, 4
_JULIAN_DAY_OF_1970 = 2440587.5
_MAP_NAME, _TAIL_NAME = b"ND2 FILEMAP SIGNATURE NAME 0001!", b"ND2 CHUNK MAP SIGNATURE 0000001!"


def write(folder: Path, scan: PlateScan, pixels: Pixels) -> dict[Shot, Path]:
    """One file a well: ``WellB03_ChannelDAPI,GFP_Seq0000.nd2``; frames of lost fields are announced and not there."""
    folder.mkdir(parents=True, exist_ok=True)
    names = ",".join(channel.name for channel in scan.channels)
    files: dict[Shot, Path] = {}
    for number, well in enumerate(scan.wells):
        path = folder / f"Well{well.name}_Channel{names}_Seq{number:04d}.nd2"
        files |= _write_file(path, scan, (well,), pixels)
    return files


def write_one_file(folder: Path, scan: PlateScan, pixels: Pixels) -> dict[Shot, Path]:
    """The whole plate in ``<plate>.nd2``, its stage positions named ``B03_0001`` …"""
    folder.mkdir(parents=True, exist_ok=True)
    return _write_file(folder / f"{scan.plate_name}.nd2", scan, scan.wells, pixels)


def _write_file(path: Path, scan: PlateScan, wells: Sequence[WellId], pixels: Pixels) -> dict[Shot, Path]:
    points = [FieldKey(well, number) for well in wells for number in range(1, scan.fields + 1)]
    shots = [shot for shot in scan.shots() if shot.well in wells]
    with path.open("wb") as file:
        chunks = _Chunks(file)
        for place, key in enumerate(points):
            planes = {shot: pixels(shot) for shot in shots if shot.key == key}
            for t in range(scan.n_t if planes else 0):
                for z in range(scan.n_z):
                    stack = [planes[Shot(*key, channel, z, t)] for channel in range(len(scan.channels))]
                    frame = (t * len(points) + place) * scan.n_z + z
                    chunks.frame(frame, np.stack(stack, axis=-1))
        _write_metadata(chunks, scan, points)
        chunks.finish()
    return dict.fromkeys(shots, path)


class _Chunks:
    """Chunks of a file, and where each one is."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._places: dict[bytes, tuple[int, int]] = {}
        file.write(_HEADER.pack(_MAGIC, 32, 64) + b"ND2 FILE SIGNATURE CHUNK NAME01!" + b"Ver3.0".ljust(64, b"\0"))

    def add(self, name: bytes, data: bytes, name_bytes: int = 0) -> None:
        place = self._file.tell()
        self._places[name] = place, len(data)
        padded = name.ljust(max(name_bytes, len(name)), b"\0")
        self._file.write(_HEADER.pack(_MAGIC, len(padded), len(data)) + padded + data)

    def frame(self, number: int, pixels: NDArray[Any]) -> None:
        """A frame (Y, X, channel), after its time stamp."""
        little = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("<"))
        self.add(b"ImageDataSeq|%d!" % number, struct.pack("<d", 0.0) + little.tobytes(), _FRAME_NAME_BYTES)

    def finish(self) -> None:
        place = self._file.tell()
        rows = b"".join(name + struct.pack("<QQ", *where) for name, where in self._places.items())
        data = rows + _TAIL_NAME + struct.pack("<Q", place)
        self._file.write(_HEADER.pack(_MAGIC, len(_MAP_NAME), len(data)) + _MAP_NAME + data)


def _write_metadata(chunks: _Chunks, scan: PlateScan, points: Sequence[FieldKey]) -> None:
    times_ms = [
        (scan.acquired(Shot(*key, 0, z, t)) - START).total_seconds() * 1000
        for t in range(scan.n_t)
        for key in points
        for z in range(scan.n_z)
    ]
    chunks.add(b"ImageAttributesLV!", _record("SLxImageAttributes", _attributes(scan, len(times_ms))))
    chunks.add(b"ImageMetadataSeqLV|0!", _record("SLxPictureMetadata", _picture(scan)))
    chunks.add(b"ImageMetadataLV!", _record("SLxExperiment", _experiment(scan, points)))
    text = {"TextInfoItem_5": _description(scan), "TextInfoItem_13": scan.objective}
    chunks.add(b"ImageTextInfoLV!", _record("SLxImageTextInfo", text))
    chunks.add(b"CustomData|AcqTimesCache!", np.array(times_ms, "<f8").tobytes())


def _attributes(scan: PlateScan, n_frames: int) -> dict[str, Any]:
    height, width = scan.shape
    n_channels = len(scan.channels)
    return {
        "uiWidth": width,
        "uiWidthBytes": width * n_channels * 2,
        "uiHeight": height,
        "uiComp": n_channels,
        "uiBpcInMemory": 16,
        "uiBpcSignificant": 16,
        "uiSequenceCount": n_frames,
        "uiTileWidth": width,
        "uiTileHeight": height,
        "eCompression": np.int32(2),
        "dCompressionParam": 0.0,
    }


def _picture(scan: PlateScan) -> dict[str, Any]:
    days = (START - datetime(1970, 1, 1)).total_seconds() / 86_400
    planes = {
        f"a{number}": {
            "uiCompCount": 1,
            "uiSampleIndex": number,
            "sDescription": channel.name,
            "uiColor": 0xFFFFFF,
            "pFluorescentProbe": {
                "m_ExcitationSpectrum": _line(channel.excitation_nm),
                "m_EmissionSpectrum": _line(channel.emission_nm),
            },
        }
        for number, channel in enumerate(scan.channels)
    }
    return {
        "dTimeAbsolute": _JULIAN_DAY_OF_1970 + days,
        "dTimeMSec": 0.0,
        "dXPos": 0.0,
        "dYPos": 0.0,
        "dZPos": 0.0,
        "bCalibrated": True,
        "dCalibration": scan.pixel_size_um,
        "wsObjectiveName": scan.objective,
        "dObjectiveMag": scan.magnification,
        "dObjectiveNA": scan.numerical_aperture,
        "sPicturePlanes": {"uiCount": len(planes), "uiCompCount": len(planes), "sPlaneNew": planes},
    }


def _line(wavelength_nm: float) -> dict[str, Any]:
    return {"uiCount": 1, "pPoint": {"Point0": {"eType": 4, "dWavelength": wavelength_nm, "dTValue": 1.0}}}


def _experiment(scan: PlateScan, points: Sequence[FieldKey]) -> dict[str, Any]:
    """Loops over time, positions and z, the outer one first; a loop of one is left out, but for the positions."""
    loops: list[dict[str, Any]] = []
    if scan.n_t > 1:
        times = {
            "uiCount": scan.n_t,
            "dStart": 0.0,
            "dPeriod": scan.time_step_s * 1000,
            "dDuration": scan.time_step_s * 1000 * (scan.n_t - 1),
        }
        loops.append({"eType": _TIME, "uLoopPars": times})
    places = [
        {"dPosX": x_um, "dPosY": y_um, "dPosZ": 100.0, "dPosName": f"{key.well.name}_{key.field:04d}"}
        for key, (x_um, y_um) in ((key, scan.stage_um(key)) for key in points)
    ]
    positions = {"uiCount": len(points), "bUseZ": True, "Points": places}
    loops.append({"eType": _POSITIONS, "uLoopPars": positions, "pItemValid": bytes([1] * len(points))})
    if scan.n_z > 1:
        height_um = scan.z_step_um * (scan.n_z - 1)
        stack = {
            "uiCount": scan.n_z,
            "dZLow": 100.0,
            "dZHigh": 100.0 + height_um,
            "dZStep": scan.z_step_um,
            "dZHome": 100.0,
            "bZInverted": False,
            "iType": np.int32(2),
        }
        loops.append({"eType": _Z, "uLoopPars": stack})
    for outer, inner in zip(reversed(loops[:-1]), reversed(loops), strict=False):
        outer["ppNextLevelEx"] = [inner]
    return loops[0]


def _description(scan: PlateScan) -> str:
    lines = ["Metadata:"]
    for number, channel in enumerate(scan.channels, 1):
        lines += [f"Plane #{number}:", f" Name: {channel.name}", f"   Exposure: {channel.exposure_ms:g} ms"]
    return "\r\n".join(lines)


def _record(name: str, value: object) -> bytes:
    """A "lite variant" record: type, length of the name, name, value; levels end with the places of their items."""
    encoded = (name + "\0").encode("utf-16-le")
    kind, data = _encode(value)
    head = struct.pack("<BB", kind, len(name) + 1) + encoded
    if kind != _LEVEL:
        return head + data
    items: list[bytes] = value_items(value)
    body = b"".join(items)
    n_head = len(head) + 12
    places = np.cumsum([n_head, *(len(item) for item in items[:-1])]) if items else np.zeros(0)
    return head + struct.pack("<IQ", len(items), n_head + len(body)) + body + places.astype("<u8").tobytes()


def value_items(value: object) -> list[bytes]:
    """Records of the items of a mapping, or of a list, whose items have no names."""
    if isinstance(value, Mapping):
        return [_record(str(name), item) for name, item in value.items()]
    return [_record("", item) for item in value] if isinstance(value, list) else []


def _encode(value: object) -> tuple[int, bytes]:
    if isinstance(value, bool):
        return _BOOL, struct.pack("<B", value)
    if isinstance(value, np.int32):
        return _INT32, struct.pack("<i", int(value))
    if isinstance(value, int):
        return _UINT32, struct.pack("<I", value)
    if isinstance(value, float):
        return _DOUBLE, struct.pack("<d", value)
    if isinstance(value, str):
        return _STRING, (value + "\0").encode("utf-16-le")
    if isinstance(value, bytes):
        return _BYTES, struct.pack("<Q", len(value)) + value
    return _LEVEL, b""
