"""How much memory a map takes, and how much time beside the network itself; Raster Vision's own way beside it.

    python benchmarks/apply.py FOLDER [--sides 2500 5000 10000 20000] [--of-raster-vision 2500 5000] [--demo-side 4000]

Square scenes of 4 bands of 16 bits, with a margin without data, are predicted in FOLDER by a cheap network of 5 classes
(windows of 256 pixels, each half over the one before). Every prediction is a process of its own; its largest resident
set is what the kernel has seen. With the demo's network, seconds of CPU time of everything but the network's forward
pass are compared with those of the forward pass alone on as many windows. Raster Vision's way is its `predict_scene`
and its label store, which writes the map alone: no polygons.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.windows import Window as RasterWindow
from training_jobs import demo_config

BANDS, BLOCK, FIELD = 4, 512, 50
CLASSES = ["null", "a", "b", "c", "d"]
COLOURS = ["#000000", "#ff0000", "#00ff00", "#0000ff", "#ffff00"]
CHEAP, DEMO = "cheap", "demo"
SIZES = {CHEAP: 256, DEMO: 128}
"""Pixels of a side of a prediction window."""
WAYS = ("swath", "raster_vision", "forward")
TRIES = 3
"""Of which the quickest counts."""


def write_scene(path: Path, side: int, with_margin: bool = True) -> None:
    """Write square fields of four kinds, with noise; of those with a margin a tenth, at their left, has no data."""
    place = rasterio.transform.from_origin(330_000, 5_820_000, 10, 10)
    profile: dict[str, Any] = {"driver": "GTiff", "dtype": "uint16", "count": BANDS, "nodata": 0, "tiled": True}
    profile |= {"width": side, "height": side, "crs": "EPSG:32633", "transform": place, "bigtiff": "if_safer"}
    random = np.random.default_rng(side)
    kinds = random.integers(0, BANDS, (side // FIELD + 1, side // FIELD + 1))
    noise = random.integers(1, 200, (BANDS, BLOCK, BLOCK), np.uint16)
    blocks = {"blockxsize": BLOCK, "blockysize": BLOCK, "compress": "deflate", "zlevel": 1}
    with rasterio.open(path, "w", **profile, **blocks) as image:
        for row in range(0, side, BLOCK):
            for column in range(0, side, BLOCK):
                height, width = min(BLOCK, side - row), min(BLOCK, side - column)
                rows, columns = (np.arange(row, row + height) // FIELD, np.arange(column, column + width) // FIELD)
                pixels = noise[:, :height, :width] + 1000 * (
                    kinds[np.ix_(rows, columns)] == np.arange(BANDS)[:, None, None]
                ).astype(np.uint16)
                if with_margin:
                    pixels[:, :, columns < side // FIELD // 10] = 0
                image.write(pixels, window=RasterWindow(column, row, width, height))


def network(kind: str) -> Any:
    """Build a network: one that takes the brightest band's class, or the demo's."""
    import torch

    from swath.networks.architectures.hubconf import segmentation_model

    torch.manual_seed(0)
    if kind == DEMO:
        model = demo_config()["model"]
        return segmentation_model(
            model.get("architecture", "unet"), model["encoder"], BANDS, len(CLASSES), **(model.get("arguments") or {})
        )
    cheap = torch.nn.Conv2d(BANDS, len(CLASSES), 1)
    with torch.no_grad():
        cheap.weight.zero_()
        cheap.weight[1:, :, 0, 0] = 9 * torch.eye(BANDS)
        cheap.bias[:] = torch.tensor([-99.0, 0, 0, 0, 0])
    return cheap


def predict(image: str, kind: str, way: str) -> dict[str, float]:
    """Predict a scene in this process; return its peak memory (MiB), and seconds of CPU time and on the clock."""
    from rastervision.core.data import ClassConfig, RasterioSource, Scene, StatsTransformer
    from rastervision.core.data.label_store import SemanticSegmentationLabelStore
    from rastervision.core.raster_stats import RasterStats
    from rastervision.core.rv_pipeline import SemanticSegmentationPredictOptions
    from rastervision.pytorch_learner import (
        SemanticSegmentationImageDataConfig,
        SemanticSegmentationLearner,
        SemanticSegmentationLearnerConfig,
        SolverConfig,
    )
    from rastervision.pytorch_learner.utils.prediction import predict_scene_ss

    from swath.config.imagery import Imagery
    from swath.config.predict import Window
    from swath.config.tasks import SEGMENTATION
    from swath.prediction.model import Computing, Model
    from swath.prediction.products import Prediction, write_products
    from swath.rv import upstream
    from swath.scenes.facts import SceneFacts
    from swath.scenes.images import read_image

    upstream.apply()
    size, names = SIZES[kind], ClassConfig(names=CLASSES, colors=COLOURS, null_class="null")
    learner = SemanticSegmentationLearner(
        SemanticSegmentationLearnerConfig(
            data=SemanticSegmentationImageDataConfig(class_config=names, img_sz=size, num_workers=0),
            model=None,
            solver=SolverConfig(batch_sz=16),
        ),
        model=network(kind),
        training=False,
    )
    model = Model(learner, SEGMENTATION, size, Computing(16, channels_last=True, deterministic=True))
    stats = RasterStats(np.full(BANDS, 300.0), np.full(BANDS, 400.0), np.full(BANDS, 9))
    source = RasterioSource(image, raster_transformers=[StatsTransformer.from_raster_stats(stats)])
    with tempfile.TemporaryDirectory(dir=Path(image).parent) as temporary:
        folder = Path(temporary)
        store = SemanticSegmentationLabelStore(
            str(folder / "raster-vision"), source.crs_transformer, class_config=names, smooth_output=False
        )
        scene = Scene("s", source, label_store=store)
        header = read_image(image, Imagery(), folder, folder)
        nothing = dict.fromkeys(("labels", "label_raster", "aoi", "evaluated", "labelled_pixels"))
        counts = {"repaired": 0, "outside_labels": 0.0, "sha256": {}, "inputs": {}, "common_labels": False}
        facts = SceneFacts(**vars(header), id="s", split="test", maps="s", **nothing, **counts)
        window = Window(chip_size=size, stride=size // 2, crop=size // 4, smooth=False)
        prediction = Prediction(facts, scene, model, names, COLOURS, range(BANDS), window)

        def by_raster_vision() -> None:
            options = SemanticSegmentationPredictOptions(chip_sz=size, stride=size // 2, crop_sz=size // 4, batch_sz=16)
            store.save(predict_scene_ss(learner, scene, options))

        ways: dict[str, Callable[[], None]] = {
            "swath": lambda: write_products(SEGMENTATION, prediction, folder),
            "raster_vision": by_raster_vision,
            "forward": lambda: forward(model, prediction),
        }
        cpu, clock = time.process_time(), time.perf_counter()
        ways[way]()
        cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
    peak = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert peak
    return {"peak": int(peak[1]) / 1024, "cpu": cpu, "clock": clock}


def forward(model: Any, prediction: Any) -> None:
    """Do what the network does for a scene's windows, and nothing else: one batch again and again."""
    import torch

    grid = prediction.grid
    count = len(grid.tops) * len(grid.lefts)
    images = torch.rand(16, BANDS, grid.size, grid.size).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        for start in range(0, count, 16):
            model.network(images[: min(16, count - start)])


def in_a_process(image: Path, kind: str, way: str) -> dict[str, float]:
    """Predict in a process of its own."""
    from swath.job.environment import set_up_computing

    set_up_computing()
    command = [sys.executable, __file__, "--child", str(image), kind, way]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Make scenes that are not there yet, predict them, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sides", type=int, nargs="*", default=[2500, 5000, 10000, 20000])
    parser.add_argument("--of-raster-vision", type=int, nargs="*", default=[2500, 5000], metavar="SIDE")
    parser.add_argument("--demo-side", type=int, default=4000)
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)

    def scene(side: int, with_margin: bool = True) -> Path:
        path = folder / (f"{side}.tif" if with_margin else f"{side}-full.tif")
        if not path.exists():
            write_scene(path, side, with_margin)
        return path

    print("| side | Swath, peak MiB | seconds | Raster Vision, peak MiB | seconds |\n|---|---|---|---|---|")
    for side in arguments.sides:
        ours = in_a_process(scene(side), CHEAP, "swath")
        line = f"| {side:,} | {ours['peak']:,.0f} | {ours['clock']:,.0f} |"
        if side in arguments.of_raster_vision:
            theirs = in_a_process(scene(side), CHEAP, "raster_vision")
            line += f" {theirs['peak']:,.0f} | {theirs['clock']:,.0f} |"
        print(line if line.count("|") > 4 else f"{line} | |", flush=True)
    tried = [
        {way: in_a_process(scene(arguments.demo_side, False), DEMO, way)["cpu"] for way in WAYS} for _ in range(TRIES)
    ]
    found = {way: min(seconds[way] for seconds in tried) for way in WAYS}
    print(f"\nThe demo's network, {arguments.demo_side}², CPU-seconds: forward pass alone {found['forward']:.1f}")
    for way in WAYS[:2]:
        print(f"{way}: {found[way]:.1f}, beside the network {found[way] / found['forward'] - 1:.0%} of it")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(predict(*sys.argv[2:5])))
    else:
        main()
