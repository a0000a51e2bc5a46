"""First weights: from any kind of file into any kind of network; fetched once, by the libraries' own code."""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import huggingface_hub
import pytest
import pytorch_lightning as pl
import segmentation_models_pytorch as smp
import timm
import torch
import torchvision
from safetensors.torch import load_file, save_file
from segmentation_models_pytorch.encoders import encoders, get_encoder
from timm.models import adapt_input_conv
from torch import Tensor, nn
from torchvision.models.detection import fasterrcnn_resnet50_fpn
from torchvision.models.segmentation import deeplabv3_resnet50

from swath.config.library_names import weights_name
from swath.errors import UserError
from swath.files import read_json, sha256, write_json
from swath.networks.architectures import hubconf
from swath.training.pretrained import fetch_weights
from swath.training.weight_files import check_weights
from swath.training.weights import WeightsReport, adapt_first_convolution, encoder_of, encoder_parts, load_weights

SCRIPTS = Path(__file__).parents[2] / "scripts"
State = dict[str, Tensor]


def unet(bands: int = 3, classes: int = 4, encoder: str = "resnet18", **arguments: object) -> nn.Module:
    return smp.create_model(
        "unet", encoder, encoder_weights=None, in_channels=bands, classes=classes, decoder_channels=(32, 16, 8, 8, 8)
    )


def saved(state: Mapping[str, object], path: Path) -> Path:
    torch.save(dict(state), path)
    return path


def layers(module: nn.Module) -> State:
    return {name: value for name, value in module.state_dict().items() if not name.endswith("num_batches_tracked")}


def assert_equal(found: nn.Module, expected: nn.Module) -> None:
    ours, theirs = layers(found), layers(expected)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


# --- loading: the kinds of files -----------------------------------------------------------------------


def as_state_dict(state: State, folder: Path) -> Path:
    return saved(state, folder / "weights.pth")


def as_ddp(state: State, folder: Path) -> Path:
    return saved({"model": {f"module.{name}": value for name, value in state.items()}}, folder / "weights.pt")


def as_lightning(state: State, folder: Path) -> Path:
    class Module(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = unet()
            self.model.load_state_dict(state)
            self.loss = nn.CrossEntropyLoss(weight=torch.ones(4))

        def training_step(self, batch: Tensor) -> Tensor:
            return self.model(batch).sum() * 0

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.0)

    trainer = pl.Trainer(
        max_steps=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False
    )
    trainer.fit(Module().eval(), torch.utils.data.DataLoader([torch.zeros(3, 32, 32)] * 2, batch_size=2))
    trainer.save_checkpoint(folder / "weights.ckpt")
    return folder / "weights.ckpt"


def as_safetensors(state: State, folder: Path) -> Path:
    save_file(state, folder / "weights.safetensors")
    return folder / "weights.safetensors"


def as_train_bundle(state: State, folder: Path) -> Path:
    weights = io.BytesIO()
    torch.save(state, weights)
    path = folder / "model-bundle.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("learner-config.json", "{}")
        archive.writestr("model.pth", weights.getvalue())
    return path


def as_deployable_bundle(state: State, folder: Path) -> Path:
    train_bundle, path = as_train_bundle(state, folder), folder / "deployable.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("pipeline-config.json", "{}")
        archive.write(train_bundle, "model-bundle.zip")
    return path


@pytest.mark.parametrize(
    "write", [as_state_dict, as_ddp, as_lightning, as_safetensors, as_train_bundle, as_deployable_bundle]
)
def test_a_model_comes_back_from_any_kind_of_file(write: Callable[[State, Path], Path], tmp_path: Path) -> None:
    trained, fresh = unet(), unet()
    path = write(trained.state_dict(), tmp_path)
    report = load_weights(fresh, path, "model")
    assert sorted(report.taken) == sorted(layers(trained))
    assert not [*report.missing, *report.other_shape, *report.adapted]
    assert report.unexpected == (["loss.weight"] if path.suffix == ".ckpt" else [])
    ours, theirs = layers(fresh), layers(trained)
    # Lightning's step ran batch normalisation in its training mode
    assert all(torch.equal(ours[name], theirs[name]) for name in ours if "running" not in name)


def test_a_file_of_halves_fills_a_network_of_floats(tmp_path: Path) -> None:
    trained, fresh = unet(), unet()
    load_weights(fresh, saved({n: v.half() for n, v in layers(trained).items()}, tmp_path / "half.pth"), "model")
    for name, value in layers(fresh).items():
        assert value.dtype == torch.float32
        assert torch.allclose(value, layers(trained)[name], atol=1e-2)


# --- loading: bands, classes, parts --------------------------------------------------------------------


@pytest.mark.parametrize("bands", [1, 2, 4, 5, 8])
def test_a_first_convolution_is_adapted_as_the_libraries_do_it(bands: int) -> None:
    weight = torch.randn(16, 3, 7, 7)
    ours = adapt_first_convolution(weight, bands)
    assert ours.shape == (16, bands, 7, 7)
    assert torch.equal(ours, adapt_input_conv(bands, weight.clone()))
    encoder = get_encoder("resnet18")
    encoder.conv1.weight.data = torch.randn(64, 3, 7, 7)
    expected = adapt_first_convolution(encoder.conv1.weight.detach(), bands)
    encoder.set_in_channels(bands, pretrained=True)
    assert torch.equal(encoder.conv1.weight, expected)


def test_an_adapted_convolution_answers_grey_as_strongly_as_before() -> None:
    weight, grey = torch.randn(8, 3, 3, 3), torch.rand(2, 1, 16, 16)
    before = nn.functional.conv2d(grey.expand(-1, 3, -1, -1), weight)
    for bands in (1, 6):
        after = nn.functional.conv2d(grey.expand(-1, bands, -1, -1), adapt_first_convolution(weight, bands))
        assert torch.allclose(before, after, atol=1e-4)
    assert adapt_first_convolution(weight.half(), 5).dtype == torch.float16


def test_three_bands_go_into_five(tmp_path: Path) -> None:
    rgb, network = get_encoder("resnet18"), unet(bands=5)
    decoder = {name: value.clone() for name, value in network.decoder.state_dict().items()}
    report = load_weights(network, saved(rgb.state_dict(), tmp_path / "encoder.pth"), "encoder")
    assert report.adapted == ["encoder.conv1.weight"]
    assert len(report.taken) == len(layers(rgb)) - 1
    assert not report.missing + report.unexpected
    first, old = network.encoder.conv1.weight, rgb.conv1.weight
    for band in range(5):
        assert torch.allclose(first[:, band], old[:, band % 3] * 3 / 5)
    rgb.set_in_channels(5, pretrained=True)  # what segmentation-models-pytorch makes of it
    assert_equal(network.encoder, rgb)
    assert all(torch.equal(value, decoder[name]) for name, value in network.decoder.state_dict().items())


def test_a_network_with_branches_from_the_start_is_adapted_in_each(tmp_path: Path) -> None:
    rgb, network = get_encoder("mobileone_s0"), unet(bands=4, encoder="mobileone_s0")
    report = load_weights(network, saved(rgb.state_dict(), tmp_path / "encoder.pth"), "encoder")
    assert report.adapted == ["encoder.stage0.rbr_conv.0.conv.weight", "encoder.stage0.rbr_scale.conv.weight"]
    rgb.set_in_channels(4, pretrained=True)
    assert_equal(network.encoder, rgb)


def test_only_the_first_convolution_is_adapted(tmp_path: Path) -> None:
    def network(bands: int, middle: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(bands, 8, 3), nn.Conv2d(8, middle, 3), nn.Conv2d(middle, 2, 3))

    path = saved(network(3, 6).state_dict(), tmp_path / "weights.pth")
    same_bands = load_weights(network(3, 7), path, "model")
    assert not same_bands.adapted
    assert ("2.weight", (2, 6, 3, 3), (2, 7, 3, 3)) in same_bands.other_shape
    assert load_weights(network(4, 7), path, "model").adapted == ["0.weight"]


def test_a_head_for_other_classes_stays_as_initialised_and_is_told(tmp_path: Path) -> None:
    trained, fresh = unet(classes=4), unet(classes=6)
    head = {name: value.clone() for name, value in fresh.segmentation_head.state_dict().items()}
    report = load_weights(fresh, as_train_bundle(trained.state_dict(), tmp_path), "model")
    assert report.other_shape == [
        ("segmentation_head.0.weight", (4, 8, 3, 3), (6, 8, 3, 3)),
        ("segmentation_head.0.bias", (4,), (6,)),
    ]
    assert all(torch.equal(value, head[name]) for name, value in fresh.segmentation_head.state_dict().items())
    assert_equal(fresh.encoder, trained.encoder)
    assert_equal(fresh.decoder, trained.decoder)
    assert (
        "  2 of another shape, left as initialised: segmentation_head.0.weight (4, 8, 3, 3) instead of "
        "(6, 8, 3, 3), segmentation_head.0.bias (4,) instead of (6,)"
    ) in report.lines()


def test_an_encoders_file_goes_into_the_encoder_of_a_model(tmp_path: Path) -> None:
    encoder, network = get_encoder("resnet18"), unet()
    report = load_weights(network, saved(encoder.state_dict(), tmp_path / "encoder.pth"), "model")
    assert_equal(network.encoder, encoder)
    assert not report.unexpected
    assert {name.split(".")[0] for name in report.missing} == {"decoder", "segmentation_head"}


def test_a_models_file_gives_its_encoder_alone(tmp_path: Path) -> None:
    trained, network = unet(), smp.create_model("fpn", "resnet18", encoder_weights=None, in_channels=3, classes=4)
    report = load_weights(network, as_deployable_bundle(trained.state_dict(), tmp_path), "encoder")
    assert_equal(network.encoder, trained.encoder)
    assert not report.missing
    assert {name.split(".")[0] for name in report.unexpected} == {"decoder", "segmentation_head"}


def test_classification_weights_go_into_segmentation_and_detection(tmp_path: Path) -> None:
    classifier = torchvision.models.resnet50(weights=None)
    path = saved(classifier.state_dict(), tmp_path / "resnet50.pth")
    deeplab = deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=3)
    report = load_weights(deeplab, path, "encoder")
    assert report.unexpected == ["fc.weight", "fc.bias"]
    assert not report.missing
    assert torch.equal(deeplab.backbone.layer4[2].conv3.weight, classifier.layer4[2].conv3.weight)
    detector = fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=3)
    report = load_weights(detector, path, "encoder")
    assert all(name.startswith("backbone.fpn.") for name in report.missing)
    assert torch.equal(detector.backbone.body.conv1.weight, classifier.conv1.weight)


def test_a_classification_networks_head_is_not_part_of_its_encoder(tmp_path: Path) -> None:
    trained, fresh = torchvision.models.resnet18(weights=None), torchvision.models.resnet18(weights=None)
    head = fresh.fc.weight.clone()
    report = load_weights(fresh, saved(trained.state_dict(), tmp_path / "weights.pth"), "encoder")
    assert report.unexpected == ["fc.weight", "fc.bias"]
    assert not report.missing
    assert torch.equal(fresh.fc.weight, head)
    assert torch.equal(fresh.conv1.weight, trained.conv1.weight)


@pytest.mark.parametrize("encoder", ["resnet10t", "convnext_atto", "mobilenetv3_small_050"])
def test_timms_own_weights_go_into_its_feature_extractor(encoder: str, tmp_path: Path) -> None:
    own, network = timm.create_model(encoder), unet(bands=4, encoder=f"tu-{encoder}")
    report = load_weights(network, saved(own.state_dict(), tmp_path / "timm.pth"), "encoder")
    assert len(report.adapted) == 1
    assert not [*report.missing, *report.other_shape]


@pytest.mark.parametrize(
    ("name", "bands", "architecture"), [("vit_small_patch16_dinov3", 3, "dpt"), ("resnet50", 13, "unet")]
)
def test_foundation_models_in_timms_names_fill_the_whole_encoder(
    name: str, bands: int, architecture: str, tmp_path: Path
) -> None:
    """DINOv3 as timm has it, SSL4EO-S12 as torchgeo has it: files with those names and shapes."""
    theirs = layers(timm.create_model(name, pretrained=False, in_chans=bands, num_classes=0))
    save_file(theirs, tmp_path / "model.safetensors")
    network = smp.create_model(architecture, f"tu-{name}", encoder_weights=None, in_channels=bands, classes=3)
    report = load_weights(network, tmp_path / "model.safetensors", "model")
    assert len(report.taken) == len([layer for layer in layers(network) if layer.startswith("encoder.")])
    assert not report.adapted and not report.other_shape
    assert all(not layer.startswith("encoder.") for layer in report.missing)


def test_the_encoder_of_each_kind_of_network() -> None:
    network = unet()
    assert encoder_of(network) is network.encoder
    detector = fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=3)
    assert encoder_of(detector) is detector.backbone
    adapter = nn.Module()
    adapter.model = detector  # as in Raster Vision's TorchVisionODAdapter
    assert encoder_of(adapter) is detector.backbone
    for classifier in (torchvision.models.vit_b_16(), timm.create_model("convnext_atto")):
        assert encoder_of(classifier) is classifier
    with pytest.raises(UserError, match="Sequential with 0"):
        encoder_of(nn.Sequential(nn.Conv2d(3, 8, 3)))


@pytest.mark.parametrize(
    ("model", "beside"),
    [
        (lambda: timm.create_model("resnet10t", num_classes=3), "fc."),
        (lambda: timm.create_model("convnext_atto", num_classes=3), "head."),
        (lambda: timm.create_model("vit_tiny_patch16_224", num_classes=3), "head."),
        (lambda: torchvision.models.resnet18(num_classes=3), "fc."),
        (lambda: hubconf.detection_model("resnet10t", 3, 2, 64), "fpn."),
        (lambda: unet(), None),
    ],
)
def test_what_is_the_tasks_own_is_no_part_of_the_encoder(model: Callable[[], nn.Module], beside: str | None) -> None:
    """A frozen encoder leaves a classifier its last layer to learn with, and a detector its feature pyramid."""
    parts = encoder_parts(model())
    inside = {id(parameter) for parameter in parts.parameters}
    left_out = {name for name, parameter in parts.whole.named_parameters() if id(parameter) not in inside}
    assert left_out == {name for name, _ in parts.whole.named_parameters() if beside and name.startswith(beside)}
    assert bool(left_out) == bool(beside)
    in_modules = {id(parameter) for module in parts.modules for parameter in module.parameters()}
    assert in_modules <= inside


def test_a_report_names_five_and_counts_the_rest() -> None:
    report = WeightsReport("weights.pth", "encoder", taken=[f"layer{n}" for n in range(8)], missing=["bias"])
    assert report.lines() == [
        "weights of the encoder from weights.pth",
        "  8 taken: layer0, layer1, layer2, layer3, layer4 and 3 more",
        "  1 not in the file, left as initialised: bias",
    ]


# --- loading: what cannot be loaded --------------------------------------------------------------------


def refused(path: Path, part: str = "model") -> str:
    network = unet()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(UserError) as error:
        load_weights(network, path, part)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert error.value.problems[0].file == str(path)
    assert error.value.problems[0].field == "model.weights"
    return str(error.value)


@pytest.mark.parametrize("part", ["encoder", "model"])
def test_a_file_of_which_nothing_fits(part: str, tmp_path: Path) -> None:
    # the same names, but no shape in common: batch normalisation's counters alone would fit
    strange = {f"encoder.bn{n}.weight": torch.ones(n + 7) for n in range(1, 9)}
    strange["encoder.bn1.num_batches_tracked"] = torch.tensor(3)
    message = refused(saved(strange, tmp_path / "weights.pth"), part)
    assert "8 layers, none of which fits: encoder.bn1.weight (8,)" in message
    assert "layers such as encoder.conv1.weight (64, 3, 7, 7)" in message


@pytest.mark.parametrize("write", [as_state_dict, as_safetensors, as_train_bundle])
@pytest.mark.parametrize("kept", [0.0, 0.5, 0.999])
def test_a_truncated_file(write: Callable[[State, Path], Path], kept: float, tmp_path: Path) -> None:
    path = write(get_encoder("resnet18").state_dict(), tmp_path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    assert "fetch or copy the file again" in refused(path)


def test_a_file_that_is_not_there_or_holds_something_else(tmp_path: Path) -> None:
    assert "no such file" in refused(tmp_path / "none.pth")
    assert "no layers with names" in refused(saved({"epoch": 3}, tmp_path / "numbers.pth"))
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("photo.jpg", "")
    assert "no model.pth and no model-bundle.zip in the zip" in refused(tmp_path / "photos.zip")


def test_a_checkpoint_with_code_in_it_is_not_run(tmp_path: Path) -> None:
    content = {"state_dict": unet().state_dict(), "hyper_parameters": argparse.Namespace(rate=1)}
    message = refused(saved(content, tmp_path / "last.ckpt"))
    assert "argparse.Namespace" in message
    assert 'torch.load(file, weights_only=False)["state_dict"]' in message


# --- fetching --------------------------------------------------------------------------------------------


def test_a_name_for_every_encoders_weights() -> None:
    assert weights_name("deeplabv3", "resnet50") == "torchvision-resnet50"
    assert weights_name("smp-deeplabv3", "resnet50") == "smp-resnet50"
    assert weights_name("unet", "timm-efficientnet-b0") == "smp-timm-efficientnet-b0"
    assert weights_name("fpn", "tu-convnext_tiny.fb_in22k") == "timm-convnext_tiny.fb_in22k"


def test_the_name_is_told_without_torch() -> None:
    code = "import sys, swath.config.library_names; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS, check=True)


@pytest.fixture
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty caches of the libraries, and a network whose every connection is refused at once."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    huggingface_hub.close_session()  # a client reads the proxies when it is made
    return tmp_path


def plant_on_hub(caches: Path, repository: str, revision: str, state: State) -> None:
    """Put a file where huggingface_hub keeps what it has downloaded."""
    folder = caches / "hub" / ("models--" + repository.replace("/", "--"))
    snapshot = folder / "snapshots" / revision
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(revision)
    (snapshot / "config.json").write_text('{"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.4]}')
    save_file(state, snapshot / "model.safetensors")


def fetched(name: str, folder: Path) -> State:
    output, record = folder / f"{name}.safetensors", folder / f"{name}.json"
    fetch_weights(name, output, record)
    check_weights(output, record)
    content = read_json(record)
    assert content["weights"] == name
    assert content["sha256"] == sha256(output)
    assert content["libraries"]["timm"] == timm.__version__
    assert content["source"]
    assert content["expected"]["bands"] == ["red", "green", "blue"]
    return load_file(output)


def test_torchvisions_weights_are_fetched_without_their_head(caches: Path) -> None:
    classifier = torchvision.models.resnet50(weights=None)
    planted = caches / "torch/hub/checkpoints"
    planted.mkdir(parents=True)
    url = torchvision.models.ResNet50_Weights.IMAGENET1K_V1.url
    torch.save(classifier.state_dict(), planted / url.rpartition("/")[2])
    state = fetched("torchvision-resnet50", caches)
    expected = classifier.state_dict()
    assert state.keys() == {name for name in expected if not name.startswith("fc.")}
    assert all(torch.equal(value, expected[name]) for name, value in state.items())
    network = deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=3)
    assert not load_weights(network, caches / "torchvision-resnet50.safetensors", "encoder").missing


def test_the_weights_of_segmentation_models_pytorch_are_fetched(caches: Path) -> None:
    encoder, source = get_encoder("resnet18"), encoders["resnet18"]["pretrained_settings"]["imagenet"]
    plant_on_hub(caches, source["repo_id"], source["revision"], encoder.state_dict())
    state = fetched("smp-resnet18", caches)
    record = read_json(caches / "smp-resnet18.json")
    assert record["source"] == f"{source['repo_id']}@{source['revision']}"
    assert record["expected"]["mean"] == [0.4, 0.5, 0.6]
    assert all(torch.equal(value, state[name]) for name, value in encoder.state_dict().items())
    five = smp.create_model("unet", "resnet18", encoder_weights="imagenet", in_channels=5, classes=2)
    network = unet(bands=5)
    load_weights(network, caches / "smp-resnet18.safetensors", "encoder")
    assert_equal(network.encoder, five.encoder)  # what the library itself makes of them


def test_timms_weights_are_fetched_by_name_and_tag(caches: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    own = timm.create_model("resnet10t")
    plant_on_hub(caches, "timm/resnet10t.c3_in1k", "0" * 40, own.state_dict())
    state = fetched("timm-resnet10t.c3_in1k", caches)
    assert all(torch.equal(value, own.state_dict()[name.removeprefix("model.")]) for name, value in state.items())
    network = unet(bands=2, encoder="tu-resnet10t")
    report = load_weights(network, caches / "timm-resnet10t.c3_in1k.safetensors", "encoder")
    assert report.adapted == ["encoder.model.conv1.0.weight"]
    assert not report.missing + report.unexpected


def test_a_vision_transformers_weights_are_fetched_for_dpt(caches: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    own = timm.create_model("test_vit")
    plant_on_hub(caches, "timm/test_vit.r160_in1k", "0" * 40, own.state_dict())
    state = fetched("timm-test_vit", caches)
    assert torch.equal(state["model.patch_embed.proj.weight"], own.patch_embed.proj.weight)
    network = smp.create_model("dpt", "tu-test_vit", encoder_weights=None, in_channels=4, classes=2)
    report = load_weights(network, caches / "timm-test_vit.safetensors", "encoder")
    assert report.adapted == ["encoder.model.patch_embed.proj.weight"]


def test_the_same_weights_give_the_same_bytes(caches: Path) -> None:
    source = encoders["resnet18"]["pretrained_settings"]["imagenet"]
    plant_on_hub(caches, source["repo_id"], source["revision"], get_encoder("resnet18").state_dict())
    fetched("smp-resnet18", caches)
    fetch_weights("smp-resnet18", caches / ".another.name.tmp", caches / "another.json")
    assert sha256(caches / ".another.name.tmp") == sha256(caches / "smp-resnet18.safetensors")


@pytest.mark.parametrize("name", ["torchvision-resnet50", "smp-resnet18", "timm-resnet10t"])
def test_without_a_network_the_cure_is_told_within_seconds(name: str, caches: Path) -> None:
    start = time.monotonic()
    with pytest.raises(UserError, match="`snakemake --cores 1 weights` once on a node with network") as error:
        fetch_weights(name, caches / "weights.safetensors", caches / "weights.json")
    assert time.monotonic() - start < 15
    assert len(error.value.problems) == 1
    assert "give a local file as `model.weights`" in str(error.value)
    assert not list(caches.glob("weights.*"))


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("smp-timm-efficientnet-l2", "weights: noisy-student, noisy-student-475"),
        ("smp-resnet17", "'resnet17'"),
        ("timm-resnet18.nonsense", "resnet18.a1_in1k"),
        ("timm-resnet17", "'resnet17'"),
        ("torchvision-resnet17", "'resnet17'"),
        ("elsewhere-resnet18", "library 'elsewhere'"),
    ],
)
def test_an_encoder_without_such_weights(name: str, found: str, caches: Path) -> None:
    with pytest.raises(UserError) as error:
        fetch_weights(name, caches / "weights.safetensors", caches / "weights.json")
    assert found in error.value.problems[0].found
    assert name in error.value.problems[0].found


def test_weights_that_are_not_those_that_were_fetched(tmp_path: Path) -> None:
    path, record = saved({"weight": torch.ones(2)}, tmp_path / "weights.pth"), tmp_path / "weights.json"
    write_json(record, {"sha256": sha256(path)})
    check_weights(path, record)
    saved({"weight": torch.zeros(2)}, path)
    with pytest.raises(UserError, match="SHA-256"):
        check_weights(path, record)
    record.write_text("[")
    with pytest.raises(UserError, match="no JSON"):
        check_weights(path, record)
    path.unlink()
    with pytest.raises(UserError, match="FileNotFoundError"):
        check_weights(path, record)
