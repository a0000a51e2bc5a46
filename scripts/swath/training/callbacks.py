"""Watching a training: a bar where somebody looks, a file for those elsewhere, TensorBoard's for later."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, Checkpoint
from pytorch_lightning.callbacks.progress import TQDMProgressBar
from pytorch_lightning.callbacks.progress.tqdm_progress import Tqdm
from torch.utils.tensorboard import SummaryWriter

from swath.config.train import Train
from swath.coordination.process_identity import this_process
from swath.coordination.training_progress import EVERY, TrainingProgress, replace_unrecorded, write_progress
from swath.errors import ToBeContinuedError, UserError
from swath.job.terminal import terminal, terminal_for_bar
from swath.metrics.history import best_epoch, csv_of, monitored


def callbacks_of_training(name: str, tensorboard: Path, check: Callable[[], None]) -> tuple[list[Callback], bool]:
    """Build the callbacks that show how training goes; the second value says whether there is a progress bar.

    Args:
        name: The run's readable name.
        tensorboard: Folder for TensorBoard's files.
        check: Raises when this process may not write any more.
    """
    callbacks: list[Callback] = [TensorBoard(tensorboard, check)]
    bar = terminal_for_bar() is not None
    return ([*callbacks, TerminalBar(name)] if bar else callbacks), bar


class TensorBoard(Checkpoint):  # of this type, because Lightning calls those after the module
    """Write every epoch's metrics and timings for TensorBoard.

    Args:
        folder: Where its files go.
        check: Raises when this process may not write any more.
    """

    def __init__(self, folder: Path, check: Callable[[], None]):
        self.folder, self.check = folder, check
        self._writer: SummaryWriter | None = None

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the epoch."""
        if not trainer.is_global_zero:
            return
        self.check()
        row, timing = pl_module.rows[-1], pl_module.timings[-1]
        if self._writer is None:  # what an interrupted run wrote of epochs that are done again does not count
            self._writer = SummaryWriter(str(self.folder), purge_step=int(row["epoch"]))
        for name, value in {**row, **timing}.items():
            if name != "epoch":
                self._writer.add_scalar(name.replace(" ", "_"), value, int(row["epoch"]))
        self._writer.flush()

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Close the file."""
        if self._writer:
            self._writer.close()


class ProgressFile(Checkpoint):  # as above
    """Publish how far training is, and the metrics of its epochs so far.

    Args:
        folder: The checkpoints'.
        train: The `train` settings.
        hardware: What it runs on, in words.
        check: Raises when this process may not write any more.
        rung: Epochs after which training ends for now, if not with the last one.
    """

    def __init__(self, folder: Path, train: Train, hardware: str, check: Callable[[], None], rung: int | None = None):
        self.folder, self.train, self.hardware, self.check, self.rung = folder, train, hardware, check, rung
        self._written = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say that it has begun."""
        self._write(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Say now and then how far the epoch is."""
        if time.monotonic() - self._written >= EVERY:
            self._write(trainer, pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say how the epoch went."""
        self._write(trainer, pl_module)
        if trainer.is_global_zero and self._may_write():
            with contextlib.suppress(OSError):
                replace_unrecorded(metrics_so_far(self.folder), csv_of(pl_module.rows))

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say that it has got as far as it should for now."""
        if self.rung == pl_module.position.epoch:
            self._write(trainer, pl_module, f"{pl_module.name}: at the end of a rung; it may go on")

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Say why it has stopped; of a mistake or a fault, the job does."""
        if isinstance(exception, ToBeContinuedError):
            self._write(trainer, pl_module, str(exception))

    def _write(self, trainer: pl.Trainer, module: Any, ended: str = "") -> None:
        self._written = time.monotonic()
        if not trainer.is_global_zero or not self._may_write():
            return
        epoch, monitor = best_epoch(module.rows, self.train.monitor), self.train.monitor
        progress = TrainingProgress(
            epochs=self.train.epochs,
            finished=module.position.epoch,
            step=module.position.step,
            steps=int(trainer.num_training_batches),
            monitor=monitor,
            best=float(module.rows[epoch - 1][monitored(monitor)]) if epoch else None,
            best_epoch=epoch,
            seconds_per_epoch=module.seconds_per_epoch or None,
            seconds_left=module.seconds_left if module.seconds_per_epoch else None,
            hardware=self.hardware,
            ended=ended,
            process=this_process(),
        )
        with contextlib.suppress(OSError):  # a full disk ends no training for this
            write_progress(self.folder, progress)

    def _may_write(self) -> bool:
        """Tell whether nobody has taken over; this process then ends where all that train together can agree to."""
        try:
            self.check()
        except UserError:
            return False
        return True


def metrics_so_far(checkpoints: Path) -> Path:
    """Name the file in a model's folder that its metrics are in as long as it is being trained.

    Args:
        checkpoints: The folder of the training's checkpoints, ``<model>/checkpoints/<fingerprint>``.
    """
    return checkpoints.parents[1] / "metrics-so-far.csv"


class TerminalBar(TQDMProgressBar):
    """A bar on the user's terminal, while everything that is printed goes to the log."""

    def __init__(self, name: str):
        super().__init__()
        self.name = name

    def init_train_tqdm(self) -> Tqdm:
        """Show the epoch's steps."""
        return self._bar("training")

    def on_train_epoch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        """Count epochs from 1, as the lines do."""
        super().on_train_epoch_start(trainer)
        self.train_progress_bar.set_description(f"{self.name}: epoch {trainer.current_epoch + 1}")

    def init_validation_tqdm(self) -> Tqdm:
        """Show the validation's steps."""
        return self._bar("validation")

    def _bar(self, words: str) -> Tqdm:
        return Tqdm(
            desc=f"{self.name}: {words}",
            file=terminal(),
            disable=False,
            leave=False,
            dynamic_ncols=True,
            bar_format=self.BAR_FORMAT,
        )

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, float]:
        """Show no more than the steps: the line per epoch says the rest."""
        return {}
