"""Lightning's loop around a learner: what is kept, when it stops, where it goes on."""

from __future__ import annotations

import logging
import math
import os
import time
import warnings
from collections.abc import Callable
from copy import copy, deepcopy
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.plugins.environments import LightningEnvironment
from pytorch_lightning.strategies import DDPStrategy

from swath.config.train import Train
from swath.coordination.lease import Lease
from swath.errors import Problem, ToBeContinuedError, UserError
from swath.metrics.history import Rows, best_epoch
from swath.training.averaging import MovingAverage
from swath.training.callbacks import ProgressFile, callbacks_of_training
from swath.training.checkpoints import CheckpointFolder, DurableCheckpointIO, Position
from swath.training.hardware import choose_hardware, gpu_names
from swath.training.module import LearnerModule
from swath.training.stopping import StopRequest
from swath.training.upstream import leave_signals_alone

LOOK_EVERY = 10
"""Steps between two looks at whether to stop, where several processes have to agree."""
SPARING = 50
"""How many times as long as a checkpoint takes training goes on before the next: a fiftieth of the time is theirs."""

log = logging.getLogger("swath.train")


# --- what the history says ------------------------------------------------------------------------


def is_finished(rows: Rows, spent_seconds: float, train: Train) -> str | None:
    """Say why training is over, or None: all epochs, no progress for too long, or no GPU hours left."""
    if len(rows) >= train.epochs:
        return "all epochs done"
    best = best_epoch(rows, train.monitor)
    if best and train.patience and len(rows) - best >= train.patience:
        return f"no better {train.monitor} for {train.patience} epochs"
    if rows and is_spent(spent_seconds, train):
        return f"{train.max_gpu_hours:g} GPU hours spent"
    return None


def is_over(rows: Rows, spent_seconds: float, train: Train, rung: int | None) -> str | None:
    """Say why training ends here, or None: it is finished, or at the end of a rung, from where it can go on."""
    reached = f"{rung} epochs done, as many as this rung has" if rung and len(rows) >= rung else None
    return is_finished(rows, spent_seconds, train) or reached


def is_spent(seconds: float, train: Train) -> bool:
    """Tell whether the GPU hours of a training are used up."""
    return train.max_gpu_hours is not None and seconds * train.gpus >= 3600 * train.max_gpu_hours


# --- keeping --------------------------------------------------------------------------------------


class CheckpointCallback(Checkpoint):  # of this type, because Lightning calls those after the module
    """Write checkpoints, and stop when it is time to.

    Args:
        folder: The checkpoints.
        stop: Whether training is asked to stop.
        check: Raises when this process may not write any more.
        train: The `train` settings.
        rung: Epochs after which training ends for now, if not with the last one.
        average: What keeps an average of the weights, if anything does.
    """

    def __init__(
        self,
        folder: CheckpointFolder,
        stop: StopRequest,
        check: Callable[[], None],
        train: Train,
        rung: int | None = None,
        average: MovingAverage | None = None,
    ):
        self.folder, self.stop, self.check, self.train, self.average = folder, stop, check, train, average
        self.rung = rung
        self._best: tuple[int, dict[str, torch.Tensor]] | None = None
        self._written, self._write_seconds = time.monotonic(), 0.0

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Within an epoch: checkpoint when it is due or when training is asked to stop."""
        assert isinstance(pl_module, LearnerModule)
        done = batch_idx + 1
        if done % self._steps_between_looks or done >= trainer.num_training_batches:
            return  # gradients are half added up, it is not yet time to agree, or the epoch's end comes next
        reason, due, spent = trainer.strategy.broadcast(
            (self.stop.reason(self._needed(pl_module)), self._is_due(), is_spent(pl_module.spent_seconds, self.train))
        )
        if spent:
            trainer.should_stop = True  # validates this part of an epoch, and ends
        elif reason or due:
            self._write(trainer, pl_module)
            if reason:
                raise ToBeContinuedError(self._farewell(pl_module, reason))

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """After an epoch: remember the best weights; checkpoint when enough was done since the last, or at an end."""
        assert isinstance(pl_module, LearnerModule)
        rows = pl_module.rows
        best = best_epoch(rows, self.train.monitor)
        if best == len(rows) and trainer.is_global_zero:
            self._best = best, copied(self._weights(pl_module))
        over, reason, due = trainer.strategy.broadcast(
            (
                is_over(rows, pl_module.spent_seconds, self.train, self.rung),
                self.stop.reason(self._needed(pl_module)),
                self._is_due() or time.monotonic() - self._written >= SPARING * self._write_seconds,
            )
        )
        if over or reason or due:
            self._write(trainer, pl_module)
        if over:
            log.info("%s: %s; epoch %d was the best by %s", pl_module.name, over, best, self.train.monitor)
            trainer.should_stop = True
        elif reason:
            self.check()  # who was taken over since the checkpoint has nothing to go on with
            raise ToBeContinuedError(self._farewell(pl_module, reason))

    def _weights(self, module: LearnerModule) -> dict[str, torch.Tensor]:
        """Return what was validated."""
        return self.average.state_of(module) if self.average else module.state_dict()

    def _write(self, trainer: pl.Trainer, module: LearnerModule) -> None:
        """Write the best weights, if they are new, then the checkpoint that relies on them."""
        began = time.monotonic()
        if self._best:
            epoch, weights = self._best
            save = partial(trainer.strategy.checkpoint_io.save_checkpoint, weights)
            self.folder.write(self.folder.best(epoch), save)
            self._best = None
        self.folder.write(self.folder.last(module.position), trainer.save_checkpoint)
        if trainer.is_global_zero:
            self.check()
            self.folder.tidy(lambda epochs: best_epoch(module.rows[:epochs], self.train.monitor))
        self._written = time.monotonic()
        self._write_seconds = self._written - began

    def _is_due(self) -> bool:
        minutes = self.train.checkpoint_minutes
        return minutes is not None and time.monotonic() - self._written >= 60 * minutes

    @property
    def _steps_between_looks(self) -> int:
        """Steps between two looks at whether to stop: whole accumulations, and some, where processes have to agree."""
        accumulate = self.train.accumulate
        return accumulate if self.train.gpus == 1 else accumulate * math.ceil(LOOK_EVERY / accumulate)

    def _needed(self, module: LearnerModule) -> float:
        """Estimate the seconds until training can next be stopped: steps, a validation and a checkpoint lie between."""
        if module.timings:
            last = module.timings[-1]
            step = last["training_seconds"] / max(1, module.trainer.num_training_batches)
            validation = last["seconds"] - last["training_seconds"]
        else:  # in the first epoch: a batch of validation takes no longer than one of training
            step = module.seconds_per_step
            validation = step * sum(module.trainer.num_val_batches)
        return self._steps_between_looks * step + validation + self._write_seconds

    def _farewell(self, module: LearnerModule, reason: str) -> str:
        return (
            f"{module.name}: stopped by {reason} {module.position.in_words()}; nothing is lost, the same command goes "
            "on from here"
        )


def copied(weights: dict[str, Any]) -> dict[str, Any]:
    """Copy a state into the main memory, where training does not go on changing it; it keeps its layers' versions."""
    kept = copy(weights)
    for name, value in weights.items():
        kept[name] = value.detach().to("cpu", copy=True) if isinstance(value, torch.Tensor) else deepcopy(value)
    return kept


# --- the loop -------------------------------------------------------------------------------------


def fit(
    module: LearnerModule,
    folder: CheckpointFolder,
    ownership: Lease | None,
    stop: StopRequest,
    rung: int | None = None,
) -> None:
    """Train to the end, from the newest checkpoint if there is one, and put the chosen weights into the model.

    Args:
        module: The learner.
        folder: Its checkpoints.
        ownership: The right to write them; None in processes that only help to compute.
        stop: Whether training is asked to stop.
        rung: Epochs after which training ends for now: nothing is put into the model then.

    Raises:
        ToBeContinuedError: If it was asked to stop; the same call goes on.
        UserError: If another process has taken over, or the network cannot be compiled.
    """
    train = module.train_settings
    newest = folder.newest(clean=ownership is not None)
    history = newest[1]["swath"] if newest else None
    if newest and history and is_over(history["rows"], history["spent_seconds"], train, rung):
        module.rows, module.timings = history["rows"], history["timings"]
        module.load_state_dict(newest[1]["state_dict"])
    else:
        if newest:
            position = Position(len(newest[1]["swath"]["rows"]), newest[1]["swath"]["step"])
            log.info("%s: going on from %s, %s", module.name, newest[0].name, position.in_words())
        average = MovingAverage(train.ema) if train.ema else None
        trainer = build_trainer(module, folder, ownership, stop, rung, average)
        with stop.listening(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.filterwarnings("default", message=".*deterministic.*")
            _run(trainer, module, str(newest[0]) if newest else None)
        if not trainer.is_global_zero:
            return
        if average:
            average.put_into(module)
    if train.keep == "best" and rung is None:
        best = best_epoch(module.rows, train.monitor)
        assert best
        module.load_state_dict(folder.read_best(best))


def build_trainer(
    module: LearnerModule,
    folder: CheckpointFolder,
    ownership: Lease | None,
    stop: StopRequest,
    rung: int | None = None,
    average: MovingAverage | None = None,
) -> pl.Trainer:
    """Build Lightning's trainer of the `train` settings; see :func:`fit` and :class:`CheckpointCallback`."""
    train = module.train_settings
    hardware = choose_hardware(train)
    words = hardware.in_words(train, gpu_names(train.gpus) if hardware.accelerator == "gpu" else [])
    log.info("%s: training on %s", module.name, words)
    if train.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        # nothing reads memory before it is written; filling all of it first takes a tenth of a training
        torch.utils.deterministic.fill_uninitialized_memory = False
    strategy: Any = "auto"
    if train.gpus > 1:
        # encoders cut short have layers that nothing uses, frozen ones layers without gradients
        strategy = DDPStrategy(find_unused_parameters=True)
    check = ownership.check if ownership else _nothing
    watch = ProgressFile(folder.path, train, words, check, rung)
    callbacks, bar = callbacks_of_training(module.name, folder.path.parents[1] / "tensorboard", check)
    if average:
        callbacks = [average, *callbacks]
    trainer = pl.Trainer(
        max_epochs=train.epochs,
        accelerator=hardware.accelerator,
        devices=train.gpus,
        strategy=strategy,
        sync_batchnorm=train.gpus > 1 and hardware.accelerator == "gpu",
        use_distributed_sampler=False,
        precision=hardware.precision,
        gradient_clip_val=train.clip_gradients,
        accumulate_grad_batches=train.accumulate,
        deterministic="warn" if train.deterministic else None,
        benchmark=not train.deterministic,  # chips are of one size: the fastest kernels are found once
        logger=False,
        enable_progress_bar=bar,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=[*callbacks, watch, CheckpointCallback(folder, stop, check, train, rung, average)],
        # LightningEnvironment: SLURM's variables alone would switch on Lightning's own requeueing
        plugins=[LightningEnvironment(), DurableCheckpointIO(check)],
    )
    leave_signals_alone(trainer)
    return trainer


def _nothing() -> None:
    """Do nothing."""


def _run(trainer: pl.Trainer, module: LearnerModule, checkpoint: str | None) -> None:
    if module.train_settings.channels_last:
        module.model.to(memory_format=torch.channels_last)
    if module.train_settings.compile:
        module.model.compile(dynamic=False)  # the same kernels, whichever batch comes first
    try:
        trainer.fit(module, ckpt_path=checkpoint, weights_only=True)
    except torch._dynamo.exc.BackendCompilerFailed as error:
        raise UserError(
            Problem(
                "compile_failed",
                "config",
                "train.compile",
                f"torch.compile failed: {str(error).splitlines()[0]}",
                "a C++ compiler, and a network that can be compiled",
                "install one (g++), or leave `compile` out",
            )
        ) from error
