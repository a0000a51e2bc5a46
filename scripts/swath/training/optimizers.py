"""Optimizers and learning rate schedules, by their settings."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from torch import nn, optim
from torch.optim.lr_scheduler import LambdaLR

from swath.config.train import Train

LOWEST = 0.1  # of the learning rate, where one_cycle begins and ends


def build_optimizer(model: nn.Module, train: Train, encoder: nn.Module | None = None) -> optim.Optimizer:
    """Build the optimizer of the `train` settings.

    Args:
        model: The network.
        train: The `train` settings.
        encoder: The part of the network whose learning rate `encoder_rate` scales; the first group of parameters is
            all the rest.
    """
    settings = {"lr": train.learning_rate, "weight_decay": train.weight_decay}
    groups: list[dict[str, Any]] = [{"params": list(model.parameters())}]
    if encoder is not None and train.encoder_rate != 1:
        inside = {id(parameter) for parameter in encoder.parameters()}
        groups = [
            {"params": [one for one in model.parameters() if id(one) not in inside]},
            {"params": list(encoder.parameters()), "lr": train.learning_rate * train.encoder_rate},
        ]
    if train.optimizer == "sgd":
        return optim.SGD(groups, momentum=0.9, nesterov=True, **settings)
    kind = optim.AdamW if train.optimizer == "adamw" else optim.Adam
    return kind(groups, **settings)


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
