"""The preview: labels as outlines over imagery, where scenes lie, what values images have; and what a browser sees."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from made_experiment import CLASSES, COLOURS, made_scene

from swath.config.imagery import Imagery
from swath.config.model import Model
from swath.config.tasks import CLASSIFICATION, DETECTION, SEGMENTATION, Task
from swath.config.train import Train
from swath.files import write_json
from swath.pages.locator import Footprint, locate
from swath.report.histograms import HEIGHT, band_histograms
from swath.report.outlines import THICKNESS, outlines_of_areas, outlines_of_boxes
from swath.report.preview import PreviewChip, write_preview
from swath.rv.pipeline import SceneOptions
from swath.scenes.facts import SceneFacts
from swath.training.job import TrainingJob

SCRIPT = "</script><script>alert(1)</script>"


# --- what is drawn ----------------------------------------------------------------------------------


def test_areas_have_outlines_on_their_own_side_and_nothing_else() -> None:
    ids = np.zeros((40, 40), np.uint8)
    ids[10:30, 5:20], ids[10:30, 20:35] = 1, 2
    drawn = outlines_of_areas(ids, COLOURS)
    there = drawn[..., 3] > 0
    assert not there[ids == 0].any(), "what is unlabelled has no line"
    assert not there[15:25, 10:15].any(), "imagery is seen within an area"
    assert there[20, 20 - THICKNESS : 20 + THICKNESS].all() and there[20, 5 : 5 + THICKNESS].all()
    assert drawn[20, 19].tolist() == [0xE3, 0xC5, 0x67, 255] and drawn[20, 20].tolist() == [0x2F, 0x6B, 0x3A, 255]
    assert not outlines_of_areas(np.ones((9, 9), np.uint8), COLOURS)[..., 3].any(), "no line round the image itself"


def test_boxes_are_drawn_where_they_are() -> None:
    drawn = outlines_of_boxes(np.array([[4.0, 10.0, 20.0, 30.0]]), [2], (40, 50), COLOURS)
    assert drawn.shape == (40, 50, 4) and drawn[10, 4, 3] == drawn[29, 19, 3] == 255
    assert not drawn[15:25, 8:16, 3].any() and not drawn[30:, :, 3].any()


def square(west: float, south: float, side: float) -> list[tuple[float, float]]:
    return [(west, south), (west + side, south), (west + side, south + side), (west, south + side)]


def test_scenes_lie_on_the_map_as_they_lie_on_the_earth() -> None:
    map = locate([Footprint("a", "train", square(12, 52, 0.1)), Footprint("b", "test", square(12.1, 52.1, 0.1))])
    assert map and {shape.id: (shape.part, shape.is_small) for shape in map.shapes} == {
        "a": ("train", False),
        "b": ("test", False),
    }
    a, b = sorted(map.shapes, key=lambda shape: shape.id)
    assert b.x > a.x and b.y < a.y, "east is right, north is up"
    assert (b.x - a.x) / (a.y - b.y) == pytest.approx(np.cos(np.radians(52.1)), abs=0.01), "and both are to scale"
    assert map.parts == {"train": ("#3b7dd8", 1), "test": ("#a04fc4", 1)} and map.place == "52.10° N, 12.10° E"
    kilometre = map.bar / float(map.bar_text.removesuffix(" km"))
    assert (a.y - b.y) / kilometre == pytest.approx(11.1, abs=0.1)


def test_small_and_far_scenes_are_seen_and_folds_have_colours() -> None:
    map = locate([Footprint(str(n), f"fold {n % 3}", square(30.0 * n - 100, 10, 0.01)) for n in range(6)])
    assert map and all(shape.is_small for shape in map.shapes) and list(map.parts) == ["fold 0", "fold 1", "fold 2"]
    assert len({colour for colour, _ in map.parts.values()}) == 3
    assert locate([]) is None and locate([Footprint("s", "train", [(np.inf, 0.0)] * 4)]) is None
    assert locate([Footprint("s", "train", [(5.0, 5.0)] * 4)]), "no size at all"


def test_scenes_on_both_sides_of_the_antimeridian_lie_side_by_side() -> None:
    map = locate([Footprint("w", "train", square(179.7, 0, 0.1)), Footprint("e", "train", square(-179.9, 0, 0.1))])
    across = locate([Footprint("s", "train", [(179.9, 0), (-179.9, 0), (-179.9, 0.2), (179.9, 0.2)])])
    assert map and across
    west, east = sorted(map.shapes, key=lambda shape: shape.id, reverse=True)
    assert (
        west.x < east.x and not west.is_small and map.bar_text.endswith("km") and across.place == "0.10° N, 180.00° W"
    )


def test_values_are_counted_by_band_and_split(tmp_path: Path) -> None:
    bright, dark = (scene_of(tmp_path / name) for name in ("bright", "dark"))
    with rasterio.open(dark.image, "r+") as dataset:
        dataset.write(dataset.read() // 2)
    write_json(tmp_path / "stats.json", {"means": [1500.0], "stds": [100.0]})
    scenes = {"train": [bright], "validation": [dark]}
    bands = band_histograms(scenes, None, ["a", "b", "c"], str(tmp_path / "stats.json"))
    assert [band.name for band in bands] == ["a", "b", "c"] and bands[0].limits == pytest.approx((1200, 1800))
    assert bands[0].median["train"] == pytest.approx(2 * bands[0].median["validation"], rel=0.01)
    assert bands[0].low == pytest.approx(500, abs=15) and bands[0].high == pytest.approx(2300, abs=60)
    heights = [float(point.split(",")[1]) for point in bands[0].lines["train"].split()]
    assert min(heights) >= 0 and max(heights) <= HEIGHT and len(heights) <= 60
    Path(dark.image).unlink()
    gone = band_histograms(scenes, None, ["a", "b", "c"], None)
    assert list(gone[0].lines) == ["train"] and gone[0].limits is None


# --- the page ---------------------------------------------------------------------------------------


def scene_of(folder: Path, task: Task = SEGMENTATION) -> SceneFacts:
    folder.mkdir(parents=True)
    return made_scene(folder, task, 96)


def preview_of(folder: Path, task: Task) -> Path:
    facts = scene_of(folder / "scene", task)
    ids = {"train": [SCRIPT, "a$x^2$b"], "validation": ["v" * 90], "test": ["t"]}
    scenes = [replace(facts, id=name, split=split) for split, names in ids.items() for name in names]
    scenes[-1] = replace(scenes[-1], labels=None, label_raster=None)
    training = TrainingJob(
        "made <b>", folder, [], [], SceneOptions(task, Imagery(), None), CLASSES, COLOURS, 32, Model(), Train()
    )
    image = np.random.default_rng(0).random((3, 32, 32), np.float32)
    areas = np.kron(np.array([[0, 1], [2, 1]]), np.ones((16, 16), int))
    targets = {SEGMENTATION: areas, CLASSIFICATION: np.array(2), DETECTION: np.array([[2, 3, 20, 25, 1.0]])}
    page = folder / "preview.html"
    chips = [PreviewChip(image, targets[task])] * 5
    write_preview(page, training, scenes, chips, {"train": 5}, ["B04", "B03", "B02"])
    return page


@pytest.mark.parametrize("task", [SEGMENTATION, CLASSIFICATION, DETECTION])
def test_the_page_of_every_task_opens_on_a_phone_in_the_dark(tmp_path: Path, browser: Any, task: Task) -> None:
    path = preview_of(tmp_path, task)
    text = path.read_text()
    assert "<script>alert" not in text and "<b>wood" not in text and text.count("#t") and "a$x^2$b" in text
    context = browser.new_context(offline=True, viewport={"width": 400, "height": 800}, color_scheme="dark")
    page, wrong = context.new_page(), []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("requestfailed", lambda request: wrong.append(request.url[:100]))
    page.goto(f"file://{path}")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    outlines = page.locator(".stack img + img")
    assert outlines.count() == 3 + 5 * (task != CLASSIFICATION) and outlines.first.is_visible()
    page.locator("#outlines").uncheck()
    assert not outlines.first.is_visible() and page.locator(".stack img").first.is_visible()
    page.get_by_role("link", name="a$x^2$b").focus()  # the map can be used by keyboard
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#train-1" and not wrong
    context.close()
