"""An exponential moving average (EMA) of the weights: what is validated, and what the model will be."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from swath.training.checkpoints import Checkpoint

MODEL = "model."
"""Prefix of the network's weights among those of the Lightning module."""


class MovingAverage(Callback):
    """Keep an average of the network's weights and batch statistics, after every step of the optimizer.

    In a checkpoint the average takes the place of the weights, which training goes on with: they lie beside it.

    Args:
        decay: Of the average, after many steps; after n steps it is (1 + n) / (10 + n) at most.
    """

    def __init__(self, decay: float):
        self.decay = decay
        self._averaged: AveragedModel | None = None
        self._steps = 0

    def _mix(self, averages: Sequence[Tensor], weights: Sequence[Tensor], steps: Tensor | int) -> None:
        decay = min(self.decay, (1 + int(steps)) / (10 + int(steps)))
        learned = [pair for pair in zip(averages, weights, strict=True) if pair[0].requires_grad]
        if learned:
            get_ema_multi_avg_fn(decay)(*map(list, zip(*learned, strict=True)), steps)
        for average, weight in zip(averages, weights, strict=True):
            if not average.requires_grad:  # statistics; and constants, some of them whole numbers or infinite
                changed = average != weight
                mixed = average.lerp(weight, 1 - decay) if average.is_floating_point() else weight
                average.copy_(torch.where(changed, mixed, weight))

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Begin with the weights as they are."""
        self._averaged = AveragedModel(pl_module.model, multi_avg_fn=self._mix, use_buffers=True)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Follow the network to its device."""
        self._average.to(pl_module.device)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Take in what a step of the optimizer has made of the weights."""
        if trainer.global_step > self._steps:  # gradients are added up over several batches, if the settings say so
            self._average.update_parameters(pl_module.model)
            self._steps = trainer.global_step

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the average in the place of the weights."""
        self._swap(pl_module.model)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the weights back."""
        self._swap(pl_module.model)

    def on_save_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: Checkpoint) -> None:
        """Save the average as the weights, and the weights beside it."""
        checkpoint["moving_average"] = {
            "weights": checkpoint["state_dict"],
            "averaged": int(self._average.n_averaged),
            "steps": self._steps,
        }
        checkpoint["state_dict"] = self.state_of(pl_module)

    def on_load_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: Checkpoint) -> None:
        """Take up the average and the weights."""
        state = checkpoint["moving_average"]
        average = self._average.module.state_dict()  # which says, beside the tensors, of what version its layers are
        average.update({name: checkpoint["state_dict"][MODEL + name] for name in average})
        self._average.module.load_state_dict(average)
        self._average.n_averaged.fill_(state["averaged"])
        self._steps = state["steps"]
        pl_module.load_state_dict(state["weights"])

    def state_of(self, module: pl.LightningModule) -> dict[str, Tensor]:
        """Return a module's state with the average in the place of its network's weights."""
        state = module.state_dict()  # which says, beside the tensors, of what version its layers are
        state.update({MODEL + name: value for name, value in self._average.module.state_dict().items()})
        return state

    def put_into(self, module: pl.LightningModule) -> None:
        """Make the average the module's weights for good."""
        module.load_state_dict(self.state_of(module))

    @property
    def _average(self) -> AveragedModel:
        assert self._averaged is not None
        return self._averaged

    def _swap(self, model: nn.Module) -> None:
        ours, theirs = (chain(one.parameters(), one.buffers()) for one in (self._average.module, model))
        with torch.no_grad():
            for average, weight in zip(ours, theirs, strict=True):  # what has two names comes once
                before = weight.clone()
                weight.copy_(average)
                average.copy_(before)
