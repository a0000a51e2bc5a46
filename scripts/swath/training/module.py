"""Raster Vision's learner as a Lightning module: its model, loss, steps and metrics in Lightning's loop."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from rastervision.pytorch_learner.dataset.transform import TF_TYPE_TO_TF_FUNC
from rastervision.pytorch_learner.learner import Learner
from torch import Tensor
from torch.utils.data import DataLoader

from swath.training.seeding import EpochSampler, SeededDataset, mixed_seed

MONITOR = "macro_f1"
log = logging.getLogger("swath.train")


class LearnerModule(pl.LightningModule):
    """A learner in Lightning's hands.

    Args:
        name: The run's readable name, for messages.
        learner: Raster Vision's learner, built for training.
        class_names: The classes that count in `macro_f1`.
        seed: The training seed.

    Attributes:
        rows: One dict per finished epoch, as in metrics.csv; part of every checkpoint.
        seconds: Duration of every finished epoch.
    """

    def __init__(self, name: str, learner: Learner, class_names: Sequence[str], seed: int):
        super().__init__()
        self.name = name
        self.learner = learner
        self.model = learner.model
        self.loss = learner.loss
        self.class_names, self.seed = list(class_names), seed
        self.rows: list[dict[str, float]] = []
        self.seconds: list[float] = []
        self._train_outputs: list[dict[str, Any]] = []
        self._validation_outputs: list[dict[str, Any]] = []
        self._validation: dict[str, float] = {}

    @property
    def finished_epochs(self) -> int:
        """How many epochs are over: the number of the epoch that comes next."""
        return len(self.rows)

    # --- data

    def train_dataloader(self) -> DataLoader[Any]:
        """Load training chips in an order, and with augmentations, that follow from seed and epoch."""
        _, transform = self.learner.cfg.data.get_data_transforms()
        for part in self.learner.train_ds.datasets:  # the same transform again, but one whose state can be seeded
            part.transform = partial(_apply, TF_TYPE_TO_TF_FUNC[part.transform_type], transform)
        dataset = SeededDataset(self.learner.train_ds, transform, self.seed)
        sampler = EpochSampler(len(dataset), self.seed, lambda: self.finished_epochs)
        batch_size = self.learner.cfg.solver.batch_sz
        # batch normalisation needs more than one sample
        return self._loader(dataset, sampler=sampler, drop_last=len(dataset) % batch_size == 1)

    def val_dataloader(self) -> DataLoader[Any]:
        """Load validation chips in their order."""
        return self._loader(self.learner.valid_ds)

    def _loader(self, dataset: Any, **options: Any) -> DataLoader[Any]:
        workers = self.learner.cfg.data.num_workers
        return DataLoader(
            dataset,
            batch_size=self.learner.cfg.solver.batch_sz,
            num_workers=workers,
            persistent_workers=workers > 0,
            collate_fn=self.learner.get_collate_fn(),
            pin_memory=torch.cuda.is_available(),
            **options,
        )

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Move a batch the learner's way: object detection has box lists."""
        inputs, targets = batch
        return self.learner.to_device(inputs, device), self.learner.to_device(targets, device)

    # --- steps

    def configure_optimizers(self) -> Any:
        """Build Raster Vision's optimizer and schedulers, with the true number of steps per epoch."""
        solver = self.learner.cfg.solver
        optimizer = solver.build_optimizer(self.model)
        steps = len(self.train_dataloader())
        schedulers = []
        if step_scheduler := solver.build_step_scheduler(optimizer, train_ds_sz=steps * solver.batch_sz):
            schedulers.append({"scheduler": step_scheduler, "interval": "step"})
        if epoch_scheduler := solver.build_epoch_scheduler(optimizer):
            schedulers.append({"scheduler": epoch_scheduler, "interval": "epoch"})
        return [optimizer], schedulers

    def on_train_epoch_start(self) -> None:
        """Start the clock and forget the last epoch's outputs."""
        self._started = time.perf_counter()
        self._train_outputs.clear()

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Seed what is random inside the model, such as dropout."""
        torch.manual_seed(mixed_seed(self.seed, self.finished_epochs, batch_idx, self.global_rank))

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Let the learner compute the loss."""
        output: dict[str, Any] = self.learner.train_step(batch, batch_idx)
        loss: Tensor = output["train_loss"]
        self._train_outputs.append({name: _detached(value) for name, value in output.items()})
        return loss

    def on_validation_epoch_start(self) -> None:
        """Forget the last validation's outputs."""
        self._validation_outputs.clear()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Let the learner compute what its metrics need."""
        self._validation_outputs.append(self.learner.validate_step(batch, batch_idx))

    def on_validation_epoch_end(self) -> None:
        """Let the learner compute its metrics; macro-F1 is the mean of the classes' F1."""
        metrics = self.learner.validate_end(self._validation_outputs)
        self._validation = {name: float(value) for name, value in metrics.items()}
        scores = [self._validation[f"{name}_f1"] for name in self.class_names]
        self._validation[MONITOR] = sum(scores) / len(scores)
        self.log(MONITOR, self._validation[MONITOR])

    def on_train_epoch_end(self) -> None:
        """Add the epoch to the history."""
        training = self.learner.train_end(self._train_outputs)
        rate = self.trainer.optimizers[0].param_groups[0]["lr"]
        losses = {name: float(value) for name, value in training.items()}
        self.rows.append({"epoch": self.finished_epochs + 1, "learning_rate": rate, **losses, **self._validation})
        self.seconds.append(time.perf_counter() - self._started)
        self._tell()

    def _tell(self) -> None:
        """Say on one line how the epoch went."""
        row = self.rows[-1]
        log.info(
            "%s: epoch %d/%s  loss %.4f  validation loss %.4f  macro-F1 %.3f  (%.1f s)",
            self.name,
            row["epoch"],
            self.trainer.max_epochs,
            row["train_loss"],
            row["val_loss"],
            row[MONITOR],
            self.seconds[-1],
        )

    # --- checkpoints

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the history in the checkpoint: no epoch twice, none missing."""
        checkpoint["swath"] = {"rows": self.rows, "seconds": self.seconds}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the history from the checkpoint."""
        self.rows = list(checkpoint["swath"]["rows"])
        self.seconds = list(checkpoint["swath"]["seconds"])


def _detached(value: Any) -> Any:
    return value.detach() if isinstance(value, Tensor) else value


def _apply(function: Any, transform: Any, sample: Any) -> Any:
    return function(sample, transform)
