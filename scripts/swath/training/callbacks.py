"""Watching a training: a bar where somebody looks, TensorBoard's files for later."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, Checkpoint
from pytorch_lightning.callbacks.progress import TQDMProgressBar
from pytorch_lightning.callbacks.progress.tqdm_progress import Tqdm
from torch.utils.tensorboard import SummaryWriter

from swath.job.terminal import terminal, terminal_for_bar


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
            desc=f"{self.name}: {words}", file=terminal(), leave=False, dynamic_ncols=True, bar_format=self.BAR_FORMAT
        )

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, float]:
        """Show no more than the steps: the line per epoch says the rest."""
        return {}
