"""The preflight's own promises: what it reads is bounded and remembered, what it finds is told once and in order."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import yaml
from experiment import REPOSITORY
from hypothesis import given
from hypothesis import strategies as st
from made_facts import as_image
from PIL import Image
from tiny import CRS, TINY, grid, pixels, write_image, write_tiny

from swath.checks import preflight
from swath.checks.context import CheckRequest, Survey, request_of
from swath.checks.findings import PreflightError, grouped, judged, tally, text_of
from swath.checks.machine import looks_like_weights
from swath.checks.networks import SIZES as KNOWN_SIZES
from swath.checks.networks import within_limits
from swath.checks.pixels import MOST, SIDE, footprint, metres_per_pixel, sample_pixels, sample_windows
from swath.checks.read_scenes import read_scene
from swath.checks.readings import Reading, SurveyedImage
from swath.checks.splits import overlap
from swath.config.imagery import Imagery
from swath.config.labels import Labels
from swath.config.load import load_experiment
from swath.config.records import of_json, to_json
from swath.error_codes import LEVEL_OF
from swath.errors import Problem
from swath.files import read_json
from swath.plan.plan import make_plan
from swath.scenes.facts import ScenesSpec
from swath.scenes.images import read_header
from swath.scenes.scene import Scene
from swath.scenes.table import read_scenes
from swath.smk.run import check_again

SIZES = st.integers(1, 30_000)


# --- what is read ----------------------------------------------------------------------------------


@given(SIZES, SIZES, st.integers(1, 13), st.sampled_from([(1, None), (64, 64), (512, 512)]))
def test_a_sample_is_bounded_and_holds_the_last_pixels(
    width: int, height: int, bands: int, block: tuple[int, int | None]
) -> None:
    windows = sample_windows(width, height, bands, (block[0], block[1] or width))
    assert all(w.col_off >= 0 and w.col_off + w.width <= width for w in windows)
    assert all(w.row_off >= 0 and w.row_off + w.height <= height for w in windows)
    assert any(w.col_off + w.width == width and w.row_off + w.height == height for w in windows)
    if len(windows) > 4:
        blocks = (block[0], block[1] or width)
        decoded = -(-min(SIDE, height) // blocks[0]) * blocks[0] * -(-min(SIDE, width) // blocks[1]) * blocks[1]
        assert len(windows) * decoded * bands <= MOST


def test_a_large_image_costs_no_more_than_a_small_one(tmp_path: Path) -> None:
    profile = {"driver": "GTiff", "crs": CRS, "transform": grid("a"), "dtype": "uint16", "count": 3}
    profile |= {"width": 20_000, "height": 20_000, "tiled": True, "sparse_ok": True}
    with rasterio.open(tmp_path / "large.tif", "w", **profile) as image:
        image.write(np.ones((3, 100, 100), np.uint16), window=rasterio.windows.Window(0, 0, 100, 100))
    start = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    sample = sample_pixels(str(tmp_path / "large.tif"), [])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - start < 2
    assert sample.bands[0].max == 1


def test_reading_imports_neither_torch_nor_raster_vision() -> None:
    probe = "import sys, swath.checks.read_scenes; print([m for m in ('torch', 'rastervision') if m in sys.modules])"
    command = [sys.executable, "-c", probe]
    done = subprocess.run(command, cwd=REPOSITORY / "scripts", capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_transparency_is_no_band_of_values(tmp_path: Path) -> None:
    values = np.full((2, 20, 20), 255, np.uint8)
    values[0] = np.arange(20)
    path = write_image(tmp_path, "a", values, bands=(None, None))
    sample = sample_pixels(str(path), [1])
    assert sample.bands[1] is None
    assert sample.bands[0].max == 19


def test_a_stumbling_library_is_a_finding(tmp_path: Path) -> None:
    impossible: Any = 7
    spec = ScenesSpec("semantic_segmentation", ["null", "a"], Imagery(), Labels(default_class="a"))
    problem, *more = read_scene(Scene("a", "train", impossible, "a.gpkg"), {"key": spec}).problems
    assert problem.code == "image_unreadable" and not more
    assert problem.cure


# --- what is remembered ----------------------------------------------------------------------------


def request_for(config: dict[str, Any]) -> CheckRequest:
    """What the preflight is asked, for an experiment in the working directory."""
    Path("config.yaml").write_text(yaml.safe_dump(config))
    experiment = load_experiment(config, ["config.yaml"])
    return request_of(make_plan(experiment, read_scenes(experiment.scenes), config), ["config.yaml"])


@pytest.fixture
def request_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CheckRequest:
    """A tiny experiment in the working directory."""
    monkeypatch.chdir(tmp_path)
    write_tiny(tmp_path / "data")
    return request_for(deepcopy(TINY))


def told(request: CheckRequest, read: preflight.Read = preflight.read_in_a_process) -> str:
    """What stops the run; nothing if nothing does."""
    try:
        preflight.preflight(request, Path("report.html"), read)
    except PreflightError as error:
        return str(error)
    return ""


class Reader:
    """Reads scenes and notes their ids, in order."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    def __call__(self, scenes: Sequence[Scene], specs: Mapping[str, ScenesSpec]) -> list[Reading]:
        self.ids.extend(scene.id for scene in scenes)
        return preflight.read_in_a_process(scenes, specs)


def test_a_scene_is_read_again_when_it_has_changed(request_here: CheckRequest) -> None:
    reader = Reader()
    preflight.look_at(request_here, reader)
    assert reader.ids == ["a", "b", "c", "d"]
    preflight.look_at(request_here, reader)
    assert len(reader.ids) == 4
    write_image(Path("data"), "c", np.full((3, 80, 80), 9, np.uint16))
    survey = preflight.look_at(request_here, reader)
    assert reader.ids[4:] == ["c"]
    assert [reading.id for reading in survey.readings] == ["a", "b", "c", "d"]


@pytest.mark.usefixtures("request_here")
def test_a_cure_beside_the_file_is_seen() -> None:
    """A Shapefile without its .prj: putting it there changes nothing of the file that the table names."""
    gpd.read_file("data/a.gpkg").to_file("data/a.shp")
    table = Path("data/scenes.csv")
    table.write_text(table.read_text().replace("a.gpkg", "a.shp"))
    Path("data/a.prj").rename("a.prj")
    request = request_for(deepcopy(TINY))
    assert "ERROR no_crs" in told(request)
    Path("a.prj").rename("data/a.prj")
    assert told(request) == ""


def test_what_could_not_be_read_is_read_again(request_here: CheckRequest) -> None:
    reader = Reader()
    Path("data/b.tif").write_bytes(b"none")
    told(request_here, reader)
    told(request_here, reader)
    assert reader.ids == ["a", "b", "c", "d", "b"]


@pytest.mark.usefixtures("request_here")
def test_a_band_that_is_left_out_stops_nothing() -> None:
    for scene in "ab":
        values = pixels(scene)
        values[2] = 7
        write_image(Path("data"), scene, values)
    assert "constant_band" in told(request_for(deepcopy(TINY)))
    assert told(request_for({**deepcopy(TINY), "imagery": {"bands": ["red", "green"]}})) == ""


@pytest.mark.usefixtures("request_here")
def test_a_large_image_with_a_label_raster_that_knows_no_place() -> None:
    """Label rasters are read as they are: on a coarser grid, sizes would differ and single pixels be lost."""
    side = 1100
    for number, scene in enumerate("abcd"):
        place = rasterio.transform.from_origin(330_000 + number * 10 * (side + 1), 5_820_000, 10, 10)
        write_image(Path("data"), scene, pixels(scene, side=side), transform=place)
        labels = np.zeros((side, side), np.uint8)
        labels[::100, ::100], labels[50::100, 50::100] = 1, 2
        Image.fromarray(labels).save(f"data/{scene}.png")
    table = Path("data/scenes.csv")
    table.write_text(table.read_text().replace(".gpkg", ".png"))
    config = {**deepcopy(TINY), "labels": {"mapping": {1: "field", 2: "forest", 0: None}}}
    assert told(request_for(config)) == ""
    survey = preflight.look_at(request_for(config))
    assert [next(iter(reading.labels.values())).pixels for reading in survey.readings] == [
        {"field": 121, "forest": 121}
    ] * 4


@pytest.mark.usefixtures("request_here")
def test_a_file_that_two_scenes_share_is_an_image_in_two_splits() -> None:
    """Scenes of several files, of which one is the same."""
    table = Path("data/scenes.csv")
    table.write_text(table.read_text().replace("a,a.tif", "a,a.tif;b.tif").replace("c,c.tif", "c,b.tif;c.tif"))
    text = told(request_for({**deepcopy(TINY), "imagery": {"files": "mosaic"}}))
    assert "image_in_two_splits" in text
    assert "the same file" in text


def test_what_is_remembered_is_what_was_read(request_here: CheckRequest) -> None:
    first, second = (preflight.preflight(request_here, Path(f"{name}.html")) for name in ("one", "two"))
    assert first.details == second.details == ""
    assert Path("one.html").read_text() == Path("two.html").read_text()


def test_a_request_is_the_same_on_the_other_side_of_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An external network refuses to be told an encoder: what was not said must not come back as said."""
    monkeypatch.chdir(tmp_path)
    write_tiny(tmp_path / "data")
    model = {"architecture": "external", "definition": "network", "entrypoint": "net", "arguments": {"n": "{classes}"}}
    request = request_for({**deepcopy(TINY), "model": model})
    assert of_json(CheckRequest, json.loads(json.dumps(to_json(request)))) == request


def test_scenes_yet_to_be_made_are_left_out(request_here: CheckRequest) -> None:
    Path("data/d.tif").unlink()
    passed = preflight.preflight(request_here, Path("report.html"))
    assert "Checked 3 scenes (1 are yet to be made)" in passed.summary
    assert "NOTE not_there_yet" in passed.details


def test_the_report_needs_nothing_from_elsewhere(request_here: CheckRequest) -> None:
    preflight.preflight(request_here, Path("report.html"))
    page = Path("report.html").read_text()
    assert not re.search(r"<script|<link|https?://|url\(", page)
    for word in ("field", "forest", "uint16", "WGS 84 / UTM zone 33N", "80 × 80", "10 m", "50.0 %"):
        assert word in page


# --- what is told ----------------------------------------------------------------------------------


def found(code: str, file: str = "a.tif", **changes: str) -> Problem:
    words = {"field": "f", "found": "x", "expected": "y", "cure": "z"} | changes
    return Problem(code, file, **words)


def test_errors_come_first_and_what_is_allowed_last_of_its_level() -> None:
    codes = ["zeros", "class_rare", "outliers", "image_unreadable"]
    findings = judged([found(code) for code in codes], ["class_rare"])
    assert [finding.problem.code for finding in findings] == ["image_unreadable", "outliers", "class_rare", "zeros"]
    assert [finding.stops for finding in findings] == [True, True, False, False]
    assert tally(findings) == "1 error, 2 warnings (1 allowed), 1 note"


def test_only_warnings_can_be_allowed_and_those_that_are_not_say_how() -> None:
    error, allowed, other = judged([found(code) for code in ("disk_space", "outliers", "class_rare")], LEVEL_OF)
    assert error.stops and not error.allowed and error.problem.cure == "z"
    assert other.allowed and allowed.allowed and other.problem.cure == "z"
    (warning,) = judged([found("outliers")], [])
    assert warning.problem.cure == "z; or, if it is meant, allow it: checks: {allow: [outliers]}"
    assert "WARNING class_rare (allowed)\na.tif: f\n  found:    x\n" in text_of([allowed])


def test_what_differs_in_the_file_alone_is_told_once() -> None:
    findings = judged([found("outliers", f"{number}.tif") for number in range(10)], [])
    assert [len(group.files) for group in grouped(findings)] == [10]
    text = text_of(findings)
    assert text.count("WARNING outliers") == 1
    assert "also:     1.tif" in text and "7 more" in text


def test_a_thousand_scenes_with_the_same_fault_fill_no_screen() -> None:
    """Whether they differ in what was found, or in the cure as well; what is there once is never left out."""
    shares = [replace(found("outliers", f"{number}.tif"), found=f"{number} %") for number in range(1000)]
    cures = [replace(found("class_rare", f"{number}.tif"), cure=f"take {number}") for number in range(1000)]
    text = text_of(judged([*shares, *cures, found("zeros")], []))
    assert len(text.splitlines()) < 40
    assert "0.tif: f\n  found:    0 %" in text and "  also:     1.tif: 1 %" in text and "997 more" in text
    assert "take 2;" in text and "take 3;" not in text and "class_rare: 997 more of this kind" in text
    assert "NOTE zeros" in text


def test_nothing_is_told_twice() -> None:
    assert len(judged([found("outliers"), found("outliers")], [])) == 1


# --- on the ground ---------------------------------------------------------------------------------


def header_of(path: Path) -> SurveyedImage:
    image = as_image(read_header(str(path)), str(path))
    return SurveyedImage(**vars(image), metres=metres_per_pixel(image), footprint=footprint(image))


def test_edges_that_touch_do_not_overlap(tmp_path: Path) -> None:
    one = header_of(write_image(tmp_path, "a"))
    beside = header_of(write_image(tmp_path, "b", transform=grid("a") @ rasterio.Affine.translation(80, 0)))
    half = header_of(write_image(tmp_path, "c", transform=grid("a") @ rasterio.Affine.translation(40, 0)))
    assert overlap(one, beside) == 0
    assert overlap(one, half) == pytest.approx(0.5)


@pytest.mark.parametrize(("crs", "side"), [("EPSG:32633", 10.0), ("EPSG:4326", 1e-4), ("EPSG:2263", 30.0)])
def test_pixels_are_measured_in_metres(crs: str, side: float, tmp_path: Path) -> None:
    transform = rasterio.transform.from_origin(12.5 if crs == "EPSG:4326" else 330_000, 52.5, side, side)
    header = read_header(str(write_image(tmp_path, "a", crs=crs, transform=transform)))
    metres = {"EPSG:32633": 10.0, "EPSG:4326": 8.69, "EPSG:2263": 9.144}[crs]
    assert metres_per_pixel(header) == pytest.approx(metres, rel=0.01)


def test_weights_are_known_by_their_first_bytes(tmp_path: Path) -> None:
    (tmp_path / "old.pth").write_bytes(b"\x80\x02rest")
    (tmp_path / "page.pth").write_bytes(b"<html>")
    (tmp_path / "good.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    assert looks_like_weights(tmp_path / "old.pth")
    assert not looks_like_weights(tmp_path / "page.pth")
    assert looks_like_weights(tmp_path / "good.safetensors")


# --- what was passed over --------------------------------------------------------------------------


@pytest.mark.usefixtures("request_here")
def test_what_nothing_came_of_is_told() -> None:
    folders = {"train": "ab", "validation": "c", "test": "d"}
    for split, scenes in folders.items():
        Path("tree", split).mkdir(parents=True)
        for scene in scenes:
            for ending in ("tif", "gpkg"):
                Path(f"data/{scene}.{ending}").rename(f"tree/{split}/{scene}.{ending}")
    Path("tree/train/c.TIF").touch()
    for number in range(7):
        Path(f"tree/test/{number}.txt").touch()
    patterns = {"image": "tree/{split}/{scene}.tif", "labels": "tree/{split}/{scene}.gpkg"}
    sweep = {"grid": {"train.epochs": [1, 1, 2]}}
    request = request_for(TINY | {"scenes": patterns, "sweep": sweep})
    found = {finding.problem.code: finding.problem for finding in preflight.check(preflight.look_at(request))}
    assert found["scenes_left_out"].level == "warning"
    assert found["scenes_left_out"].found == "1 file that belongs to no scene: tree/train/c.TIF"
    assert found["files_left_over"].found.startswith("7 files that belong to no scene: tree/test/0.txt, ")
    assert found["files_left_over"].found.endswith("tree/test/4.txt, …")
    assert found["trials_twice"].found == "epochs=1, 2 times"


@pytest.mark.usefixtures("request_here")
def test_a_column_that_nobody_reads_stops_the_run_until_it_is_allowed() -> None:
    table = Path("data/scenes.csv")
    table.write_text(table.read_text().replace("split", "split,aoi_path"))
    assert "WARNING unread_column" in (message := told(request_for(deepcopy(TINY))))
    assert "did you mean 'aoi'?" in message
    assert told(request_for(TINY | {"checks": {"allow": ["unread_column"]}})) == ""


def test_scenes_that_a_run_has_made_are_checked_at_its_end(
    request_here: CheckRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    first, *_ = request_here.scenes
    check_again(request_here, "page.html", [])
    assert not Path("page.html").exists() and not capsys.readouterr().err
    check_again(request_here, "page.html", [first.id])
    assert f"Checked {len(request_here.scenes)} scenes" in capsys.readouterr().err and Path("page.html").exists()
    Path(first.image).write_bytes(b"no image")
    check_again(request_here, "page.html", [first.id])
    assert "ERROR image_unreadable" in capsys.readouterr().err, "told; the run has ended well all the same"
    Path(first.image).unlink()
    check_again(request_here, "page.html", [first.id])
    assert not capsys.readouterr().err, "it is still to be made"


# --- limits of networks ---------------------------------------------------------------------------------------------


def limited(limits: dict[str, Any], encoders: list[str], **sweep: Any) -> Survey:
    """What is known of an experiment with limits, in the working directory."""
    config = deepcopy(TINY)
    config["sweep"] = {"grid": {"model.encoder": encoders}, "limits": limits, **sweep}
    return preflight.look_at(request_for(config))


def test_networks_over_the_limits_are_told_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A U-Net on a ResNet-18 has 14.3 million parameters, on a ResNet-34 24.4 million; the third there is none of."""
    monkeypatch.chdir(tmp_path)
    write_tiny(tmp_path / "data")
    assert not list(within_limits(limited({"gpu_hours": 1}, ["resnet18"]))) and not KNOWN_SIZES.exists()
    encoders = ["resnet18", "resnet34", "tu-resnet99"]
    error, note = within_limits(limited({"parameters": 20_000_000}, encoders))
    assert error.code == "network_not_built" and "tu-resnet99" in error.found
    assert (note.code, note.level) == ("network_over_limits", "note")
    assert "resnet34: 24," in note.found and "20,000,000 allowed" in note.found and "resnet18" not in note.found
    assert len(read_json(KNOWN_SIZES)) == 2, "what could not be built is tried again"
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("networks are built once"))
    (error,) = within_limits(limited({"model_mb": 50}, encoders[:2]))
    assert (error.code, error.field) == ("limits_too_small", "sweep.limits") and "none of 2 trials" in error.found
    assert re.fullmatch(r"config\.yaml:\d+", error.file), "with its line"
