"""Every error `hts` raises on purpose: one base and six children.

Each child is also the builtin it stands for, so that ``except ValueError`` or ``except OSError`` in a
script keeps working. A message says what was expected, what was found and where, the likely cause,
and what to do next.
"""

from __future__ import annotations


class HtsError(Exception):
    """Base of all errors of `hts`.

    Parameters
    ----------
    expected : what should have been there (one sentence without a full stop, or a finished message).
    found : what was there instead, with the value and the place.
    cause : the likely cause.
    fix : what the user can do next.
    """

    def __init__(self, expected: str, *, found: str = "", cause: str = "", fix: str = "") -> None:
        parts = [expected]
        if found:
            parts.append(f"found: {found}")
        if cause:
            parts.append(f"likely cause: {cause}")
        if fix:
            parts.append(f"what to do: {fix}")
        # One string argument only: exceptions must survive pickling between workers.
        super().__init__("\n  ".join(parts))

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class UsageError(HtsError, ValueError):
    """A call or a command line that cannot be meant (exit code 2)."""


class RecipeError(HtsError, ValueError):
    """A recipe that is not valid, or does not fit the plate (exit code 2)."""


class SourceError(HtsError, OSError):
    """A microscope folder or one of its planes that cannot be read."""


class StoreError(HtsError, OSError):
    """An OME-Zarr plate, table or marker that cannot be read or written."""


class StageError(HtsError, RuntimeError):
    """A stage that cannot produce its result from the input it was given."""


class NotFoundError(HtsError, LookupError):
    """A plate, well, field, channel or plug-in that does not exist (exit code 2)."""
