"""Optimizers and schedules that count steps right."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import albumentations
import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
from pytorch_lightning.plugins.precision import MixedPrecision

from swath.config.train import Train
from swath.errors import UserError
from swath.rv.pipeline import augmentation
from swath.training.optimizers import build_optimizer, build_scheduler
from swath.training.weights import EncoderParts, encoder_parts


def rates(batches: int, **settings: Any) -> list[float]:
    """The learning rate at every optimizer step of a whole training, and after the last."""
    train = Train(learning_rate=1.0, **settings)
    optimizer = build_optimizer(torch.nn.Linear(2, 2), train)
    schedule = build_scheduler(optimizer, train, batches)
    steps = train.epochs * -(-batches // train.accumulate)
    found = [optimizer.param_groups[0]["lr"]]
    for _ in range(steps):
        optimizer.step()
        schedule.step()
        found.append(optimizer.param_groups[0]["lr"])
    return found


def test_one_cycle_rises_to_the_middle_and_falls_to_the_very_end() -> None:
    found = rates(7, epochs=2, schedule="one_cycle")
    assert found[0] == pytest.approx(0.1)
    assert found[7] == pytest.approx(1.0)
    assert found[-1] == pytest.approx(0.1)
    assert found == sorted(found[:8]) + sorted(found[8:], reverse=True)


def test_cosine_falls_to_zero_at_the_end_and_not_before() -> None:
    found = rates(5, epochs=4, schedule="cosine")
    assert found[0] == 1
    assert found[10] == pytest.approx(0.5)
    assert found[-1] == pytest.approx(0)
    assert min(found[:-1]) > 0


def test_warm_up_comes_before_the_schedule() -> None:
    found = rates(10, epochs=3, schedule="cosine", warmup_epochs=0.5)
    assert found[:6] == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1])
    assert found[-1] == pytest.approx(0)


def test_milestones_are_epochs() -> None:
    found = rates(3, epochs=4, schedule="multi_step", milestones=[1, 3])
    assert found[:-1] == pytest.approx([1] * 3 + [0.1] * 6 + [0.01] * 3)


def test_with_accumulated_gradients_a_schedule_counts_the_steps_of_the_weights() -> None:
    assert rates(7, epochs=2, schedule="cosine", accumulate=3) == rates(3, epochs=2, schedule="cosine")


def test_a_constant_rate_is_constant() -> None:
    assert set(rates(3, epochs=2, schedule="constant")) == {1.0}


@pytest.mark.parametrize(
    ("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW), ("sgd", torch.optim.SGD)]
)
def test_the_optimizer_is_the_one_asked_for(name: Any, kind: type) -> None:
    train = Train(optimizer=name, learning_rate=0.2, weight_decay=0.3)
    optimizer = build_optimizer(torch.nn.Linear(2, 2), train)
    assert type(optimizer) is kind
    assert optimizer.param_groups[0]["lr"] == 0.2
    assert optimizer.param_groups[0]["weight_decay"] == 0.3


def parts_of(encoder: torch.nn.Module) -> EncoderParts:
    return EncoderParts(encoder, [encoder], list(encoder.parameters()))


def test_the_encoder_has_a_rate_of_its_own_that_the_schedule_moves_as_well() -> None:
    train = Train(learning_rate=1.0, encoder_rate=0.1, epochs=2, schedule="cosine")
    encoder, head = torch.nn.Linear(2, 3), torch.nn.Linear(3, 1)
    optimizer = build_optimizer(torch.nn.Sequential(encoder, head), train, parts_of(encoder))
    schedule = build_scheduler(optimizer, train, 2)
    rest, inside = optimizer.param_groups
    assert rest["params"] == list(head.parameters())
    assert inside["params"] == list(encoder.parameters())
    for expected in (1.0, None, 0.5):
        if expected:
            assert (rest["lr"], inside["lr"]) == pytest.approx((expected, expected / 10))
        optimizer.step()
        schedule.step()


def test_one_rate_for_all_is_one_group() -> None:
    encoder = torch.nn.Linear(2, 3)
    assert len(build_optimizer(torch.nn.Sequential(encoder), Train(), parts_of(encoder)).param_groups) == 1


@pytest.mark.parametrize(("preset", "bands"), [("aerial", 3), ("satellite", 3), ("satellite", 6)])
def test_augmentations_by_name_are_a_list_that_images_go_through(preset: str, bands: int) -> None:
    listed = Train(augmentations=preset).augmentations
    assert len(listed) > 3
    steps = albumentations.from_dict(augmentation(listed))
    image = np.random.default_rng(0).integers(0, 256, (64, 64, bands), np.uint8)
    changed = [steps(image=image, mask=image[..., 0])["image"] for _ in range(20)]
    assert {one.shape for one in changed} == {image.shape}
    assert any((one != image).any() for one in changed)


def test_layers_of_a_vision_transformer_learn_the_less_the_earlier_they_come() -> None:
    network = smp.DPT("tu-vit_tiny_patch16_224", encoder_weights=None)
    train = Train(learning_rate=1.0, encoder_rate=0.5, layer_decay=0.75)
    optimizer = build_optimizer(network, train, encoder_parts(network))
    rate_of = {id(parameter): group["lr"] for group in optimizer.param_groups for parameter in group["params"]}
    assert len(rate_of) == len(list(network.parameters()))
    transformer = network.encoder.model
    blocks = [rate_of[id(block.attn.qkv.weight)] for block in transformer.blocks]
    assert blocks == pytest.approx([blocks[-1] * 0.75 ** (11 - number) for number in range(12)])
    assert rate_of[id(transformer.patch_embed.proj.weight)] < blocks[0]
    assert blocks[-1] <= 0.5
    assert {rate_of[id(parameter)] for parameter in network.segmentation_head.parameters()} == {1.0}


def test_layer_decay_is_refused_where_layers_are_in_no_groups() -> None:
    network = smp.Unet("resnet18", encoder_weights=None)
    with pytest.raises(UserError, match="layer_decay"):
        build_optimizer(network, Train(layer_decay=0.75), encoder_parts(network))


def weights_after_steps(network: torch.nn.Module, optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    """Train a little on an image laid out as `channels_last` has it."""
    network.to(memory_format=torch.channels_last)
    images = torch.randn(2, 8, 9, 7, generator=torch.Generator().manual_seed(0))
    for _ in range(5):
        optimizer.zero_grad()
        network(images.contiguous(memory_format=torch.channels_last)).square().mean().backward()
        optimizer.step()
    return [parameter.detach().contiguous() for parameter in network.parameters()]


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("adam", partial(torch.optim.Adam, lr=0.01)),
        ("adamw", partial(torch.optim.AdamW, lr=0.01, weight_decay=0.1)),
    ],
)
def test_steps_in_one_pass_are_those_of_the_textbook(name: Any, plain: Any) -> None:
    """Weights laid out as `channels_last` has them, too: the kernels go through memory, not through indices."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(8, 16, 3, groups=2), torch.nn.ReLU(), torch.nn.Conv2d(16, 5, (3, 2)))
    same = copy.deepcopy(network)
    decay = 0.1 if name == "adamw" else 0.0
    optimizer = build_optimizer(network, Train(optimizer=name, learning_rate=0.01, weight_decay=decay))
    expected = weights_after_steps(same, plain(same.parameters(), foreach=False))
    before = [parameter.detach().clone() for parameter in network.parameters()]
    found = weights_after_steps(network, optimizer)
    assert optimizer.defaults["fused"]
    for one, other, first in zip(found, expected, before, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
        assert (one - first).abs().max() > 1e-3


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("precision", ["auto", "bf16", "fp16", "none"])
def test_gradients_can_be_clipped_in_sixteen_bits(name: Any, precision: Any) -> None:
    """Lightning refuses to where an optimizer does the scaling itself."""
    network = torch.nn.Linear(2, 2)
    settings = Train(optimizer=name, mixed_precision=precision, clip_gradients=1.0)
    optimizer = build_optimizer(network, settings)
    (100 * network(torch.ones(1, 2))).sum().backward()
    MixedPrecision("bf16-mixed", "cpu").clip_gradients(optimizer, 1.0)
    assert torch.linalg.vector_norm(torch.cat([one.grad.flatten() for one in network.parameters()])) <= 1.001


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_what_was_frozen_learns_later(name: Any) -> None:
    network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 1))
    optimizer = build_optimizer(network, Train(optimizer=name, freeze_encoder=1))
    for frozen in (True, False):
        network[0].requires_grad_(not frozen)
        before = network[0].weight.detach().clone()
        optimizer.zero_grad()
        network(torch.ones(1, 2)).sum().backward()
        optimizer.step()
        assert torch.equal(before, network[0].weight) == frozen
