"""Encoders of timm, family by family: they are built, and learn a step of every task.

docs/training.md has the table that the last test writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from experiment import REPOSITORY
from torch import Tensor, nn

from swath.networks.architectures.hubconf import classification_model, detection_model, segmentation_model

SIDE, BANDS, CLASSES = 64, 4, 3

CONVOLUTIONS = {
    "ResNet": "resnet10t",
    "RegNet": "regnetx_002",
    "EfficientNet-Lite": "tf_efficientnet_lite0",
    "MobileNetV4": "mobilenetv4_conv_small_050",
    "ConvNeXt": "convnext_atto",
    "ConvNeXt V2": "convnextv2_atto",
    "HRNet": "hrnet_w18_small",
    "RepViT": "repvit_m0_9",
}
TRANSFORMERS = {"PVT v2": "pvt_v2_b0", "FastViT": "fastvit_t8", "EdgeNeXt": "edgenext_xx_small"}
OF_ONE_SIZE = {"Swin": "swin_tiny_patch4_window7_224", "MaxViT": "maxvit_rmlp_pico_rw_256", "Hiera": "hiera_tiny_224"}
"""They have to be told the size of the chips."""
PLAIN = {"ViT": "vit_tiny_patch16_224", "ViT of DINOv3": "vit_small_patch16_dinov3"}
"""They have maps of a single scale: for segmentation they need `architecture: dpt`."""
FAMILIES = {**CONVOLUTIONS, **TRANSFORMERS, **OF_ONE_SIZE, **PLAIN}
TASKS = ("segmentation", "chip classification", "object detection")

Build = Callable[[], nn.Module]


def arguments_of(family: str) -> dict[str, Any]:
    return {"img_size": SIDE} if family in OF_ONE_SIZE or family == "ViT" else {}


def builder(family: str, task: str) -> Build:
    encoder, arguments = FAMILIES[family], arguments_of(family)
    if task == "segmentation":
        architecture = "dpt" if family in PLAIN else "unet"
        return lambda: segmentation_model(architecture, f"tu-{encoder}", BANDS, CLASSES, **arguments)
    if task == "chip classification":
        return lambda: classification_model(encoder, BANDS, CLASSES, **arguments)
    few = {"rpn_pre_nms_top_n_train": 20, "rpn_post_nms_top_n_train": 20, "box_batch_size_per_image": 8}
    return lambda: detection_model(encoder, BANDS, CLASSES, SIDE, **arguments, **few)


def learn(network: nn.Module, task: str) -> Tensor:
    """Take one step; the loss before it."""
    images = torch.rand(2, BANDS, SIDE, SIDE)
    if task == "object detection":
        boxes = {"boxes": torch.tensor([[5.0, 5.0, 30.0, 30.0]]), "labels": torch.tensor([1])}
        loss: Tensor = sum(network.train()(list(images), [boxes, boxes]).values())
    else:
        shape = (2, SIDE, SIDE) if task == "segmentation" else (2,)
        loss = nn.functional.cross_entropy(network.train()(images), torch.randint(0, CLASSES, shape))
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)
    loss.backward()
    optimizer.step()
    return loss


def maps(network: nn.Module) -> list[Tensor]:
    """What a detector's encoder makes of an image."""
    with torch.inference_mode():
        return list(network.eval().backbone(torch.ones(1, BANDS, SIDE, SIDE)).values())


def works(family: str, task: str) -> bool:
    """Whether a family does a task; a detector's encoder, which is put together here, is rebuilt from its weights."""
    build = builder(family, task)
    torch.manual_seed(0)
    network = build()
    before = [parameter.detach().clone() for parameter in network.parameters()]
    assert torch.isfinite(learn(network, task))
    assert any(not torch.equal(*pair) for pair in zip(before, network.parameters(), strict=True))
    if task != "object detection":  # the others are rebuilt as they are everywhere
        return True
    rebuilt = build()
    rebuilt.load_state_dict(network.state_dict())
    return all(map(torch.equal, maps(network), maps(rebuilt)))


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny images on several threads, beside other tests, only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_learns_every_task(family: str) -> None:
    assert all(works(family, task) for task in TASKS)


def test_the_documentation_lists_them() -> None:
    rows = [
        f"| {family} | `tu-{encoder}` | {'`architecture: dpt`' if family in PLAIN else 'yes'} | yes | yes "
        f"| {'`model.arguments: {img_size: …}`' if arguments_of(family) else ''} |"
        for family, encoder in FAMILIES.items()
    ]
    table = "\n".join(
        ["| family | tried with | segmentation | cells | boxes | needs |", "|---|---|---|---|---|---|", *rows]
    )
    assert table in Path(REPOSITORY, "docs", "training.md").read_text(), table
