"""Optimizers and learning rate schedules, by their settings."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from timm.optim import param_groups_layer_decay
from torch import nn, optim
from torch.optim.lr_scheduler import LambdaLR

from swath.config.train import Train
from swath.errors import Problem, UserError
from swath.training.weights import EncoderParts

LOWEST = 0.1  # of the learning rate, where one_cycle begins and ends


def needs_encoder(train: Train) -> bool:
    """Tell whether settings treat the encoder otherwise than the rest of the network."""
    return bool(train.freeze_encoder or train.freeze_stages) or train.encoder_rate != 1 or train.layer_decay != 1


def build_optimizer(model: nn.Module, train: Train, encoder: EncoderParts | None = None) -> optim.Optimizer:
    """Build the optimizer of the `train` settings.

    Args:
        model: The network.
        train: The `train` settings.
        encoder: The part of the network whose learning rates `encoder_rate` and `layer_decay` scale; the first group of
            parameters is all the rest.

    Raises:
        UserError: If the encoder's layers are not known to stand one behind the other.
    """
    settings = {"lr": train.learning_rate, "weight_decay": train.weight_decay}
    groups: list[dict[str, Any]] = [{"params": list(model.parameters())}]
    if encoder is not None and (train.encoder_rate != 1 or train.layer_decay != 1):
        inside = {id(parameter) for parameter in encoder.parameters}
        rate = train.learning_rate * train.encoder_rate
        layers = {1.0: encoder.parameters} if train.layer_decay == 1 else _by_layer(encoder, train.layer_decay)
        groups = [
            {"params": [one for one in model.parameters() if id(one) not in inside]},
            *({"params": parameters, "lr": rate * scale} for scale, parameters in layers.items()),
        ]
    if train.optimizer == "sgd":
        return optim.SGD(groups, momentum=0.9, nesterov=True, **settings)
    kind = optim.AdamW if train.optimizer == "adamw" else optim.Adam
    # all of a step in one pass over the weights; in 16 bits, Lightning refuses to clip gradients for such an optimizer
    fused = True if train.clip_gradients is None and train.mixed_precision != "fp16" else None
    return kind(groups, fused=fused, **settings)


def _by_layer(encoder: EncoderParts, decay: float) -> dict[float, list[nn.Parameter]]:
    """Group an encoder's parameters by what their layer's learning rate is multiplied with, as timm does."""
    network = getattr(encoder.whole, "model", encoder.whole)  # timm's, within segmentation-models-pytorch's
    if not hasattr(network, "group_matcher"):
        raise UserError(
            Problem(
                "setting_needs_another_network",
                "config",
                "train.layer_decay",
                f"{type(network).__name__}, whose layers are not in groups",
                "a vision transformer of timm, such as `architecture: dpt` with `encoder: tu-vit_small_patch16_224`",
                "take `train.encoder_rate` instead, or another encoder",
            )
        )
    groups: dict[float, list[nn.Parameter]] = {1.0: []}
    scale_of = {
        id(parameter): group["lr_scale"]
        for group in param_groups_layer_decay(network, layer_decay=decay)
        for parameter in group["params"]
    }
    for parameter in encoder.parameters:
        groups.setdefault(scale_of.get(id(parameter), 1.0), []).append(parameter)
    return {scale: parameters for scale, parameters in groups.items() if parameters}


def build_scheduler(optimizer: optim.Optimizer, train: Train, batches: int) -> LambdaLR:
    """Build the schedule of the `train` settings, to be stepped once per optimizer step.

    Args:
        optimizer: The optimizer.
        train: The `train` settings.
        batches: Batches per epoch; the weights move after every `accumulate` of them and after an epoch's last.
    """
    per_epoch = math.ceil(batches / train.accumulate)
    return LambdaLR(optimizer, partial(rate_factor, train=train, steps_per_epoch=per_epoch))


def rate_factor(step: int, train: Train, steps_per_epoch: int) -> float:
    """Return what the learning rate is multiplied with.

    Args:
        step: Optimizer steps done.
        train: The `train` settings.
        steps_per_epoch: Optimizer steps per epoch.
    """
    total = train.epochs * steps_per_epoch
    if train.schedule == "one_cycle":
        half = total / 2
        return LOWEST + (1 - LOWEST) * max(0.0, 1 - abs(step - half) / half)
    warmup = train.warmup_epochs * steps_per_epoch
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if train.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / (total - warmup))))
    if train.schedule == "multi_step":
        return 0.1 ** sum(step >= milestone * steps_per_epoch for milestone in train.milestones)
    return 1.0
