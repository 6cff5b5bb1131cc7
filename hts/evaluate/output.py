"""An evaluation as files: a table, everything as JSON, pictures of the worst images."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

from hts.evaluate.evaluation import Evaluation
from hts.evaluate.pairing import pair_names
from hts.evaluate.pictures import draw_mistakes
from hts.evaluate.sources import Read, open_pictures
from hts.locations import Location, location
from hts.pictures import png_bytes, shrink
from hts.store import ensure_writable, write_bytes, write_json

if TYPE_CHECKING:
    from upath import UPath

PICTURE_LIMIT_PX = 2048
_SPECIAL = re.compile(r"[^\w.-]+")


def save_evaluation(
    evaluation: Evaluation, folder: str | Path | UPath, worst: int = 6, images: str | Path | UPath | None = None
) -> list[Location]:
    """Write ``scores.csv`` (a row for each image), ``scores.json`` and ``worst-1-NAME.png`` …; the files written.

    Files of those names are replaced; pictures of an earlier evaluation with more of them stay.

    Parameters
    ----------
    worst : number of pictures.
    images : what was segmented, to draw on: files or a plate, paired by name with the truth as predictions are.

    Raises
    ------
    NotFoundError, UsageError
        when there are no images, or none belongs to the truth by its name.
    SourceError
        when an image cannot be read.
    StoreError
        when the folder cannot be written.
    """
    place = location(folder)
    ensure_writable(place)
    table, document = place / "scores.csv", place / "scores.json"
    write_bytes(table, _csv(evaluation).encode())
    write_json(document, evaluation.to_json())
    written = [table, document]
    beneath = _beneath(evaluation, images)
    for rank, name in enumerate(evaluation.worst(worst), 1):
        picture = draw_mistakes(*evaluation.labels(name), beneath[name]() if name in beneath else None)
        written.append(place / f"worst-{rank}-{_SPECIAL.sub('_', name)[:80]}.png")
        write_bytes(written[-1], png_bytes(shrink(picture, PICTURE_LIMIT_PX)))
    return written


def _beneath(evaluation: Evaluation, images: str | Path | UPath | None) -> dict[str, Read]:
    """By name in the truth, what reads the image below its outlines."""
    if images is None:
        return {}
    found = open_pictures(images)
    pairs = pair_names(tuple(evaluation.sources[0].read), tuple(found.read))
    return {name: found.read[partner] for name, partner in pairs.partners}


def _csv(evaluation: Evaluation) -> str:
    """One row for each image of the truth; no scores but the reason where it could not be scored."""
    rows = [
        {"image": image.name, "reason": image.reason, **(image.scores.values() if image.scores else {})}
        for image in evaluation.images
    ]
    columns = max(rows, key=len, default={})
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
