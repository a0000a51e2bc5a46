"""The report of an experiment: what stands in it, how large it is, and what a browser makes of it."""

from __future__ import annotations

import base64
import io
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
from made_experiment import CLASSES, made_experiment, winner_of
from made_records import record
from made_report import MOST_BYTES, making, map_json, report_of
from matplotlib import pyplot as plt
from matplotlib.text import Text
from PIL import Image
from playwright.sync_api import Page
from rasterio.windows import Window
from shapely.geometry import box

from swath.checksums import write_record
from swath.config.tasks import CLASSIFICATION, DETECTION, SEGMENTATION, Task
from swath.files import read_json, sha256, write_json
from swath.job.attempts import ENDING
from swath.plan.finished import FinishedRun
from swath.report.charts import setting_charts
from swath.report.costs import costs_by_stage, shared
from swath.report.leaderboard import compare
from swath.report.page import headline_of, without_secrets, write_report
from swath.report.pictures import FALSE, HIT, brightness_among, found_boxes, map_pictures
from swath.report.plots import draw_confusion
from swath.report.provenance import checksums_of_models
from swath.report.reliability import reliability
from swath.report.suspicious import suspicious_labels
from swath.report.worst import wrong_windows
from swath.report.worst_pictures import near_edges, reasons, window_pictures
from swath.search.room import Room
from swath.search.rungs import decide

# --- what stands in it ------------------------------------------------------------------------------


def test_windows_with_the_most_wrong_pixels_come_first(tmp_path: Path) -> None:
    findings = made_experiment(tmp_path / "made", scenes=2)
    windows = wrong_windows(findings, 32)
    assert [(one.row, one.column) for one in windows[:4]] == [(64, 64)] * 4  # the lower right quarter
    assert all(one.wrong <= one.labelled for one in windows)
    assert sum(one.wrong for one in windows if one.scene == "v000") == 48 * 48
    best = windows[0]
    assert {best.label, best.predicted} == {1, 2} and best.confidence == pytest.approx(200 / 254)


def test_why_a_window_is_wrong_is_told_where_something_tells_it(tmp_path: Path) -> None:
    findings = made_experiment(tmp_path / "made", scenes=1)
    assert near_edges(np.array([[1, 1, 1, 1, 2]], np.uint8)).tolist() == [[False, False, True, True, True]]
    assert not near_edges(np.array([[1, 0, 0, 1]], np.uint8)).any(), "unlabelled ground is no other label"
    window = next(one for one in wrong_windows(findings, 32) if one.scene == "v000")
    assert window.of_pair <= window.wrong and reasons(findings, window) == ["mean confidence 0.79"]
    with rasterio.open(tmp_path / "made" / "scene" / "image.tif", "r+") as image:
        image.write(np.zeros((3, 32, 32), image.dtypes[0]), window=Window(window.column, window.row, 32, 32))
    assert reasons(findings, window)[0] == "in the darkest tenth of the image"
    with rasterio.open(tmp_path / "made" / "scene" / "truth.tif") as truth:
        ids = truth.read(1)
    part = np.s_[window.row : window.row + 32, window.column : window.column + 32]
    ids[part] = np.where(near_edges(ids[part]), 3 - ids[part], ids[part])
    with rasterio.open(tmp_path / "made" / "scene" / "map" / "prediction.tif", "r+") as prediction:
        prediction.write(ids, 1)
    assert "along edges of labels" in reasons(findings, window)


def test_what_has_no_data_is_neither_dark_nor_bright(tmp_path: Path) -> None:
    facts = made_experiment(tmp_path / "made", scenes=1).scenes["v000"]
    part, pixels = Window(0, 0, 8, 8), np.ones((8, 8), bool)
    with rasterio.open(facts.image, "r+") as image:
        values = np.tile(np.arange(96, dtype=np.uint16), (3, 96, 1)) + 100
        values[:, :, 40:] = 0
        image.nodata = 0
        image.write(values)
    assert brightness_among(facts, part, pixels) == pytest.approx(0.1, abs=0.02), "a tenth of what there is, not of all"
    assert brightness_among(facts, Window(60, 0, 8, 8), pixels) is None
    with rasterio.open(facts.image, "r+") as image:
        image.write(np.full((3, 96, 96), 7, np.uint16))
    os.utime(facts.image, (1, 1))
    assert brightness_among(facts, part, pixels) == 0.5, "nothing stands out of an image of one value"


def test_labels_that_are_contradicted_lie_where_they_are_on_the_earth(tmp_path: Path) -> None:
    findings = made_experiment(tmp_path / "made", scenes=1)
    table = suspicious_labels(findings, wrong_windows(findings, 32))
    assert table.crs.to_epsg() == 4326 and len(table) > 0
    assert (table["pixels"] >= 16 * 16).all() and table["confidence"].between(0, 1).all()
    facts = findings.scenes["v000"]
    west, south, east, north = facts.bounds
    assert table.total_bounds[0] >= west - 1e-6 and table.total_bounds[3] <= north + 1e-6
    assert table.total_bounds[2] == pytest.approx(east, abs=1e-4) and table.total_bounds[1] == pytest.approx(
        south, abs=1e-4
    )


def test_boxes_without_labels_and_labels_without_boxes_are_suspicious(tmp_path: Path) -> None:
    findings = made_experiment(tmp_path / "made", DETECTION, scenes=1)
    table = suspicious_labels(findings, [])
    false = table[table["label"] == ""]
    missed = table[table["predicted"] == ""]
    assert len(false) == len(missed) == 2  # one of each in the validation and in the test scene
    assert table["confidence"].iloc[0] == pytest.approx(0.3), "those that were found come first"
    facts = findings.scenes["v000"]
    drawn = found_boxes(facts, tmp_path / "made" / "scene" / "map", CLASSES)
    assert [box[6] for box in drawn.found].count(HIT) == len(drawn.found) - 1
    assert drawn.found[-1][6] == FALSE and len(drawn.missed) == 1


def test_how_sure_a_model_is_is_compared_with_how_right_it_is(tmp_path: Path) -> None:
    bins = reliability(made_experiment(tmp_path / "made", scenes=1))
    assert bins is not None and len(bins) == 1
    assert bins["confidence"][0] == pytest.approx(200 / 254)
    assert bins["accuracy"][0] == pytest.approx(1 - 48 * 48 / (88 * 96))
    (tmp_path / "made" / "scene" / "map" / "scores.tif").unlink()
    assert reliability(made_experiment(tmp_path / "other", scenes=1)) is not None


def test_cells_that_are_wrong_and_surest_come_first_and_lie_on_the_earth(tmp_path: Path) -> None:
    findings = made_experiment(tmp_path / "made", CLASSIFICATION, scenes=1)
    cells = wrong_windows(findings, 32)
    assert [(one.row, one.column, one.height, one.width) for one in cells] == [(0, 48, 48, 48)] * 2  # in two scenes
    assert {(one.label, one.predicted, one.confidence) for one in cells} == {(2, 1, 0.75)}
    table = suspicious_labels(findings, cells)
    assert set(table["label"]) == {CLASSES[2]} and set(table["predicted"]) == {"field"}
    assert table["confidence"].tolist() == [0.75, 0.75]
    facts = findings.scenes["v000"]
    west, south, east, north = facts.bounds
    middle = [(west + east) / 2, (south + north) / 2]
    assert table.total_bounds == pytest.approx([*middle, east, north], abs=5e-4), "its edges are not quite north"
    for one in window_pictures(findings, cells):
        picture = pixels_of(one["pictures"]["image"])
        assert picture.shape[:2] == (72, 72), "half a cell more on every side, where there is an image"
        assert picture[0, 48, 0] > picture[0, 48, 1] + 60, "the upper edge of its red outline"


def test_how_sure_a_model_of_cells_is(tmp_path: Path) -> None:
    findings = made_experiment(tmp_path / "made", CLASSIFICATION, scenes=1)
    bins = reliability(findings)
    assert bins is not None and bins["confidence"].tolist() == [0.6, 0.75]
    assert bins["accuracy"].tolist() == [1, 0] and bins["share"].tolist() == [0.5, 0.5]
    (tmp_path / "made" / "scene" / "map" / "cells.parquet").unlink()
    assert reliability(findings) is None and len(wrong_windows(findings, 32)) == 2, "confidence is not needed"


def test_the_headline_quotes_no_single_run_and_says_what_cannot_be_told(tmp_path: Path) -> None:
    findings = made_experiment(tmp_path / "made", repeats=3, scenes=8)
    text = " ".join(headline_of(findings))
    winner = winner_of(findings)
    assert f"validation macro_f1 of {winner.mean:.3f} ± {winner.std:.3f} over repeats" in text
    assert f"of {winner.score:.3f}" not in text, "its best run says too much"
    assert "95 % interval" in text and "Better than the next, rate=1: " in text
    alone = " ".join(headline_of(made_experiment(tmp_path / "alone", repeats=1, scenes=2)))
    assert "cannot tell; one repeat" in alone and "no interval: 2 scenes are too few" in alone


def test_what_lies_outside_the_area_of_interest_is_neither_right_nor_wrong(tmp_path: Path) -> None:
    findings = made_experiment(tmp_path / "made", scenes=1)
    facts = findings.scenes["v000"]
    west, south, east, north = facts.bounds
    upper = gpd.GeoDataFrame(geometry=[box(west - 1, (south + north) / 2, east + 1, north + 1)], crs="EPSG:4326")
    upper.to_file(tmp_path / "aoi.geojson", driver="GeoJSON")
    assert len(wrong_windows(findings, 32)) > 0
    within = replace(facts, aoi=str(tmp_path / "aoi.geojson"))
    only = replace(findings, scenes={"v000": within})
    assert sum(one.wrong for one in wrong_windows(only, 32)) < 100, "the lower right quarter is wrong, and outside"
    errors = map_pictures(within, tmp_path / "made" / "scene" / "map", 96, CLASSES, findings.colours).errors
    assert errors and not pixels_of(errors)[60:, 60:, 3].any()


def test_images_that_are_gone_leave_a_report_of_the_rest(tmp_path: Path) -> None:
    findings = made_experiment(tmp_path / "made", scenes=2)
    (tmp_path / "made" / "scene" / "image.tif").unlink()
    page = report_of(findings)
    assert "4 images cannot be read any more" in page.read_text()
    assert all(scene["image"] is None and scene["labels"] for scene in map_json(page)["scenes"])


def test_with_folds_every_scene_is_shown_by_the_model_that_has_not_seen_it(tmp_path: Path) -> None:
    findings = made_experiment(tmp_path / "made", trials=2, repeats=2, scenes=4)
    pd.DataFrame([{"scene": f"v00{n}", "split": "train", "fold": n % 2} for n in range(4)]).to_csv(
        findings.folder / "splits.csv", index=False
    )
    runs = [replace(run, fold=run.seed, seed=0, name=f"{run.trial},fold={run.seed}") for run in findings.runs]
    for run in runs:
        content = read_json(Path(run.model) / "validation.json")
        content["scenes"] = {f"v00{n}": content["scenes"][f"v00{n}"] for n in range(4) if n % 2 == run.fold}
        content["overall"]["confusion"] = np.sum([one["confusion"] for one in content["scenes"].values()], 0).tolist()
        write_json(Path(run.model) / "validation.json", content)
    write_json(findings.folder / "winner.json", {**vars(winner_of(findings)), "run": "rate=0,fold=1"})
    folded = replace(findings, runs=[replace(run, evals={"validation": run.model}) for run in runs])
    data = map_json(report_of(folded))
    assert {name: sorted(maps) for name, maps in data["maps"].items()} == {
        f"v00{n}": [f"rate=0,fold={n % 2}", f"rate=1,fold={n % 2}"] for n in range(4)
    }
    assert folded.shown and np.sum(folded.shown["overall"]["confusion"]) == 4 * 2000
    assert "validation scenes of all folds" in (findings.folder / "report.html").read_text()


def test_settings_that_some_trials_lack_are_drawn_too(tmp_path: Path) -> None:
    findings = made_experiment(tmp_path / "made", trials=3, repeats=2)
    values: list[dict[str, Any]] = [{"train.clip_gradients": None}, {"train.clip_gradients": 1.0}, {"train.ema": 0.9}]
    runs = [replace(run, values=values[int(run.trial[-1])]) for run in findings.runs]
    metric, tables = (
        findings.metric,
        [findings.folder / f"{name}.csv" for name in ("trials", "leaderboard", "comparison")],
    )
    compare(runs, metric, *tables)
    assert set(setting_charts(replace(findings, runs=runs))) == {"train.clip_gradients", "train.ema"}
    added = [replace(run, values={**run.values, "chips.size": seed}) for seed, run in enumerate(runs)]
    assert set(setting_charts(replace(findings, runs=added))) == {"train.clip_gradients", "train.ema"}


def test_passwords_and_signatures_in_addresses_are_left_out() -> None:
    text = "image: https://me:secret@example.org/a.tif?sig=abc&se=2 # what?\nname: a?b"
    assert without_secrets(text) == "image: https://…example.org/a.tif… # what?\nname: a?b"


def test_files_are_named_with_their_checksums_and_the_command_with_what_it_overrode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = made_experiment(tmp_path / "made", trials=2, repeats=1, scenes=1)
    inputs = {"image": {"data/<a>.tif": "1" * 64}, "labels": {"data/all.gpkg": "2" * 64}}
    scenes = {name: replace(facts, inputs=inputs) for name, facts in made.scenes.items()}
    bundles = [Path(f"results/bundles/{number}/model-bundle.zip") for number in range(3)]
    for bundle in bundles:
        bundle.parent.mkdir(parents=True)
        bundle.write_bytes(str(bundle).encode())
        write_record({str(bundle): bundle}, [])
    runs = [replace(run, bundle=str(bundles[number].parent)) for number, run in enumerate(made.runs)]
    findings = replace(made, scenes=scenes, runs=runs)
    assert list(checksums_of_models(findings).items()) == [(str(path), sha256(path)) for path in bundles[:2]]
    text = report_of(findings, command="snakemake --config 'train={epochs: 2}'").read_text()
    assert f"{'1' * 64}  data/&lt;a&gt;.tif\n{'2' * 64}  data/all.gpkg" in text and "Inputs (2)" in text
    assert f"{sha256(bundles[0])}  {bundles[0]}" in text and "train={epochs: 2}" in text


def test_what_it_took_is_added_up_by_stage(tmp_path: Path) -> None:
    for path, gpus in {"chip/k1/a": 0, "chip/k1/b": 0, "train/k1": 2, "train/k2": 0}.items():
        record(tmp_path / f"{path}{ENDING}", gpus=gpus, memory=700 if path.endswith("b") else 500)
    table = costs_by_stage(tmp_path, {"chip": ["k1", "k1"], "train": ["k1", "k2"], "eval": ["k9"]})
    assert table["stage"].tolist() == ["chip", "train"] and table["jobs"].tolist() == [2, 2]
    assert table["hours"].tolist() == [2, 2] and table["CPU hours"].tolist() == [1, 1]
    assert table["most memory, MB"].tolist() == [700, 500] and table["GPU hours"].tolist() == [0, 2]
    assert "GPU energy, kWh" not in table  # nobody counts it
    record(tmp_path / f"train/k1{ENDING}", gpus=2, joules=7.2e6)
    assert costs_by_stage(tmp_path, {"train": ["k1", "k2"]})["GPU energy, kWh"].tolist() == ["2.000"]
    assert shared({"chip": ["k1", "k1"], "train": ["k1", "k2"]}) == ["chip ran once for 2 trainings"]


@pytest.mark.parametrize("task", [SEGMENTATION, DETECTION])
def test_a_report_has_everything_in_it_and_names_are_text(tmp_path: Path, task: Task) -> None:
    findings = made_experiment(tmp_path / "made", task, trials=3, repeats=2, scenes=3)
    page = report_of(findings)
    text = page.read_text()
    assert "<script>alert" not in text and "<b>wood" not in text and "<i>config" not in text
    assert not re.findall(r'(?:src|href)="(?!data:|#)', text[text.index("<header>") :])
    data = map_json(page)
    assert len(data["scenes"]) == 6 and {scene["split"] for scene in data["scenes"]} == {"test", "validation"}
    assert "<td>yes</td>" in text and "What a score costs" in text
    scores = [scene["score"] for scene in data["scenes"] if scene["split"] == "test"]
    assert scores == sorted(scores), "the worst first"
    assert set(data["maps"]["v000"]) == {winner_of(findings).run, "rate=1,seed=0", "rate=2,seed=0"}
    assert (findings.folder / "report.pdf").stat().st_size > 5000
    assert (findings.folder / "figures" / "curves.svg").exists() and Image.open(
        findings.folder / "figures" / "curves.png"
    )
    assert (findings.folder / "figures" / "confusion.png").exists() == (task == SEGMENTATION)
    assert len(gpd.read_file(findings.folder / "suspicious.gpkg")) > 0


def test_trials_that_were_stopped_early_are_shown_with_their_reasons(tmp_path: Path) -> None:
    findings = made_experiment(tmp_path)
    histories = {}
    for number, score in enumerate([0.3, 0.5, 0.2, 0.4]):
        histories[f"<i>{number}</i>"] = tmp_path / f"{number}.csv"
        histories[f"<i>{number}</i>"].write_text(f"epoch,macro_f1\n1,0.1\n2,{score}\n")
    tables = [tmp_path / f"{number}.csv" for number in ("first", "second")]
    decide(histories, "macro_f1", 2, tables[0], Room(1, "39 GPU hours spent", {"gpu_hours": 40.0}))
    outputs = {name: tmp_path / name for name in ("page", "pdf", "suspicious", "experiment")}
    rungs = [str(table) for table in tables]  # the second is not there yet
    write_report(findings, making(tmp_path, rungs=rungs, rung_metric="macro_f1"), outputs)
    text = outputs["page"].read_text()
    assert "Stopped early" in text and "From rung to rung" in text
    assert text.index("&lt;i&gt;1&lt;/i&gt;") < text.index("&lt;i&gt;3&lt;/i&gt;") < text.index("&lt;i&gt;2&lt;/i&gt;")
    assert text.count("not among the best 2 of 4 by macro_f1") == 2
    assert "1 of those that were to went on from rung first (39 GPU hours spent)." in text


def test_a_report_of_an_experiment_that_has_only_begun_says_so(tmp_path: Path) -> None:
    findings = made_experiment(tmp_path / "made", trials=2, repeats=1)
    for path in findings.folder.glob("*"):
        path.unlink()
    missing = FinishedRun("rate=9,seed=0", "rate=9", {}, None, 0, "nowhere", "nowhere", "nowhere", {}, "")
    begun = replace(findings, runs=[findings.runs[0], missing])
    page = report_of(begun).read_text()
    assert "1 of 2 trainings are finished" in page and 'id="leaderboard"' not in page and 'id="curves"' in page
    nothing = replace(findings, runs=[missing], scenes={})
    assert "0 of 1 trainings are finished" in report_of(nothing).read_text()


def test_a_report_of_a_few_scenes_is_small(tmp_path: Path) -> None:
    """Those of many scenes and runs: tests/workflow/test_report_sizes.py."""
    assert report_of(made_experiment(tmp_path / "made", trials=1, repeats=3)).stat().st_size < MOST_BYTES / 5


# --- in a browser -----------------------------------------------------------------------------------


@pytest.fixture
def opened(browser: Any) -> Iterator[tuple[Page, list[str]]]:
    """A page without a network, and what goes wrong on it."""
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 900})
    page, wrong = context.new_page(), []
    page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("requestfailed", lambda request: wrong.append(request.url[:100]))
    yield page, wrong
    context.close()


def open_report(page: Page, path: Path, scene: str = "") -> None:
    page.goto(f"file://{path}{scene}")
    page.wait_for_selector("body[data-maps=ready]", timeout=60_000)


MODEL = "(name) => Bokeh.documents.find((one) => one.get_model_by_name('across')).get_model_by_name(name)"


def pixels_of(uri: str) -> Any:
    """A picture of the page: height × width × 4."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))))


def source(page: Page, name: str) -> Any:
    return page.evaluate(f"(name) => ({MODEL})(name).data", name)


def test_panes_move_together_and_controls_do_what_they_say(tmp_path: Path, opened: Any) -> None:
    page, wrong = opened
    findings = made_experiment(tmp_path / "made", trials=2, repeats=2, scenes=3)
    open_report(page, report_of(findings))
    ranges = f"() => [({MODEL})('across').start, ({MODEL})('across').end]"
    before = page.evaluate(ranges)
    names = ["imagery", "labels", "prediction", "errors"]
    assert page.evaluate(f"(names) => new Set(names.map((name) => ({MODEL})('pane-' + name).x_range)).size", names) == 1
    pane = page.locator(".bk-Figure").filter(has=page.locator("canvas")).last
    pane.scroll_into_view_if_needed()
    place = pane.bounding_box()
    page.mouse.move(place["x"] + 200, place["y"] + 200)
    page.mouse.down()
    page.mouse.move(place["x"] + 260, place["y"] + 200, steps=5)
    page.mouse.up()
    after = page.evaluate(ranges)
    assert after[0] < before[0] and after[1] - after[0] == pytest.approx(before[1] - before[0])
    page.mouse.wheel(0, -200)
    page.wait_for_function(
        f"(before) => ({MODEL})('across').end - ({MODEL})('across').start < before", arg=before[1] - before[0]
    )
    assert "column" in page.locator("#map-pointer").inner_text()

    whole = source(page, "prediction")["url"][0]
    page.locator("#map-swipe").fill("0.5")
    page.wait_for_function(f"(whole) => ({MODEL})('prediction').data.url[0] !== whole", arg=whole)
    page.locator("#map-swipe").fill("0")
    page.locator("#map-opacity").fill("0.2")
    page.wait_for_function(f"() => ({MODEL})('labels').data.alpha[0] === 0.2")
    page.locator("#map-outlines").check()
    page.wait_for_function(f"(whole) => ({MODEL})('prediction').data.url[0] !== whole", arg=whole)
    page.locator("#map-scene").select_option("v001")
    page.wait_for_function("() => document.querySelectorAll('#map-run option').length === 2")
    page.locator("#map-run").select_option("rate=1,seed=0")
    assert page.evaluate("location.hash") == "#scene=v001" and not wrong, wrong


def test_maps_of_cells_open_and_move_too(tmp_path: Path, opened: Any) -> None:
    page, wrong = opened
    findings = made_experiment(tmp_path / "made", CLASSIFICATION, trials=2, repeats=1, scenes=2)
    open_report(page, report_of(findings))
    assert page.locator("#map-scene option").count() == 4
    before = source(page, "prediction")["url"][0]
    assert before.startswith("data:image/webp")
    page.locator("#map-scene").select_option("v001")
    page.wait_for_function("() => document.querySelectorAll('#map-run option').length === 2")
    whole = page.evaluate(f"() => ({MODEL})('across').end - ({MODEL})('across').start")
    page.locator(".bk-Figure").filter(has=page.locator("canvas")).last.scroll_into_view_if_needed()
    place = page.locator(".bk-Figure").filter(has=page.locator("canvas")).last.bounding_box()
    page.mouse.move(place["x"] + 200, place["y"] + 200)
    page.mouse.wheel(0, -200)
    page.wait_for_function(f"(whole) => ({MODEL})('across').end - ({MODEL})('across').start < whole", arg=whole)
    assert "Confusion of the test scenes, cells" in page.inner_text("body")
    errors = pixels_of(source(page, "errors")["url"][0])
    assert errors[20, 20].tolist() == [0x9B, 0xA3, 0xAB, 255], "a cell that is right, as a whole"
    assert errors[20, 70].tolist() == [0xD6, 0x00, 0x8F, 255] and not errors[60:, :, 3].any(), "one that is wrong"
    assert wrong == []


def test_a_scene_has_an_address_also_one_with_a_strange_name(tmp_path: Path, opened: Any) -> None:
    page, wrong = opened
    findings = made_experiment(tmp_path / "made", scenes=3)
    path = report_of(findings)
    open_report(page, path, "#scene=v002")
    assert page.locator("#map-scene").input_value() == "v002"
    page.locator("details", has_text="All scenes").locator("summary").click()
    page.locator("details").get_by_role("link", name="</script><script>alert(1)</script>").click()
    page.wait_for_function("() => document.getElementById('map-scene').value.startsWith('</script>')")
    assert not wrong, wrong


def test_a_click_on_a_window_shows_its_place_and_the_pointer_says_what_is_there(tmp_path: Path, opened: Any) -> None:
    page, wrong = opened
    findings = made_experiment(tmp_path / "made", scenes=1)
    open_report(page, report_of(findings))
    window = page.locator(".windows a.pictures", has=page.locator("img[alt*='v000']")).first
    column, width = map(int, window.get_attribute("href").rpartition("at=")[2].split(",")[::2])
    window.click()
    page.wait_for_function("() => document.getElementById('map-scene').value === 'v000'")
    page.wait_for_function(f"() => ({MODEL})('across').end - ({MODEL})('across').start < 96")
    start, end = page.evaluate(f"() => [({MODEL})('across').start, ({MODEL})('across').end]")
    assert start <= column and end >= column + width and end - start == pytest.approx(2 * width, rel=0.2)
    page.evaluate("window.swathPointer(70.5, 96 - 70.5)")  # decodes the pictures
    page.wait_for_function(
        "() => { window.swathPointer(70.5, 96 - 70.5); return document.getElementById('map-pointer')"
        ".textContent.startsWith('label'); }"
    )
    with rasterio.open(tmp_path / "made" / "scene" / "truth.tif") as truth:
        label = CLASSES[int(truth.read(1)[70, 70])]
    other = next(name for name in CLASSES[1:] if name != label)
    assert page.inner_text("#map-pointer").startswith(f"label {label}, predicted {other}; column 70, row 70; x 330705")
    page.locator("#map-brightness").fill("3")
    assert page.evaluate(f"() => ({MODEL})('pane-imagery').styles.filter") == "brightness(3)"
    page.locator("#map-swipe").fill("0.5")
    page.wait_for_function(f"() => ({MODEL})('prediction').data.url[0].startsWith('data:image/png')")
    alpha = pixels_of(source(page, "prediction")["url"][0])[80, :, 3] > 0
    middle = (start + end) / 2
    assert not alpha[: int(middle) - 1].any() and alpha[int(middle) + 1 :].all(), "half of what is in view"
    first = page.locator("#wrong ~ .wide a").first
    first.click()
    assert page.evaluate("decodeURIComponent(location.hash)").startswith("#scene=")
    assert not wrong, wrong


def test_a_click_on_a_curve_isolates_its_training_everywhere(tmp_path: Path, opened: Any) -> None:
    page, wrong = opened
    open_report(page, report_of(made_experiment(tmp_path / "made", trials=2, repeats=1)))
    chart = page.locator("#curves ~ .charts").first.locator(".bk-Figure").first
    chart.scroll_into_view_if_needed()
    place = chart.bounding_box()
    at = page.evaluate(
        """() => {
          const view = Object.values(Bokeh.index).flatMap((view) => view.model ? [view] : [...view])
            .find((view) => view.model.title && view.model.title.text.text === 'training loss');
          return [view.frame.x_scale.compute(3), view.frame.y_scale.compute(1 / 3)];
        }"""
    )
    page.mouse.click(place["x"] + at[0], place["y"] + at[1])
    selected = """() => Bokeh.documents.flatMap((one) => [...one._all_models.values()])
        .filter((one) => one.type === 'ColumnDataSource' && one.data.run && one.data.y0)[0].selected.indices"""
    page.wait_for_function(f"() => ({selected})().length === 1")
    assert not wrong, wrong


def test_a_trial_is_isolated_by_keyboard_too(tmp_path: Path, opened: Any) -> None:
    page, wrong = opened
    open_report(page, report_of(made_experiment(tmp_path / "made", trials=3, repeats=2)))
    lists = page.locator("select[data-isolates]")
    assert lists.count() == 2  # of the settings' lines, and of the learning curves
    for number, (name, lines) in enumerate({"parallel": 1, "curves": 2}.items()):
        lists.nth(number).focus()
        page.keyboard.press("ArrowDown")
        selected = f"({MODEL})('{name}').selected.indices.map((at) => ({MODEL})('{name}').data.trial[at])"
        assert page.evaluate(f"() => {selected}") == [lists.nth(number).input_value()] * lines
        page.keyboard.press("ArrowUp")
        assert page.evaluate(f"() => {selected}") == []
    charts = page.get_by_role("figure", name="training loss")
    assert charts.count() == 1 and not wrong, wrong


@pytest.mark.parametrize("task", [SEGMENTATION, DETECTION])
def test_on_a_phone_tables_scroll_and_the_page_does_not(tmp_path: Path, opened: Any, task: Task) -> None:
    page, wrong = opened
    page.set_viewport_size({"width": 400, "height": 800})
    findings = made_experiment(tmp_path / "made", task, trials=3, repeats=2)
    open_report(page, report_of(findings))
    for details in page.locator("details").all():
        details.locator("summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    frame = page.evaluate(f"() => [({MODEL})('pane-errors').inner_width, ({MODEL})('pane-errors').inner_height]")
    assert 100 < frame[0] < 200 and 100 < frame[1] < 200, "all four panes are seen at once"
    assert page.evaluate("Math.max(...[...document.querySelectorAll('.wide')].map((one) => one.scrollWidth))") > 400
    assert not wrong, wrong


def test_names_with_dollars_are_text_and_no_mathematics(
    tmp_path: Path, opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = r"a$x^2$b $$y^2$$ \(z\)"
    monkeypatch.setattr(sys.modules[made_experiment.__module__], "CLASSES", ["null", name, "other"])
    page, wrong = opened
    made = made_experiment(tmp_path / "made", trials=2, repeats=1)
    runs = [replace(run, values={"model.encoder": f"{name}{n}"}) for n, run in enumerate(made.runs)]
    for run in runs:
        history = pd.read_csv(Path(run.model) / "metrics.csv")
        history.assign(**{f"{name}_f1": 0.5}).to_csv(Path(run.model) / "metrics.csv", index=False)
    tables = [made.folder / f"{table}.csv" for table in ("trials", "leaderboard", "comparison")]
    compare(runs, made.metric, *tables)
    findings = replace(made, runs=runs)
    open_report(page, report_of(findings))  # bokeh would fetch what draws formulas
    titles = page.evaluate(
        """() => Bokeh.documents.flatMap((one) => [...one._all_models.values()])
        .filter((one) => one.type === 'Title').map((one) => one.text.text)"""
    )
    assert f"validation F1, {name}" in titles and not wrong, wrong
    figure, axis = plt.subplots()
    draw_confusion(axis, findings.classes, [[0, 0, 0], [0, 1, 2], [0, 3, 4]])
    axis.set_title(name)
    assert name in {text.get_text() for text in figure.findobj(Text)}
    assert not any(text.get_parse_math() for text in figure.findobj(Text))
    plt.close(figure)


def test_fewer_boxes_are_shown_above_a_higher_score(tmp_path: Path, opened: Any) -> None:
    page, wrong = opened
    findings = made_experiment(tmp_path / "made", DETECTION, scenes=2)
    open_report(page, report_of(findings))
    everything = len(source(page, "prediction-boxes")["left"])
    told = page.locator("#map-told").inner_text()
    assert "1 false, 1 missed" in told
    page.locator("#map-score").fill("0.6")
    page.wait_for_function(f"(all) => ({MODEL})('prediction-boxes').data.left.length < all", arg=everything)
    assert "0 false" in page.locator("#map-told").inner_text()
    assert len(source(page, "labels-boxes")["left"]) == everything
    assert not wrong, wrong
