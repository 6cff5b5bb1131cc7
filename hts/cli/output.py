"""What all verbs share: errors with exit codes, ``--json`` on stdout, progress on stderr."""

from __future__ import annotations

import functools
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, ParamSpec

import typer

from hts.errors import HtsError, NotFoundError, RecipeError, UsageError

P = ParamSpec("P")
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout; everything else on stderr.")]
PlateArgument = Annotated[
    str, typer.Argument(metavar="PLATE", help="The OME-Zarr plate; a path or an address.", show_default=False)
]
RecipeArgument = Annotated[
    str,
    typer.Argument(metavar="RECIPE", help="A YAML file, or nuclei, translocation, cell-painting.", show_default=False),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="SECTION.KEY=VALUE", help="Set any key of the recipe; can be repeated.", show_default=False
    ),
]
Out = Annotated[
    Path | None, typer.Option("--out", help="Folder of the results; <plate>.hts beside the plate when not given.")
]
Wells = Annotated[str | None, typer.Option("--wells", metavar="A01,B02-B05", help="Only these wells.")]

FAILED, WRONG_USAGE, FAILED_WELLS = 1, 2, 3
_PLAIN_EVERY_S = 5.0


def verb(command: Callable[P, int | None]) -> Callable[P, None]:
    """Turn errors into messages and exit codes; a verb returns its exit code."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        as_json = bool(kwargs.get("as_json"))
        try:
            code = command(*args, **kwargs)
        except HtsError as error:
            code = WRONG_USAGE if isinstance(error, UsageError | RecipeError | NotFoundError) else FAILED
            say(f"error: {error}")
            if as_json:
                emit({"error": str(error), "kind": type(error).__name__})
        except KeyboardInterrupt:
            code = FAILED
            say("\ninterrupted: what is committed is kept; the same command goes on from there")
            if as_json:
                emit({"error": "interrupted", "kind": "KeyboardInterrupt"})
        raise typer.Exit(code or 0)

    return wrapped


def say(text: str) -> None:
    """A line for people, on stderr."""
    print(text, file=sys.stderr, flush=True)


def emit(value: dict[str, Any]) -> None:
    """The JSON object, on stdout."""
    print(json.dumps(value, indent=2, default=str), flush=True)


def show(text: str) -> None:
    """A line of the result, on stdout (not with ``--json``)."""
    print(text, flush=True)


class Counter:
    """Progress of one stage: a bar in a terminal, a plain line every few seconds elsewhere."""

    def __init__(self, label: str, unit: str = "wells") -> None:
        self.label = label
        self.unit = unit
        self._begin = time.monotonic()
        self._shown = self._begin
        self._last = -1

    def __call__(self, done: int, expected: int, detail: str = "") -> None:
        now = time.monotonic()
        finished = done >= expected
        if sys.stderr.isatty():
            self._draw(done, expected, detail)
        elif done != self._last and (finished or now - self._shown >= _PLAIN_EVERY_S):
            say(f"{self.label}: {done} of {expected} {self.unit}, {now - self._begin:.0f} s{detail}")
            self._shown = now
        self._last = done

    def _draw(self, done: int, expected: int, detail: str) -> None:
        width = 30
        filled = width * done // max(expected, 1)
        spent = time.monotonic() - self._begin
        left = f", {spent / done * (expected - done):.0f} s left" if 0 < done < expected else ""
        bar = "█" * filled + "░" * (width - filled)
        print(
            f"\r\033[K{self.label:<8} {bar} {done}/{expected} {self.unit}, {spent:.0f} s{left}{detail}",
            end="",
            file=sys.stderr,
        )
        if done >= expected and self._last < expected:
            print(file=sys.stderr)
        sys.stderr.flush()


def number(value: Any, digits: int = 3) -> str:
    """A figure for people; a dash when there is none."""
    return "–" if value is None else f"{value:.{digits}f}"
