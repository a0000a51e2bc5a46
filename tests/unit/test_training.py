"""Randomness from (seed, epoch, sample), checkpoints that are whole, and a null class that never speaks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import albumentations
import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
from torchvision.models.segmentation import deeplabv3_resnet50

from swath.training.architectures.hubconf import segmentation_model
from swath.training.checkpoints import AtomicCheckpointIO, newest_checkpoint
from swath.training.seeding import EpochSampler, SeededDataset, mixed_seed
from swath.training.train import silence_null_class


def test_an_epochs_order_follows_from_seed_and_epoch() -> None:
    epoch = 0
    sampler = EpochSampler(50, seed=3, epoch=lambda: epoch)
    first = list(sampler)
    assert first == list(sampler)
    assert sorted(index for _, index in first) == list(range(50))
    epoch = 1
    assert [index for _, index in sampler] != [index for _, index in first]
    assert list(EpochSampler(50, seed=4, epoch=lambda: 0)) != first


class Chips:
    """Two chips, augmented as Raster Vision does it."""

    def __init__(self, transform: Any):
        self.transform = transform

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> np.ndarray:
        image = np.arange(64 * 3, dtype=np.uint8).reshape(8, 8, 3) + index
        return np.asarray(self.transform(image=image)["image"])


def test_augmentation_follows_from_seed_epoch_and_sample() -> None:
    transform = albumentations.Compose([albumentations.RandomRotate90(), albumentations.GaussNoise(p=1.0)])
    dataset = SeededDataset(Chips(transform), transform, seed=1)
    once = dataset[(0, 1)]
    dataset[(3, 0)]
    assert np.array_equal(dataset[(0, 1)], once)
    assert not np.array_equal(dataset[(1, 1)], once)
    assert len(dataset) == 2


def test_seeds_differ_wherever_anything_differs() -> None:
    seeds = {mixed_seed(a, b, c) for a in range(5) for b in range(5) for c in range(5)}
    assert len(seeds) == 125


def test_a_checkpoint_is_whole_or_not_there(tmp_path: Path) -> None:
    checkpoints = AtomicCheckpointIO()
    checkpoints.save_checkpoint({"x": torch.ones(2)}, tmp_path / "last-epoch=00001.ckpt")
    with pytest.raises(Exception, match=r"pickle|local"):
        checkpoints.save_checkpoint({"x": lambda: 0}, tmp_path / "last-epoch=00002.ckpt")
    assert [path.name for path in tmp_path.iterdir()] == ["last-epoch=00001.ckpt"]


def test_a_damaged_checkpoint_is_passed_over_loudly(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert newest_checkpoint(tmp_path) is None
    for epoch in (2, 10):
        AtomicCheckpointIO().save_checkpoint({"epoch": epoch}, tmp_path / f"last-epoch={epoch:05d}.ckpt")
    newest = newest_checkpoint(tmp_path)
    assert newest is not None
    assert newest.name == "last-epoch=00010.ckpt"
    newest.write_bytes(newest.read_bytes()[:100])
    before = newest_checkpoint(tmp_path)
    assert before is not None
    assert before.name == "last-epoch=00002.ckpt"
    assert "cannot be read" in caplog.text


@pytest.mark.parametrize("architecture", ["unet", "fpn", "deeplabv3plus", "segformer", "linknet"])
def test_the_null_class_is_never_predicted(architecture: str) -> None:
    network = segmentation_model(architecture, "resnet18", in_channels=5, classes=4)
    silence_null_class(network, 4)
    with torch.inference_mode():
        output = network.eval()(torch.rand(1, 5, 64, 64))
    assert output.shape == (1, 4, 64, 64)
    assert output.softmax(1)[:, 0].max() == 0


def test_the_null_class_is_never_predicted_by_torchvision_either() -> None:
    network = deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=3)
    silence_null_class(network, 3)
    with torch.inference_mode():
        assert network.eval()(torch.rand(1, 3, 64, 64))["out"].softmax(1)[:, 0].max() == 0


def test_arguments_reach_the_architecture() -> None:
    network = segmentation_model("unet", "mobilenet_v2", 3, 2, encoder_depth=3, decoder_channels=(8, 8, 8))
    assert isinstance(network, smp.Unet)
    assert len(network.decoder.blocks) == 3
