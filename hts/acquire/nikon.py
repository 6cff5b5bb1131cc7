"""Nikon NIS-Elements: plates in ``.nd2`` files.

A JOBS or HCS acquisition leaves one file a well, or one a stage position of a well, named for example
``WellB03_ChannelDAPI_Seq0000.nd2`` or ``WellB03_PointB03_0001_ChannelDAPI_Seq0007.nd2``; or one file whose stage
positions are named after their wells (``B03``, ``B03_0001``, ``WellB03``). Positions win over file names; channels, z
planes, time points and fields inside a file are those of its experiment loops.

Tested on plates that ``hts synth`` writes in this layout; no real sample was at hand. Names of files are those that
users report; what is inside is read by the package nd2.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar

from hts.acquire.build import Stage, absent
from hts.acquire.containers import Container, Contents, Inside, build_containers
from hts.acquire.listing import Listing
from hts.acquire.metadata import later
from hts.acquire.names import read_name
from hts.acquire.opened import reading
from hts.acquire.table import Acquisition, Source
from hts.errors import SourceError
from hts.locations import Location
from hts.model import Channel, WellId

SUFFIX = ".nd2"
_JULIAN_DAY_OF_1970 = 2440587.5
_NAME_LINE = re.compile(r"^\s*Name:\s*(.+?)\s*$")
_EXPOSURE_LINE = re.compile(r"^\s*Exposure:\s*([\d.]+)\s*(us|µs|ms|s)\b", re.IGNORECASE)
_IN_MS = {"us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3}
_TIMES = b"CustomData|AcqTimesCache!"
_Value = TypeVar("_Value")


class NikonReader:
    """Reads folders of ``.nd2`` files, or one of them."""

    name = "nikon"

    def sniff(self, listing: Listing) -> float:
        """Fraction of the image files that are nd2 files."""
        return len(listing.with_suffix(SUFFIX)) / len(listing.images) if listing.images else 0.0

    def read(self, listing: Listing) -> Source:
        """The plate; SourceError when no file can be read, or neither positions nor files are named after wells."""
        return self._read(listing, None)

    def read_forced(self, listing: Listing) -> Source:
        """As :meth:`read`; a lone file without a well becomes a plate of the well A01."""
        return self._read(listing, WellId(0, 0))

    def _read(self, listing: Listing, forced: WellId | None) -> Source:
        images = listing.with_suffix(SUFFIX)
        if not images:
            raise SourceError(f".nd2 files in {listing.root}", found=", ".join(listing.examples) or "no image")
        return build_containers(listing, images, Container(self.name, describe, forced))


def describe(path: Location) -> Contents:
    """What an nd2 file says of its planes; SourceError when it cannot be read or has an axis that no plate has."""
    from hts.acquire import nd2_file

    with reading(path, nd2_file.KIND, nd2_file.BROKEN), nd2_file.FILES.use(path) as opened:
        nd2_file.check_kind(path, opened)
        notes: list[str] = []
        optional = _Optional(path, nd2_file.BROKEN, notes)
        frames = _frames(path, opened.nd2)
        points = _points(opened.nd2)
        clock = optional(lambda: _clock(opened), None)
        turn = optional(lambda: _turn(opened.nd2), (1, 1))
        planes: list[Inside] = []
        for number, frame in enumerate(frames):
            file = None if opened.has_frame(number) else absent(path.name, _not_there(path, number))
            stage = _stage(_place(opened.nd2, points, frame), turn, clock.time_of(number) if clock else "")
            well, field = (points[frame.point].well, points[frame.point].field) if points else (None, None)
            for channel in range(opened.n_channels):
                index = number * opened.n_channels + channel
                planes.append(Inside(index, channel, frame.z, frame.t, well, field, stage, file))
        return Contents(
            planes=tuple(planes),
            channels=optional(
                lambda: tuple(_channels(opened.nd2, exposures_ms(opened.nd2))), (Channel(""),) * opened.n_channels
            ),
            pixel_size=optional(lambda: nd2_file.pixel_size(opened.nd2), None),
            acquisition=optional(lambda: _acquisition(opened.nd2, clock.start if clock else ""), Acquisition()),
            notes=tuple(notes),
            hint=_point_hint(points),
        )


class _Optional:
    """Facts that a file may do without: what cannot be understood becomes a note."""

    def __init__(self, path: Location, broken: tuple[type[Exception], ...], notes: list[str]) -> None:
        self._path, self._broken, self._notes = path, broken, notes

    def __call__(self, ask: Callable[[], _Value], otherwise: _Value) -> _Value:
        try:
            return ask()
        except self._broken as error:
            reason = " ".join(str(error).split())
            self._notes.append(
                f"{self._path.name}: part of its metadata cannot be read ({type(error).__name__}: {reason})"
            )
            return otherwise


class _Frame(NamedTuple):
    """Where the experiment's loops stand for a frame."""

    t: int
    point: int
    z: int


class _Point(NamedTuple):
    """A stage position; ``well`` and ``field`` as its name says."""

    name: str
    well: WellId | None
    field: int | None
    x_um: float
    y_um: float
    z_um: float | None


class _Clock(NamedTuple):
    """When the acquisition began, and when each frame was taken, in s after it."""

    start: str
    times_s: Sequence[float]

    def time_of(self, frame: int) -> str:
        if not self.start or frame >= len(self.times_s):
            return ""
        return later(self.start, float(self.times_s[frame]))


def _not_there(path: Location, frame: int) -> str:
    return f"frame {frame} is announced and not in {path.name}: the acquisition ended early"


def _frames(path: Location, file: Any) -> list[_Frame]:
    """Frames in the order of the file; a loop of another kind than time, position and z cannot be placed."""
    unknown = [loop.type for loop in file.experiment if loop.type not in _AXES and loop.count > 1]
    if unknown:
        raise SourceError(f"{path}: has a loop of kind {unknown[0]}, which no plate has")
    twice = [axis for axis, n in Counter(_AXES.get(loop.type) for loop in file.experiment).items() if n > 1]
    if twice:
        raise SourceError(f"{path}: has two loops over {twice[0]}: they cannot be told apart")
    found = [_Frame(one.get("T", 0), one.get("P", 0), one.get("Z", 0)) for one in file.loop_indices]
    return found or [_Frame(0, 0, 0)]


_AXES = {"TimeLoop": "time", "NETimeLoop": "time", "XYPosLoop": "positions", "ZStackLoop": "z"}


def _points(file: Any) -> list[_Point]:
    """Stage positions with the wells and fields of their names; fields that the names do not number count up."""
    loop = next((loop for loop in file.experiment if loop.type == "XYPosLoop"), None)
    if loop is None:
        return []
    positions = loop.parameters.points
    named = [read_name((one.name or "").strip()) for one in positions]
    numbered = Counter(one.well for one in named if one.field is None)
    seen: Counter[WellId | None] = Counter()
    points = []
    for place, (one, name) in enumerate(zip(positions, named, strict=True), 1):
        seen[name.well] += 1
        running = seen[name.well] if name.well else place
        several = numbered[name.well] > 1
        field = name.field if name.field is not None else (running if several else None)
        x_um, y_um, z_um = one.stagePositionUm
        z_um = z_um if loop.parameters.isSettingZ else None
        points.append(_Point(one.name or "", name.well, field, x_um, y_um, z_um))
    return points


def _point_hint(points: Sequence[_Point]) -> str:
    without = [point.name or "(no name)" for point in points if point.well is None]
    if not without:
        return ""
    some = ", ".join(without[:3]) + (", …" if len(without) > 3 else "")
    return f"{len(without)} stage positions are not named after a well: {some}"


def _turn(file: Any) -> tuple[int, int]:
    """Signs of the stage's y and x along the image: its axes may oppose those of the camera."""
    matrix = file.metadata.channels[0].volume.cameraTransformationMatrix
    return (-1 if matrix[3] < 0 else 1), (-1 if matrix[0] < 0 else 1)


def _place(file: Any, points: Sequence[_Point], frame: _Frame) -> _Point | None:
    """The stage position of a frame, at the height of its plane."""
    if not points:
        return None
    point = points[frame.point]
    stack = next((loop.parameters for loop in file.experiment if loop.type == "ZStackLoop"), None)
    if point.z_um is None or stack is None:
        return point
    step_um = stack.stepUm if stack.bottomToTop else -stack.stepUm
    return point._replace(z_um=point.z_um + (frame.z - stack.homeIndex) * step_um)


def _stage(point: _Point | None, turn: tuple[int, int], acquired: str) -> Stage:
    if point is None:
        return Stage(acquired=acquired)
    return Stage(turn[0] * point.y_um, turn[1] * point.x_um, point.z_um, acquired)


def _clock(opened: Any) -> _Clock:
    if _TIMES not in opened.chunks:
        return _Clock("", ())
    file = opened.nd2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        times_s = file.events(orient="list").get("Time [s]", [])
        first = file.frame_metadata(0).channels[0].time
    days = first.absoluteJulianDayNumber - first.relativeTimeMs / 86_400_000
    if days < _JULIAN_DAY_OF_1970:
        return _Clock("", times_s)
    epoch = datetime(1970, 1, 1, tzinfo=UTC).isoformat()
    return _Clock(later(epoch, (days - _JULIAN_DAY_OF_1970) * 86_400), times_s)


def _channels(file: Any, exposures: dict[str, float]) -> Iterator[Channel]:
    for one in file.metadata.channels:
        meta = one.channel
        yield Channel(
            meta.name or "",
            wavelength_nm=meta.emissionLambdaNm,
            excitation_nm=meta.excitationLambdaNm,
            exposure_ms=exposures.get(meta.name),
        )


def exposures_ms(file: Any) -> dict[str, float]:
    """Exposure of the channels by name, from the text that NIS-Elements writes of the acquisition."""
    found: dict[str, float] = {}
    name = ""
    for line in str(file.text_info.get("description", "")).splitlines():
        if match := _NAME_LINE.match(line):
            name = match[1]
        elif match := _EXPOSURE_LINE.match(line):
            found.setdefault(name, float(match[1]) * _IN_MS[match[2].lower()])
    return found


def _acquisition(file: Any, started: str) -> Acquisition:
    scope = file.metadata.channels[0].microscope
    loop = next((loop for loop in file.experiment if loop.type == "TimeLoop" and loop.count > 1), None)
    period_s = loop.parameters.periodMs / 1000 if loop else 0
    return Acquisition(
        instrument="Nikon",
        objective=scope.objectiveName or "",
        magnification=scope.objectiveMagnification,
        numerical_aperture=scope.objectiveNumericalAperture,
        started=started,
        time_step_s=period_s if period_s > 0 else None,
    )
