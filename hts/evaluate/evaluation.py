"""Scores of whole sets of images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hts.errors import HtsError
from hts.evaluate.pairing import Pairs, pair_names
from hts.evaluate.scores import ObjectScores, connected, pool, score_objects
from hts.evaluate.sources import NamedImages, one_line, open_labels

if TYPE_CHECKING:
    from upath import UPath

Progress = Callable[[int, int], None]
_SHOWN = 20


@dataclass(frozen=True)
class ImageScores:
    """One image by its name in the truth: its scores, or None and the reason why there are none."""

    name: str
    scores: ObjectScores | None
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """Name, reason if there is one, scores if there are some."""
        if self.scores is None:
            return {"name": self.name, "reason": self.reason}
        return {"name": self.name} | self.scores.to_json()


@dataclass(frozen=True)
class Evaluation:
    """Scores of a set of images, image by image and in all.

    Parameters
    ----------
    truth, prediction : what was compared.
    components : whether objects are the connected pieces of masks.
    images : one entry for each image of the truth.
    pairs : names of the partners, and the rule that found them.
    notes : what else is worth knowing.
    sources : where the label images come from, truth first.
    """

    truth: str
    prediction: str
    components: bool
    images: tuple[ImageScores, ...]
    pairs: Pairs
    notes: tuple[str, ...]
    sources: tuple[NamedImages, NamedImages]

    @property
    def scored(self) -> dict[str, ObjectScores]:
        """Scores by name, of the images that have some."""
        return {image.name: image.scores for image in self.images if image.scores is not None}

    @property
    def failed(self) -> dict[str, str]:
        """Reasons by name, of the images of the truth that could not be scored."""
        return {image.name: image.reason for image in self.images if image.scores is None}

    @property
    def pooled(self) -> ObjectScores | None:
        """Scores of the counts of all images added up; None when none was scored."""
        return pool(self.scored.values()) if self.scored else None

    @property
    def mean(self) -> dict[str, float]:
        """Mean over the images of each score, flat; every image weighs the same. Empty when none was scored."""
        rows = [scores.ratios() for scores in self.scored.values()]
        return {name: float(np.mean([row[name] for row in rows])) for name in (rows[0] if rows else ())}

    def worst(self, number: int) -> list[str]:
        """Names of at most `number` images that are not perfect, by F1 at an IoU of 0.5, then by mean AP."""
        ranked = sorted(self.scored.items(), key=lambda item: (item[1].f1, item[1].mean_ap, item[0]))
        return [name for name, scores in ranked if scores.mean_ap < 1][:number]

    def labels(self, name: str) -> tuple[NDArray[Any], NDArray[Any]]:
        """Truth and prediction of an image, read anew; errors as :func:`hts.evaluate.sources.read_file` raises them."""
        return _read(self.sources, (name, dict(self.pairs.partners)[name]), self.components)

    def to_json(self) -> dict[str, Any]:
        """Everything, for scripts."""
        return {
            "truth": self.truth,
            "prediction": self.prediction,
            "objects_are": "connected components" if self.components else "labels",
            "paired_by": self.pairs.rule,
            "images_scored": len(self.scored),
            "failed": self.failed,
            "without_truth": list(self.pairs.prediction_alone),
            "pooled": None if self.pooled is None else self.pooled.to_json(),
            "mean_over_images": self.mean,
            "images": [image.to_json() for image in self.images],
            "notes": list(self.notes),
        }


def evaluate_objects(
    truth: str | Path | UPath,
    prediction: str | Path | UPath,
    *,
    truth_labels: str | None = None,
    labels: str | None = None,
    components: bool = False,
    progress: Progress | None = None,
) -> Evaluation:
    """Score predicted label images against true ones.

    Parameters
    ----------
    truth, prediction : a label image (PNG or TIFF), a folder of them, a folder with one ``*`` in the name of the files,
        an OME-Zarr plate or image, each (see :func:`hts.evaluate.sources.open_labels`); they are paired by name (see
        :mod:`hts.evaluate.pairing`). The truth says what is to be scored: a true image without a prediction is a failed
        one, a prediction without truth is only noted.
    truth_labels, labels : names of the label images in an OME-Zarr, of truth and prediction; needed if it has several.
    components : take the images for masks; objects are their connected components.
    progress : called with the number of images done and to do.

    Raises
    ------
    NotFoundError
        when one side has no label image, or no names belong together.
    UsageError
        when names are not unique, or labels have to be chosen.
    """
    sources = open_labels(truth, truth_labels), open_labels(prediction, labels)
    pairs = pair_names(tuple(sources[0].read), tuple(sources[1].read))
    partners = dict(pairs.partners)
    images, loose = [], {"truth": 0, "prediction": 0}
    for done, name in enumerate(sources[0].read, 1):
        images.append(_score(sources, (name, partners.get(name)), components, loose))
        if progress is not None:
            progress(done, len(sources[0].read))
    notes = [*sources[0].notes, *sources[1].notes, *_notes(pairs, loose)]
    where = sources[0].where, sources[1].where
    return Evaluation(*where, components, tuple(images), pairs, tuple(notes), sources)


def _score(
    sources: tuple[NamedImages, NamedImages], names: tuple[str, str | None], components: bool, loose: dict[str, int]
) -> ImageScores:
    name, partner = names
    if partner is None:
        return ImageScores(name, None, "no prediction has this name")
    try:
        true, predicted = _read(sources, (name, partner), components)
        scores = score_objects(true, predicted)
    except HtsError as error:
        return ImageScores(name, None, one_line(error))
    for side, image in (("truth", true), ("prediction", predicted)):
        loose[side] += not components and _looks_like_mask(image)
    return ImageScores(name, scores)


def _read(
    sources: tuple[NamedImages, NamedImages], names: tuple[str, str], components: bool
) -> tuple[NDArray[Any], NDArray[Any]]:
    true, predicted = (source.read[name]() for source, name in zip(sources, names, strict=True))
    return (connected(true), connected(predicted)) if components else (true, predicted)


def _looks_like_mask(labels: NDArray[Any]) -> bool:
    """Whether the only label of an image is in several places."""
    top = labels.max(initial=0)
    return bool(top) and bool(((labels == 0) | (labels == top)).all()) and connected(labels).max() > 1


def _notes(pairs: Pairs, loose: dict[str, int]) -> list[str]:
    notes = [
        f"{number} images of the {side} have one label in several pieces; if they are masks of the foreground and no"
        " label images, every score of objects is wrong: use --components"
        for side, number in loose.items()
        if number
    ]
    if alone := pairs.prediction_alone:
        more = f" … ({len(alone)} in all)" if len(alone) > _SHOWN else ""
        notes.append(f"predictions without truth, not scored: {', '.join(alone[:_SHOWN])}{more}")
    return notes
