"""Networks from elsewhere, one for each task, in Raster Vision's examples: they run to the end."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import example_data as data
import pytest
from experiment import ONE_SHARD, Project, raster_vision
from small_examples import EXAMPLES, SMALL_CHIPS, Example, project_of

from swath.files import read_json

pytestmark = pytest.mark.workflow

EXTERNAL = {
    "isprs-potsdam-external": (Example(data.potsdam, {**SMALL_CHIPS, "model.arguments.name": "resnet18"}), {}),
    "spacenet-rio": (
        EXAMPLES["spacenet-rio"],
        {"definition": "models/network", "entrypoint": "efficientnet_b0", "arguments": {"num_classes": "{classes}"}},
    ),
    "cowc-potsdam": (
        EXAMPLES["cowc-potsdam"],
        {
            "definition": "models/network",
            "entrypoint": "detector",
            "arguments": {"num_classes": "{classes}", "size": "{size}"},
        },
    ),
}
OUTPUTS = {"isprs-potsdam-external": 7, "spacenet-rio": 3, "cowc-potsdam": 3}
IMAGES = {
    "isprs-potsdam-external": "data/isprs-potsdam/4_Ortho_RGBIR/top_potsdam_2_12_RGBIR.tif",
    "spacenet-rio": "data/spacenet/AOIs/AOI_1_Rio/srcData/mosaic_3band/013022223100.tif",
    "cowc-potsdam": "data/isprs-potsdam/4_Ortho_RGBIR/top_potsdam_2_13_RGBIR.tif",
}


def pipeline_config(project: Project) -> dict[str, Any]:
    """What Raster Vision was told about the training."""
    found: dict[str, Any] = read_json(next(project.results.glob("models/*/pipeline-config.json")))
    return found


@pytest.mark.long
@pytest.mark.parametrize("name", EXTERNAL)
def test_an_example_with_an_external_network_ends_in_a_bundle_that_raster_vision_takes(
    name: str, tmp_path: Path
) -> None:
    example, model = EXTERNAL[name]
    project = project_of(name, example, tmp_path)
    if model:
        project.config["model"] = {"architecture": "external", **model}
    model = project.config["model"]
    data.write_networks(tmp_path / model["definition"])
    project.snakemake(*ONE_SHARD)
    arguments = pipeline_config(project)["backend"]["model"]["external_def"]["entrypoint_kwargs"]
    assert arguments["num_classes"] == OUTPUTS[name]
    assert list(project.results.glob("evals/*/validation.json"))
    if name == "spacenet-rio":  # the same code for all tasks
        changed_files_are_noticed(project, tmp_path / model["definition"])
    with zipfile.ZipFile(next(project.results.glob("models/*/model-bundle.zip"))) as bundle_of_training:
        held = [name for name in bundle_of_training.namelist() if name.startswith("modules/")]
    assert sorted(held) == [
        f"modules/swath/{name}" for name in ("hubconf.py", "parts/__init__.py", "parts/networks.py")
    ]
    shutil.rmtree(tmp_path / model["definition"])  # everything that predicting needs is in the bundle
    bundle = next(project.results.glob("bundles/*/model-bundle.zip"))
    raster_vision("predict", str(bundle), IMAGES[name], str(tmp_path / "own.json"), folder=tmp_path)
    assert (tmp_path / "own.json").exists()


def changed_files_are_noticed(project: Project, network: Path) -> None:
    """Change a finished experiment's network, back again, and add a file to it."""
    assert project.jobs(*ONE_SHARD) == {}
    module = network / "parts" / "networks.py"
    content, date = module.read_bytes(), module.stat().st_mtime
    module.write_bytes(content + b"# another\n")
    os.utime(module, (date, date))  # as `mv` and `cp -p` leave it
    assert project.jobs(*ONE_SHARD)["train"] == 1
    module.write_bytes(content)
    assert project.jobs(*ONE_SHARD) == {}
    (network / "parts" / "more.py").write_text("x = 1\n")
    assert project.jobs(*ONE_SHARD)["train"] == 1
