"""The page in a real browser: drawn, searched, switched and enlarged."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hts.report.data import ReportData
from hts.report.page import write_page

WINDOW = (1400, 4200)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--virtual-time-budget=10000", f"--window-size={WINDOW[0]},{WINDOW[1]}",
)  # fmt: skip

HOSTILE = '<img src="data:," onerror="window.hacked = true">'

WATCH = """<script>
window.refused = []
document.addEventListener("securitypolicyviolation", (event) => window.refused.push(event.blockedURI))
window.failures = []
window.addEventListener("error", (event) => window.failures.push(event.message))
</script>"""

DRIVE = """<script>
const deep = (root, selector) => [
  ...root.querySelectorAll(selector),
  ...[...root.querySelectorAll("*")].flatMap((node) => node.shadowRoot ? deep(node.shadowRoot, selector) : []),
]
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const fire = (node, value, ...events) => {
  node.value = value
  events.forEach((name) => node.dispatchEvent(new Event(name, {bubbles: true, composed: true})))
}
const look = () => {
  const map = Bokeh.documents[0].get_model_by_name("plate_map")
  const squares = map.renderers[0]
  const {low, high} = squares.glyph.fill_color.transform
  return {title: map.title.text, low, high, values: Array.from(squares.data_source.data.value).slice(0, 5)}
}
const hover = async () => {
  const plot = deep(document, ".bk-events")[0], box = plot.getBoundingClientRect()
  for (let step = 0; step < 6; step++) {
    const at = {clientX: box.left + 0.55 * box.width + step, clientY: box.top + 0.1 * box.height}
    for (const kind of ["pointerenter", "pointermove"]) {
      plot.dispatchEvent(new PointerEvent(kind, {...at, bubbles: true, composed: true, isPrimary: true}))
    }
    await pause(100)
  }
  return deep(document, ".bk-tooltip-row-label, .bk-tooltip-row-value").map((node) => node.textContent).join(" ")
}
const drive = async () => {
  const out = {refused: window.refused, failures: window.failures, canvases: deep(document, "canvas").length}
  const frame = document.querySelector("#plate").getBoundingClientRect()
  out.plate = [frame.left, frame.top, frame.right, frame.bottom]
  const [select] = deep(document, "select"), [search] = deep(document, "input[type=text]")
  out.first = look()
  fire(select, "Count_Nuclei", "change")
  await pause(300)
  out.counted = look()
  fire(search, "stdev area", "input")
  await pause(300)
  out.found = look()
  out.options = deep(document, "option").map((node) => node.value)
  fire(search, "no such feature", "input")
  await pause(300)
  out.lost = look()
  out.hover = await hover()
  out.hacked = window.hacked ?? false
  const lines = document.querySelector(".gallery .outline")
  out.before = getComputedStyle(lines).visibility
  document.getElementById("outlines").click()
  out.after = getComputedStyle(lines).visibility
  document.querySelectorAll(".gallery .frame")[1].click()
  const box = document.getElementById("lightbox")
  out.open = box.open
  out.caption = box.querySelector("p").textContent
  out.enlarged = box.querySelector("img").getBoundingClientRect().width / document.querySelector(".frame").clientWidth
  box.querySelector(".next").click()
  out.next = box.querySelector("p").textContent
  box.querySelector(".close").click()
  out.closed = !box.open
  const pre = document.createElement("pre")
  pre.id = "driven"
  pre.textContent = JSON.stringify(out)
  document.body.append(pre)
}
window.addEventListener("load", () => setTimeout(drive, 1500))
</script>"""

COLUMNS_1_AND_11 = (slice(80, 160), slice(880, 960))


def count_colors(pixels: np.ndarray) -> int:
    return len(np.unique(pixels @ [65536, 256, 1]))


@pytest.fixture(scope="module")
def browse(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    found = [path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))]
    if not found:
        if os.environ.get("CI"):
            pytest.fail("chromium is needed in CI to look at the report")
        pytest.skip("no chromium, chromium-browser or google-chrome on the path")

    def run(page: Path, *flags: str) -> str:
        profile = tmp_path_factory.mktemp("browser")
        command = [found[0], *FLAGS, f"--user-data-dir={profile}", *flags, page.as_uri()]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout

    return run


@pytest.fixture(scope="module")
def page(make_data: Callable[..., ReportData], tmp_path_factory: pytest.TempPathFactory) -> Path:
    profiles = make_data(overlays=3).profiles.assign(**{"Metadata_<b>Batch</b>": HOSTILE})
    return write_page(make_data(overlays=3, profiles=profiles), tmp_path_factory.mktemp("page") / "report.html")


@pytest.fixture(scope="module")
def dom(browse: Callable[..., str], page: Path) -> str:
    text = page.read_text(encoding="utf-8").replace("<style>", f"{WATCH}<style>", 1)
    head, _, tail = text.rpartition("</body>")
    driven = page.with_name("driven.html")
    driven.write_text(f"{head}{DRIVE}</body>{tail}", encoding="utf-8")
    return browse(driven, "--dump-dom")


@pytest.fixture(scope="module")
def seen(dom: str) -> dict[str, Any]:
    found = re.search(r'<pre id="driven">(.*?)</pre>', dom, re.DOTALL)
    assert found is not None, "the page's script did not finish"
    return dict(json.loads(html.unescape(found[1])))


def test_bokeh_draws_with_no_error_and_asks_nobody(seen: dict[str, Any], dom: str) -> None:
    assert seen["canvases"] >= 3
    assert dom.count("bk-Figure") + dom.count("bk-Column") >= 3
    assert seen["failures"] == []
    assert seen["refused"] == []


def test_choosing_a_feature_recolours_the_plate(seen: dict[str, Any], make_data: Callable[..., ReportData]) -> None:
    counts = make_data(overlays=3).profiles["Count_Nuclei"].astype("float32")
    assert seen["first"]["title"] == "translocation"
    assert seen["counted"]["title"] == "Count_Nuclei"
    assert seen["counted"]["values"] == counts[:5].tolist()
    assert (seen["counted"]["low"], seen["counted"]["high"]) == pytest.approx(tuple(np.percentile(counts, [1, 99])))


def test_hovering_tells_about_the_well_and_runs_no_text(seen: dict[str, Any]) -> None:
    assert "A07" in seen["hover"]
    assert "wortmannin" in seen["hover"]
    assert HOSTILE in seen["hover"]
    assert "<b>Batch</b>" in seen["hover"]
    assert not seen["hacked"]


def test_searching_narrows_the_list_and_shows_the_first_hit(seen: dict[str, Any]) -> None:
    assert seen["options"] == ["StDev_Nuclei_AreaShape_Area"]
    assert seen["found"]["title"] == "StDev_Nuclei_AreaShape_Area"
    assert seen["lost"] == seen["found"]


def test_outlines_can_be_hidden(seen: dict[str, Any]) -> None:
    assert (seen["before"], seen["after"]) == ("visible", "hidden")


def test_pictures_can_be_enlarged_and_stepped_through(seen: dict[str, Any]) -> None:
    assert seen["open"]
    assert seen["caption"] == "A08 field 1 · random"
    assert seen["next"] == "B03 field 1 · highest translocation"
    assert seen["enlarged"] > 2
    assert seen["closed"]


def test_the_picture_of_the_page_is_not_blank(browse: Callable[..., str], page: Path, seen: dict[str, Any]) -> None:
    shot = page.with_name("report.png")
    browse(page, f"--screenshot={shot}")
    pixels = np.asarray(Image.open(shot).convert("RGB")).astype(int)
    assert pixels.shape[:2] == WINDOW[::-1]
    assert count_colors(pixels) > 2000
    left, top, right, bottom = map(int, seen["plate"])
    plate = pixels[top:bottom, left:right]
    coloured = np.ptp(plate, axis=2) > 40
    assert 0.4 < coloured.mean() < 0.9
    assert count_colors(plate[coloured]) > 60
    low, high = (np.median(plate[:, columns][coloured[:, columns]], axis=0) for columns in COLUMNS_1_AND_11)
    assert low[2] > low[1]  # violet
    assert high[1] > high[2] + 80  # yellow
