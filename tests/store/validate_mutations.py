"""Ways to break a good plate, each with the findings it must give: (severity, rule) pairs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zarr

from tests.store import validate_plates as made
from tests.store.validate_plates import IMAGE, LABEL, edit_array, is_v3

Change = Callable[[Path], Any]
Rules = set[tuple[str, str]]


def errors(*names: str) -> Rules:
    return {("error", name) for name in names}


def warnings(*names: str) -> Rules:
    return {("warning", name) for name in names}


def level(root: Path, path: str, index: int = 0) -> str:
    """Path of the array of a level."""
    document = json.loads(made.document_of(root, path).read_text())
    ome = document["attributes"]["ome"] if is_v3(root) else document
    return f"{path}/{ome['multiscales'][0]['datasets'][index]['path']}"


def ms(ome: dict[str, Any]) -> dict[str, Any]:
    return ome["multiscales"][0]


def scale(ome: dict[str, Any], index: int = 0) -> list[float]:
    values: list[float] = ms(ome)["datasets"][index]["coordinateTransformations"][0]["scale"]
    return values


METADATA: list[tuple[str, str, Callable[[dict[str, Any]], Any], Rules]] = [
    ("well twice", "", lambda o: o["plate"]["wells"].append(dict(o["plate"]["wells"][0])), errors("plate.well.unique")),
    (
        "well at the wrong index",
        "",
        lambda o: o["plate"]["wells"][0].update(rowIndex=1),
        errors("plate.well.place"),
    ),
    ("index outside", "", lambda o: o["plate"]["wells"][0].update(columnIndex=7), errors("plate.well.place")),
    ("no index", "", lambda o: o["plate"]["wells"][0].pop("columnIndex"), errors("plate.well.index")),
    ("no rows", "", lambda o: o["plate"].pop("rows"), errors("plate.rows")),
    ("row twice", "", lambda o: o["plate"]["rows"].append({"name": "A"}), errors("plate.rows.unique")),
    ("row in two cases", "", lambda o: o["plate"]["rows"].append({"name": "a"}), warnings("plate.rows.case")),
    ("odd column", "", lambda o: o["plate"]["columns"].append({"name": "3-4"}), errors("plate.columns.name")),
    ("column a number", "", lambda o: o["plate"]["columns"].append({"name": 3}), errors("plate.columns.name")),
    ("no plate name", "", lambda o: o["plate"].pop("name"), warnings("plate.name")),
    ("no plate version", "", lambda o: o["plate"].pop("version"), warnings("plate.version")),
    ("other plate version", "", lambda o: o["plate"].update(version="0.1"), errors("plate.version")),
    ("no fields", "", lambda o: o["plate"].update(field_count=0), errors("plate.field_count")),
    ("a count too low", "", lambda o: o["plate"]["acquisitions"][0].pop("name"), warnings("plate.acquisitions.name")),
    ("id a text", "", lambda o: o["plate"]["acquisitions"][0].update(id="0"), errors("plate.acquisitions.id")),
    ("other id", "", lambda o: o["plate"]["acquisitions"][0].update(id=3), errors("well.acquisition.known")),
    (
        "id twice",
        "",
        lambda o: o["plate"]["acquisitions"].append(dict(o["plate"]["acquisitions"][0])),
        errors("plate.acquisitions.unique"),
    ),
    ("other layout", "", lambda o: o.update({"bioformats2raw.layout": 2}), errors("plate.layout")),
    ("plate a list", "", lambda o: o.update(plate=[]), errors("plate.block")),
    ("no images", "A/01", lambda o: o["well"].update(images=[]), errors("well.images")),
    (
        "image twice",
        "A/01",
        lambda o: o["well"]["images"].append(dict(o["well"]["images"][0])),
        errors("well.image.unique") | warnings("well.field_count", "well.maximumfieldcount"),
    ),
    ("image absent", "A/01", lambda o: o["well"].update(images=[{"path": "9"}]), errors("image.absent")),
    (
        "image named oddly",
        "A/01",
        lambda o: o["well"].update(images=[{"path": "no such"}]),
        errors("well.image.path", "image.absent"),
    ),
    ("image outside", "A/01", lambda o: o["well"].update(images=[{"path": "../02/0"}]), errors("well.image.path")),
    ("no block", "A/01", lambda o: o.pop("well"), errors("well.block")),
    ("well version", "A/01", lambda o: o["well"].update(version="0.3"), errors("well.version")),
    ("no axes", IMAGE, lambda o: ms(o).pop("axes"), errors("image.axes")),
    (
        "axis twice",
        IMAGE,
        lambda o: ms(o)["axes"][1].update(name="x"),
        errors("image.axes.unique", "array.dimension_names"),
    ),
    (
        "axes in another order",
        IMAGE,
        lambda o: ms(o)["axes"].reverse(),
        errors("image.axes.order", "array.dimension_names", "image.channels")
        | warnings("image.axes.zyx", "label.size"),
    ),
    ("axis without type", IMAGE, lambda o: ms(o)["axes"][0].pop("type"), warnings("image.axes.type")),
    ("micron", IMAGE, lambda o: ms(o)["axes"][2].update(unit="micron"), warnings("image.axes.unit")),
    ("no unit", IMAGE, lambda o: ms(o)["axes"][2].pop("unit"), {("note", "image.units")}),
    (
        "two channels",
        IMAGE,
        lambda o: ms(o)["axes"][1].update(type="channel"),
        errors("image.axes.types", "image.axes.space"),
    ),
    ("no datasets", IMAGE, lambda o: ms(o).update(datasets=[]), errors("image.datasets")),
    (
        "levels the wrong way",
        IMAGE,
        lambda o: ms(o)["datasets"].reverse(),
        errors("image.datasets.order", "image.levels.order") | warnings("label.size"),
    ),
    (
        "level twice",
        IMAGE,
        lambda o: ms(o)["datasets"].append(dict(ms(o)["datasets"][1])),
        errors("image.path.unique", "label.levels") | warnings("image.levels.same"),
    ),
    ("level absent", IMAGE, lambda o: ms(o)["datasets"][1].update(path="7"), errors("array.absent")),
    ("path a number", IMAGE, lambda o: ms(o)["datasets"][1].update(path=1), errors("image.path")),
    (
        "path outside",
        IMAGE,
        lambda o: ms(o)["datasets"][1].update(path="../../../B/02/0/1"),
        errors("image.path.outside"),
    ),
    ("two numbers for three axes", IMAGE, lambda o: scale(o).pop(), errors("image.scale.length")),
    ("a size of zero", IMAGE, lambda o: scale(o).__setitem__(2, 0), errors("image.scale.positive")),
    ("scale a text", IMAGE, lambda o: scale(o).__setitem__(2, "0.65"), errors("image.scale.numbers")),
    (
        "one scale for all levels",
        IMAGE,
        lambda o: scale(o, 1).__setitem__(slice(None), scale(o)),
        errors("image.levels.scale"),
    ),
    ("no scale", IMAGE, lambda o: ms(o)["datasets"][0].pop("coordinateTransformations"), errors("image.scale")),
    (
        "translation first",
        IMAGE,
        lambda o: ms(o)["datasets"][0].update(
            coordinateTransformations=[
                {"type": "translation", "translation": [0, 0, 0]},
                {"type": "scale", "scale": [1, 0.65, 0.65]},
            ]
        ),
        errors("image.scale.order"),
    ),
    (
        "scale in an array",
        IMAGE,
        lambda o: ms(o)["datasets"][0].update(coordinateTransformations=[{"type": "scale", "path": "s"}]),
        warnings("image.scale.path"),
    ),
    (
        "scale of all levels",
        IMAGE,
        lambda o: ms(o).update(coordinateTransformations=[{"type": "identity"}]),
        errors("image.scale.order"),
    ),
    ("no method", IMAGE, lambda o: [ms(o).pop(key, None) for key in ("type", "metadata")], {("note", "image.method")}),
    ("no name", IMAGE, lambda o: ms(o).pop("name"), {("note", "image.name")}),
    ("image version", IMAGE, lambda o: ms(o).update(version="0.3"), errors("image.version")),
    (
        "a channel too many",
        IMAGE,
        lambda o: o["omero"]["channels"].append(dict(o["omero"]["channels"][0], label="More")),
        errors("image.channels"),
    ),
    ("a colour by name", IMAGE, lambda o: o["omero"]["channels"][0].update(color="blue"), errors("image.omero.color")),
    (
        "a colour as on the web",
        IMAGE,
        lambda o: o["omero"]["channels"][0].update(color="#0000FF"),
        errors("image.omero.color"),
    ),
    ("no window", IMAGE, lambda o: o["omero"]["channels"][0].pop("window"), errors("image.omero.window")),
    (
        "inverted window",
        IMAGE,
        lambda o: o["omero"]["channels"][0]["window"].update(start=300.0),
        warnings("image.omero.window.order"),
    ),
    (
        "channel twice",
        IMAGE,
        lambda o: o["omero"]["channels"][0].update(label="Actin"),
        warnings("image.omero.label.unique"),
    ),
    ("channel without name", IMAGE, lambda o: o["omero"]["channels"][0].pop("label"), warnings("image.omero.label")),
    ("omero a list", IMAGE, lambda o: o.update(omero=[]), errors("image.omero")),
    ("label absent", "A/01/0/labels", lambda o: o["labels"].append("cells"), errors("label.absent")),
    ("label twice", "A/01/0/labels", lambda o: o["labels"].append("nuclei"), warnings("labels.unique")),
    ("label outside", "A/01/0/labels", lambda o: o["labels"].append("../../x"), errors("labels.path")),
    ("labels a text", "A/01/0/labels", lambda o: o.update(labels="nuclei"), errors("labels.list")),
    ("no list of labels", "A/01/0/labels", lambda o: o.pop("labels"), errors("labels.block")),
    ("no image-label", LABEL, lambda o: o.pop("image-label"), warnings("label.block")),
    ("a label with a level less", LABEL, lambda o: ms(o)["datasets"].pop(), errors("label.levels")),
    (
        "colour twice",
        LABEL,
        lambda o: o["image-label"].update(colors=[{"label-value": 1}] * 2),
        errors("label.colors.unique"),
    ),
    ("three bytes", LABEL, lambda o: o["image-label"]["colors"][0].update(rgba=[1, 2, 3]), errors("label.colors.rgba")),
    (
        "no value",
        LABEL,
        lambda o: o["image-label"]["colors"].append({"rgba": [0, 0, 0, 0]}),
        errors("label.colors.value"),
    ),
    ("source a text", LABEL, lambda o: o["image-label"].update(source="../../"), errors("label.source")),
    (
        "properties of others",
        LABEL,
        lambda o: o["image-label"].update(properties=[{"label-value": 5}]),
        warnings("label.values"),
    ),
]


def _replace_array(root: Path, path: str, dtype: Any, shape: tuple[int, ...] | None = None) -> None:
    old = zarr.open_array(str(root / path), mode="r")
    names = getattr(old.metadata, "dimension_names", None)
    settings: dict[str, Any] = {"dimension_names": names[-len(shape or old.shape) :]} if is_v3(root) else {}
    if not is_v3(root):
        settings["chunk_key_encoding"] = {"name": "v2", "separator": "/"}
    zarr.create_array(
        str(root / path),
        shape=shape or old.shape,
        dtype=dtype,
        zarr_format=3 if is_v3(root) else 2,
        overwrite=True,
        **settings,
    )


def _remove(*parts: str) -> Change:
    def remove(root: Path) -> None:
        for part in parts:
            target = root / part
            shutil.rmtree(target) if target.is_dir() else target.unlink()

    return remove


def _write(path: str, content: bytes) -> Change:
    return lambda root: made.document_of(root, path).write_bytes(content)


def _nan(root: Path) -> None:
    file = made.document_of(root, IMAGE)
    file.write_text(file.read_text().replace("65535.0", "NaN", 1))


FILES: list[tuple[str, Change, Rules]] = [
    ("well absent", _remove("B/02"), errors("well.absent")),
    ("row and well absent", _remove("B"), errors("well.absent") | warnings("row.group")),
    ("image absent", _remove("B/02/0"), errors("image.absent")),
    ("level absent", lambda root: shutil.rmtree(root / level(root, "B/02/0", 1)), errors("array.absent")),
    ("label absent", _remove(LABEL), errors("label.absent")),
    ("labels folder absent", _remove("A/01/0/labels"), set()),
    ("damaged JSON", _write("A/01", b'{"well": '), errors("well.json")),
    ("empty document", _write("A/01", b""), errors("well.json")),
    ("a list for a document", _write(IMAGE, b"[]"), errors("image.json")),
    ("not UTF-8", _write(IMAGE, '{"name": "Müller"}'.encode("latin-1")), errors("image.json.utf8")),
    ("NaN", _nan, errors("image.json.nan")),
    (
        "labels of a float type",
        lambda root: [_replace_array(root, level(root, LABEL, i), "float32") for i in (0, 1)],
        errors("array.label_type"),
    ),
    (
        "a level of another type",
        lambda root: _replace_array(root, level(root, "B/02/0", 1), "uint8"),
        warnings("image.levels.type"),
    ),
    (
        "a level as large",
        lambda root: _replace_array(root, level(root, "B/02/0", 1), "uint16", (2, 64, 48)),
        errors("image.levels.scale") | warnings("image.levels.same"),
    ),
    (
        "a level larger",
        lambda root: _replace_array(root, level(root, "B/02/0", 1), "uint16", (2, 128, 96)),
        errors("image.levels.scale", "image.levels.order"),
    ),
    (
        "a plane for a stack",
        lambda root: _replace_array(root, level(root, "B/02/0", 1), "uint16", (32, 24)),
        errors("array.ndim"),
    ),
    (
        "labels of another size",
        lambda root: [_replace_array(root, level(root, LABEL, i), "int32", (60 // 2**i, 48 // 2**i)) for i in (0, 1)],
        warnings("label.size"),
    ),
    (
        "an unknown type",
        lambda root: edit_array(
            root,
            level(root, IMAGE),
            lambda d: d.update({"data_type": "octet"} if "data_type" in d else {"dtype": "octet"}),
        ),
        errors("array.open"),
    ),
    (
        "a group for an array",
        lambda root: edit_array(
            root, level(root, IMAGE), lambda d: d.clear() or d.update(zarr_format=3, node_type="group")
        ),
        errors("array.node"),
    ),
    (
        "an array damaged",
        lambda root: (root / level(root, IMAGE) / ("zarr.json" if is_v3(root) else ".zarray")).write_bytes(b"{"),
        errors("array.json"),
    ),
]
