"""``hts evaluate``"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hts.cli.output import FAILED, FAILED_WELLS, Counter, Json, emit, number, show, verb

if TYPE_CHECKING:
    from hts.evaluate import Evaluation, ObjectScores

app = typer.Typer(
    name="evaluate", help="Score results against ground truth.", no_args_is_help=True, rich_markup_mode=None
)
_KINDS = "A label image (PNG, TIFF), a folder of them, FOLDER/'name*.tif', or an OME-Zarr plate or image."
Truth = Annotated[str, typer.Argument(metavar="TRUTH", help="What is true. " + _KINDS, show_default=False)]
Prediction = Annotated[str, typer.Argument(metavar="PREDICTION", help="What is scored, alike.", show_default=False)]


@app.callback()
def _evaluate() -> None:
    """Score results against ground truth."""


@app.command()
@verb
def objects(
    truth: Truth,
    prediction: Prediction,
    labels: Annotated[
        str | None, typer.Option(metavar="NAME", help="Label image to score, in an OME-Zarr with several: nuclei.")
    ] = None,
    truth_labels: Annotated[
        str | None, typer.Option(metavar="NAME", help="Label image that is true, in an OME-Zarr with several.")
    ] = None,
    components: Annotated[
        bool, typer.Option("--components", help="The images are masks; objects are their connected components.")
    ] = False,
    out: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Write scores.csv, scores.json and pictures of the worst here.")
    ] = None,
    images: Annotated[
        str | None, typer.Option(metavar="SOURCE", help="What was segmented, to draw on: a folder or a plate.")
    ] = None,
    worst: Annotated[int, typer.Option(min=0, help="Images to list, and to draw with --out.")] = 6,
    as_json: Json = False,
) -> int:
    """Score segmented objects against true ones: F1, AP, panoptic quality, pixels, split, merged, missed, added.

    Images are paired by their names. Exit code 3: some true images could not be scored, such as for want of a
    prediction; 1: none could.

    Example: hts evaluate objects truth/ masks/ --out scores/
    """
    from hts.evaluate import evaluate_objects, save_evaluation

    found = evaluate_objects(
        truth,
        prediction,
        truth_labels=truth_labels,
        labels=labels,
        components=components,
        progress=Counter("evaluate", "images"),
    )
    if not as_json:
        _show(found, worst)
    written = [str(path) for path in save_evaluation(found, out, worst, images)] if out is not None else []
    if as_json:
        emit(found.to_json() | {"files": written})
    for path in written if not as_json else ():
        show(path)
    if not found.scored:
        return FAILED
    return FAILED_WELLS if found.failed else 0


def _show(found: Evaluation, worst: int) -> None:
    pooled = found.pooled
    show(f"truth       {found.truth}\nprediction  {found.prediction}")
    show(f"{len(found.scored)} of {len(found.images)} images scored, paired by {found.pairs.rule}")
    if pooled is not None:
        _show_scores(found, pooled)
    for name in found.worst(worst):
        one = found.scored[name]
        kinds = ", ".join(f"{getattr(one, kind)} {kind}" for kind in ("missed", "added", "split", "merged"))
        show(f"  {name}: F1 {number(one.f1)}, {one.n_truth} true, {one.n_prediction} predicted, {kinds}")
    for name, reason in found.failed.items():
        show(f"not scored {name}: {reason}")
    for note in found.notes:
        show(f"note: {note}")


def _show_scores(found: Evaluation, pooled: ObjectScores) -> None:
    from hts.evaluate import IOU_THRESHOLDS

    objects_are = "connected components" if found.components else "objects"
    show(f"{pooled.n_truth} true {objects_are}, {pooled.n_prediction} predicted\n")
    show("IoU at least        " + "".join(f"{threshold:7.2f}" for threshold in IOU_THRESHOLDS))
    for title, name in (("F1", "f1"), ("AP", "ap"), ("precision", "precision"), ("recall", "recall")):
        rows = pooled.values(), found.mean
        for kind, row in zip(("pooled", "mean"), rows, strict=True):
            show(f"{title:<10} {kind:<9}" + "".join(f"{row[f'{name}_{t:.2f}']:7.3f}" for t in IOU_THRESHOLDS))
    panoptic, pixels, touching = pooled.panoptic(), pooled.pixels, pooled.touching()
    show(f"\nmean AP {number(pooled.mean_ap)} pooled, {number(found.mean['mean_ap'])} mean of images")
    show(f"panoptic quality {number(panoptic['pq'])} = {number(panoptic['sq'])} (IoU) × {number(panoptic['rq'])} (F1)")
    show(
        f"pixels: IoU {number(pixels.jaccard)}, Dice {number(pixels.f1)}, precision {number(pixels.precision)}, "
        f"recall {number(pixels.recall)}"
    )
    show(
        f"touching at all: precision {number(touching['precision'])}, recall {number(touching['recall'])}, "
        f"Dice {number(touching['dice'])}"
    )
    show(f"{pooled.split} split, {pooled.merged} merged, {pooled.missed} missed, {pooled.added} added\n")
