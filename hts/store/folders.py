"""Folders of files that are written one after another: each is made once, and nothing is tried that must fail."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from hts.locations import Location
from hts.store.files import storage_errors


class Folders:
    """What one writer has made below ``top``; a plane has a dozen folders, and each call to the system counts.

    Object stores have no folders: there it does nothing. Not for several threads: each has its own.
    """

    def __init__(self, top: Location) -> None:
        self._made = {top}

    def make(self, folder: Location) -> None:
        """Make ``folder`` and those above it that are not known to be there.

        Raises
        ------
        StoreError
            when that is refused.
        """
        if folder in self._made or not isinstance(folder, Path):
            return
        new = [folder]
        for parent in folder.parents:
            if parent in self._made:
                break
            new.append(parent)
        with storage_errors(folder):
            for path in reversed(new):
                # An earlier conversion may have made it; a file of that name fails when the first file is written.
                with contextlib.suppress(FileExistsError):
                    os.mkdir(path)
        self._made.update(new)
