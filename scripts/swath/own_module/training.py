"""The stage `train` of a user's own pipeline: its learner in Swath's loop, which goes on after any interruption."""

from __future__ import annotations

import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rastervision.core.rv_pipeline import RVPipelineConfig
from rastervision.pytorch_learner import ImageDataConfig, SolverConfig
from rastervision.pytorch_learner.learner import Learner
from torch.utils.data import Dataset

from swath.config.base import settings
from swath.config.train import RUNTIME_ONLY, Train
from swath.coordination.lease import leased
from swath.errors import Problem, UserError
from swath.files import content_of_zips, short_hash, unzip
from swath.own_module.configure import told_as_mistake_of
from swath.own_module.stages import StageJob, read_pipeline, write_located
from swath.rv.seeds import mixed_seed, seed_everything
from swath.training.checkpoints import CheckpointFolder
from swath.training.data import remember_chips
from swath.training.job import TrainingOutputs
from swath.training.loop import fit
from swath.training.module import LearnerModule
from swath.training.stopping import StopRequest
from swath.training.train import save_bundle, set_up_torch, write_history

log = logging.getLogger("swath.train")


@dataclass(frozen=True)
class PipelineTraining:
    """A training of a user's own pipeline.

    Attributes:
        name: Readable name, for messages.
        stage: The run's stage.
        seed: The training seed.
        workers: Processes that load chips; changes speed, not results.
        chips: The zip of chips, or None where training reads scenes, or chips of the user's own.
        deadline: Seconds since 1970 at which this process will be killed, if that was told.
    """

    name: str
    stage: StageJob
    seed: int
    workers: int
    chips: Path | None
    deadline: float | None = None

    @property
    def folder(self) -> Path:
        """The model's folder; checkpoints lie in its `checkpoints/`."""
        return Path(self.stage.folders["train"])

    def fingerprint(self, train: Train) -> str:
        """Name what checkpoints depend on beside the key of the folder.

        Args:
            train: What :func:`train_settings` says.
        """
        return short_hash([content_of_zips([self.chips] if self.chips else []), settings(train, *RUNTIME_ONLY)])


def train_pipeline(job: PipelineTraining, outputs: TrainingOutputs) -> None:
    """Train in Swath's loop, going on from the last checkpoint if there is one; the last epoch's weights are kept.

    Args:
        job: What to train.
        outputs: Files to write.

    Raises:
        ToBeContinuedError: If training was asked to stop, or its time limit came near; the same call goes on.
        UserError: If Raster Vision cannot build the learner, or another process owns the checkpoints.
    """
    config = read_pipeline(job.stage)
    train = train_settings(config.backend.solver, job.workers, job.seed)
    set_up_torch(train.threads)
    checkpoints = CheckpointFolder(job.folder / "checkpoints" / job.fingerprint(train))
    with leased(checkpoints.path) as ownership, tempfile.TemporaryDirectory() as temporary:
        with told_as_mistake_of(job.stage.module, "train"):
            learner = _build_learner(job, config, Path(temporary))
        _check_data(job, learner)
        classes = config.dataset.class_config
        counting = [name for name in classes.names if name != classes.null_class]
        module = LearnerModule(job.name, learner, counting, train)
        fit(module, checkpoints, ownership, StopRequest(job.deadline, ownership))
        ownership.check()
        write_history(module, outputs, checkpoints.path)
        learner.cfg.output_uri = str(job.folder)
        save_bundle(learner, Path(temporary), outputs.bundle)
        write_located(job.stage, outputs.config, job.folder)


def train_settings(solver: SolverConfig, workers: int, seed: int) -> Train:
    """Say Raster Vision's solver in the words of the section `train`: Adam, its rate and schedule, the last epoch.

    Args:
        solver: Raster Vision's.
        workers: Processes that load chips.
        seed: The training seed.
    """
    schedule = "constant"
    if solver.one_cycle and solver.num_epochs > 1:  # wins, in Raster Vision's loop, over multi_stage
        schedule = "one_cycle"
    elif solver.multi_stage:
        schedule = "multi_step"
    return Train(
        epochs=solver.num_epochs,
        batch_size=solver.batch_sz,
        learning_rate=solver.lr,
        schedule=schedule,
        milestones=solver.multi_stage if schedule == "multi_step" else [],
        keep="last",
        mixed_precision="none",  # as in Raster Vision
        channels_last=False,  # not every network can do with it
        monitor="train_loss",  # there in every task; no epoch is chosen by it
        num_workers=workers,
        seed=seed,
    )


def _build_learner(job: PipelineTraining, config: RVPipelineConfig, temporary: Path) -> Learner:
    """Let Raster Vision build model, data and loss from the pipeline's config."""
    learner_config = config.backend.get_learner_config(config)
    learner_config.output_uri = str(temporary / "learner")
    learner_config.data.num_workers = 0  # how chips are loaded is no part of the bundle
    learner_config.log_tensorboard = learner_config.run_tensorboard = False
    if job.chips:
        unzip(job.chips, temporary / "chips")
        learner_config.data.uri = str(temporary / "chips")
    seed_everything(job.seed)
    build = {"tmp_dir": str(temporary), "training": True}
    if config.source_bundle_uri:
        return Learner.from_model_bundle(config.source_bundle_uri, cfg=learner_config, **build)
    learner: Learner = learner_config.build(**build)
    return learner


def _check_data(job: PipelineTraining, learner: Learner) -> None:
    """Refuse to train or validate with nothing; chips are kept in memory, random windows validate with the same."""
    for split, dataset in (("train", learner.train_ds), ("validation", learner.valid_ds)):
        if len(dataset) < 2:
            found = f"{len(dataset)} {split} chips"
            cure = "more scenes, or more windows per scene"
            raise UserError(Problem("chips_missing", job.stage.module, "train", found, "at least two", cure))
    if isinstance(learner.cfg.data, ImageDataConfig):
        remember_chips(learner, Train().cache_gb, max(1, job.workers))
    else:
        learner.valid_ds = SameWindows(learner.valid_ds, job.seed)


class SameWindows(Dataset[Any]):
    """A dataset whose random windows are the same in every pass, so that epochs can be compared.

    Args:
        dataset: Raster Vision's dataset of windows in scenes.
        seed: The training seed.
    """

    def __init__(self, dataset: Any, seed: int):
        self.dataset, self.seed = dataset, seed

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        seed_everything(mixed_seed(self.seed, "validation", index))
        return self.dataset[index]
