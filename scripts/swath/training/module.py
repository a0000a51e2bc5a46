"""Raster Vision's learner as a Lightning module: its model, loss, steps and metrics in Lightning's loop."""

from __future__ import annotations

import logging
import math
import resource
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from rastervision.pytorch_learner.learner import Learner
from torch import Tensor
from torch.utils.data import DataLoader

from swath.config.train import Train
from swath.job.progress import in_words
from swath.metrics.history import best_epoch
from swath.metrics.scores import confusion_scores
from swath.rv.seeds import mixed_seed, seed_torch
from swath.training.checkpoints import Checkpoint, Position
from swath.training.data import training_loader, validation_loader
from swath.training.optimizers import build_optimizer, build_scheduler
from swath.training.progress import Progress, speed
from swath.training.stages import first_stages
from swath.training.weights import EncoderParts

MACRO_F1 = "macro_f1"
CONFUSION = "conf_mat"
"""Raster Vision's name of a step's confusion matrix: rows are labels."""
StepOutput = dict[str, Any]
"""What Raster Vision's learner returns of a step: losses, counts, boxes."""
log = logging.getLogger("swath.train")


class LearnerModule(pl.LightningModule):
    """A learner in Lightning's hands.

    Args:
        name: The run's readable name, for messages.
        learner: Raster Vision's learner, built for training.
        class_names: The classes that count in `macro_f1`.
        train: The `train` settings, the training seed among them.
        encoder: The part that `freeze_encoder` and `freeze_stages` keep as it is, and whose learning rates are scaled.
        chip_weights: How often each training chip is drawn; None takes every one once per epoch.

    Attributes:
        rows: One dict per finished epoch, as in metrics.csv; part of every checkpoint.
        timings: One dict per finished epoch, as in timing.csv.
        spent_seconds: How long training has taken, over all interruptions.
    """

    def __init__(
        self,
        name: str,
        learner: Learner,
        class_names: Sequence[str],
        train: Train,
        encoder: EncoderParts | None = None,
        chip_weights: Sequence[float] | None = None,
    ):
        super().__init__()
        self.name = name
        self.learner = learner
        self.model = learner.model
        self.loss = learner.loss
        self.class_names, self.train_settings, self.seed = list(class_names), train, train.seed
        self._encoder = encoder
        parameters = encoder.parameters if encoder else ()
        self._learning = [parameter for parameter in parameters if parameter.requires_grad]  # detectors keep some
        self.chip_weights = chip_weights
        self.rows: list[dict[str, float]] = []
        self.timings: list[dict[str, float]] = []
        self.spent_seconds = 0.0
        self._progress: Progress | None = None
        self._step = 0
        self._clock = 0.0
        self._epoch_seconds = {"training": 0.0, "validation": 0.0}
        self._train_outputs: list[StepOutput] = []
        self._validation_outputs: list[StepOutput] = []
        self._validation: dict[str, float] = {}

    @property
    def position(self) -> Position:
        """Finished epochs, and steps done in the one after them."""
        return Position(len(self.rows), self._step)

    @property
    def seconds_per_step(self) -> float:
        """How long a step of this epoch has taken so far."""
        return self._epoch_seconds["training"] / max(1, self._step)

    @property
    def seconds_per_epoch(self) -> float:
        """How long an epoch takes: by the last ones; in the first, as if validation took as long as training."""
        if known := [timing["seconds"] for timing in self.timings[-3:]]:
            return sum(known) / len(known)
        return self.seconds_per_step * (self.trainer.num_training_batches + sum(self.trainer.num_val_batches))

    @property
    def seconds_left(self) -> float:
        """How long the rest of the training takes, if it is not stopped before its last epoch."""
        epochs = self.train_settings.epochs - len(self.rows)
        return max(0.0, epochs * self.seconds_per_epoch - sum(self._epoch_seconds.values()))

    # --- data

    def train_dataloader(self) -> DataLoader[Any]:
        """Load training chips from the position on."""
        workers, trainer = self.train_settings.num_workers, self.trainer
        return training_loader(
            self.learner,
            workers,
            self.seed,
            lambda: self.position,
            trainer.global_rank,
            trainer.world_size,
            self.chip_weights,
        )

    def val_dataloader(self) -> DataLoader[Any]:
        """Load validation chips in their order."""
        workers = self.train_settings.num_workers
        return validation_loader(self.learner, workers, self.trainer.global_rank, self.trainer.world_size)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Move a batch the learner's way: object detection has box lists."""
        inputs, targets = batch
        inputs = self.learner.to_device(inputs, device)
        if self.train_settings.channels_last and inputs.ndim == 4:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        return inputs, self.learner.to_device(targets, device)

    # --- steps

    def configure_optimizers(self) -> Any:
        """Build optimizer and schedule, with the true number of steps."""
        optimizer = build_optimizer(self.model, self.train_settings, self._encoder)
        schedule = build_scheduler(optimizer, self.train_settings, batches=len(self.train_dataloader()))
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]

    def on_train_start(self) -> None:
        """Take up an epoch that was interrupted."""
        self._clock = time.perf_counter()
        self._progress = Progress(self.train_settings.epochs, self.trainer.progress_bar_callback is not None)
        self._freeze_encoder()

    def on_train_epoch_start(self) -> None:
        """Begin an epoch."""
        self._freeze_encoder()

    def _freeze_encoder(self) -> None:
        """Keep the encoder as it is, batch statistics included, in the epochs that say so."""
        frozen = len(self.rows) < self.train_settings.freeze_encoder
        self.model.train()
        for parameter in self._learning:
            parameter.requires_grad_(not frozen)
        if self._encoder:
            for module in self._encoder.modules:
                module.train(not frozen)
            stages = first_stages(self._encoder.whole, self.train_settings.freeze_stages)
            for parameter in stages.parameters:
                parameter.requires_grad_(False)
            for module in stages.modules:
                module.eval()

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Seed what is random inside the model, such as dropout."""
        seed_torch(mixed_seed(self.seed, len(self.rows), batch_idx, self.global_rank))

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Let the learner compute the loss."""
        output: StepOutput = self.learner.train_step(batch, batch_idx)
        loss: Tensor = output["train_loss"]
        self._train_outputs.append({name: _detached(value) for name, value in output.items()})
        self._step = batch_idx + 1
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Stop the clock of a step; say now and then how far training is."""
        self._tick("training")
        epoch, steps = len(self.rows) + 1, int(self.trainer.num_training_batches)
        each, left = self.seconds_per_step, self.seconds_left
        if self._progress and (line := self._progress.line(epoch, batch_idx + 1, steps, each, left)):
            log.info("%s: %s", self.name, line)

    def on_validation_epoch_start(self) -> None:
        """Forget the last validation's outputs."""
        self._validation_outputs.clear()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Let the learner compute what its metrics need."""
        output = self.learner.validate_step(batch, batch_idx)
        self._validation_outputs.append({name: _detached(value) for name, value in output.items()})

    def on_validation_epoch_end(self) -> None:
        """Let the learner compute its metrics; macro-F1 is the mean of the classes' F1."""
        outputs = self._of_all_processes(self._validation_outputs)
        metrics = self.learner.validate_end(outputs)
        self._validation = {name: float(value) for name, value in metrics.items()} | self._of_confusion(outputs)
        scores = [metrics[f"{name}_f1"] for name in self.class_names if f"{name}_f1" in metrics]
        if scores:
            self._validation[MACRO_F1] = sum(scores) / len(scores)

    def _of_confusion(self, outputs: list[StepOutput]) -> dict[str, float]:
        """Compute what the learner does not, of tasks that have a confusion matrix."""
        if not outputs or CONFUSION not in outputs[0]:
            return {}
        matrix = np.sum([output[CONFUSION].numpy().astype(np.int64) for output in outputs], axis=0)
        scores = confusion_scores(matrix, self.learner.cfg.data.class_names)
        of_all = {name: getattr(scores, name) for name in ("accuracy", "balanced_accuracy", "kappa", "mean_iou")}
        found = of_all | {f"{name}_iou": value for name, value in scores.iou.items()}
        return {name: math.nan if value is None else value for name, value in found.items()}

    def on_train_epoch_end(self) -> None:
        """Add the epoch to the history."""
        training = self.learner.train_end(self._of_all_processes(self._train_outputs))
        rate = self.trainer.optimizers[0].param_groups[0]["lr"]
        losses = {name: float(value) for name, value in training.items()}
        self._tick("validation")
        self.rows.append({"epoch": len(self.rows) + 1, "learning_rate": rate, **losses, **self._validation})
        self.timings.append(self._timing())
        self._step = 0
        self._epoch_seconds = dict.fromkeys(self._epoch_seconds, 0.0)
        self._train_outputs.clear()
        self._tell()

    def _of_all_processes(self, outputs: list[StepOutput]) -> list[StepOutput]:
        """Gather what steps returned from all processes that train together, on the CPU, in one order everywhere."""
        here = [
            {name: value.cpu() if isinstance(value, Tensor) else value for name, value in o.items()} for o in outputs
        ]
        if self.trainer.world_size == 1:
            return here
        gathered: list[Any] = [None] * self.trainer.world_size
        torch.distributed.all_gather_object(gathered, here)
        longest = max(len(part) for part in gathered)
        return [part[step] for step in range(longest) for part in gathered if step < len(part)]

    # --- time

    def _tick(self, part: str) -> None:
        """Book the time since the last tick."""
        now = time.perf_counter()
        self._epoch_seconds[part] += now - self._clock
        self.spent_seconds += now - self._clock
        self._clock = now

    def _timing(self) -> dict[str, float]:
        """Say how long the epoch took and what it needed."""
        seconds = self._epoch_seconds
        device = self.device
        chips = min(self._step * self.train_settings.batch_size, len(self.learner.train_ds))
        on_gpu = torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else 0.0
        return {
            "epoch": len(self.rows),
            "seconds": round(sum(seconds.values()), 3),
            "training_seconds": round(seconds["training"], 3),
            "samples_per_second": round(chips / max(seconds["training"], 1e-9), 2),
            "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            "peak_gpu_memory_mb": round(on_gpu),
        }

    def _tell(self) -> None:
        """Say on one line how the epoch went."""
        row, timing = self.rows[-1], self.timings[-1]
        if self._progress:
            self._progress.end_epoch()
        known = {"train_loss": "loss", "val_loss": "validation loss", MACRO_F1: "macro-F1"}
        metrics = "  ".join(f"{words} {row[name]:.4f}" for name, words in known.items() if name in row)
        if best_epoch(self.rows, self.train_settings.monitor) == len(self.rows):
            metrics += "  the best so far"
        took = f"{timing['seconds']:.1f} s, {speed(timing['samples_per_second'])}"
        if len(self.rows) < self.train_settings.epochs:
            took += f"; about {in_words(self.seconds_left)} to go"
        log.info("%s: epoch %d/%d  %s  (%s)", self.name, row["epoch"], self.trainer.max_epochs, metrics, took)

    # --- checkpoints

    def on_save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep the history and the unfinished epoch in the checkpoint: no epoch twice, none missing."""
        checkpoint["swath"] = {
            "rows": self.rows,
            "timings": self.timings,
            "spent_seconds": self.spent_seconds,
            "step": self._step,
            "epoch_seconds": self._epoch_seconds,
            "train_outputs": self._of_all_processes(self._train_outputs),
        }

    def on_load_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Take the history and the unfinished epoch from the checkpoint."""
        state = checkpoint["swath"]
        self.rows, self.timings = list(state["rows"]), list(state["timings"])
        self.spent_seconds, self._step = state["spent_seconds"], state["step"]
        self._epoch_seconds = dict(state["epoch_seconds"])
        self._train_outputs = state["train_outputs"][self.trainer.global_rank :: self.trainer.world_size]


def _detached(value: Any) -> Any:
    return value.detach() if isinstance(value, Tensor) else value
