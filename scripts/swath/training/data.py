"""Chips on their way to the model: order and augmentation follow from (seed, epoch, sample) alone.

Where training was interrupted, how many processes load chips and what is kept in memory leave no trace.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import albumentations
import numpy as np
import torch
from rastervision.pytorch_learner.learner import Learner
from torch.utils.data import DataLoader, Dataset, Sampler, Subset

from swath.rv.datasets import parts_of
from swath.rv.seeds import mixed_seed, seed_everything
from swath.rv.upstream import set_transform, wrap_chips
from swath.training.checkpoints import Position

Key = tuple[int, ...]
"""Epoch and index of a sample; where one can be drawn more than once in an epoch, its place among those drawn, too."""


class EpochBatches(Sampler[list[Key]]):
    """Batches of keys, in an order that follows from the seed and the epoch alone.

    Every batch is shared out among the processes that train together: process ``rank`` takes every
    ``processes``-th sample of it. A last batch of one sample per process is left out: batch normalisation needs two.

    Args:
        size: Number of samples.
        batch_size: Samples per batch, over all processes.
        seed: The training seed.
        position: Gives the epoch that the next pass is, and the steps of it that are already done.
        rank: Number of this process.
        processes: How many train together.
        weights: How often each sample is drawn, relative to the others; None takes every one once.
    """

    def __init__(
        self,
        size: int,
        batch_size: int,
        seed: int,
        position: Callable[[], Position],
        rank: int = 0,
        processes: int = 1,
        weights: Sequence[float] | None = None,
    ):
        self.size, self.batch_size, self.seed, self.position = size, batch_size, seed, position
        self.rank, self.processes = rank, processes
        self.weights = None if weights is None else torch.tensor(weights, dtype=torch.float64)

    def __len__(self) -> int:
        """Count the batches of a whole epoch."""
        full, rest = divmod(self.size, self.batch_size)
        return full + (rest > self.processes or (rest > 0 and full == 0))

    def __iter__(self) -> Iterator[list[Key]]:
        epoch, done = self.position()
        generator = torch.Generator().manual_seed(mixed_seed(self.seed, epoch, "order"))
        if self.weights is None:
            order = torch.randperm(self.size, generator=generator).tolist()
        else:
            order = torch.multinomial(self.weights, self.size, replacement=True, generator=generator).tolist()
        keys: list[Key] = [
            (epoch, index) if self.weights is None else (epoch, index, place) for place, index in enumerate(order)
        ]
        for step in range(done, len(self)):
            batch = keys[step * self.batch_size : (step + 1) * self.batch_size]
            batch += keys[: -len(batch) % self.processes]  # as many samples for every process
            yield batch[self.rank :: self.processes]


class SeededDataset(Dataset[Any]):
    """A dataset whose augmentation follows from the seed and a sample's key, in any worker process.

    Args:
        dataset: Raster Vision's dataset of chips.
        transform: Its albumentations transform, which has a random state of its own.
        seed: The training seed.
    """

    def __init__(self, dataset: Any, transform: albumentations.Compose | None, seed: int):
        self.dataset, self.transform, self.seed = dataset, transform, seed

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: Key) -> Any:
        _, index, *_ = key
        if self.transform is not None:
            seed = mixed_seed(self.seed, *key)
            seed_everything(seed)
            self.transform.set_random_seed(seed)
        return self.dataset[index]


class RememberedChips(Dataset[Any]):
    """Chips that are decoded once per process, as far as memory allows.

    Args:
        chips: Reads and decodes a chip: image array (height × width × bands) and target.
        budget: Bytes that may be kept.
    """

    def __init__(self, chips: Any, budget: float):
        self.chips, self.budget = chips, budget
        self._kept: dict[int, tuple[Any, Any]] = {}

    def __len__(self) -> int:
        return len(self.chips)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if index not in self._kept:
            image, target = self.chips[index]
            size = image.nbytes + getattr(target, "nbytes", 0)
            if size > self.budget:
                return image, target
            self.budget -= size
            self._kept[index] = image, target
        image, target = self._kept[index]
        return image.copy(), target.copy() if isinstance(target, np.ndarray) else target


def remember_chips(learner: Learner, cache_gb: float, processes: int) -> None:
    """Let a learner's datasets keep decoded chips in memory.

    Args:
        learner: Built for training.
        cache_gb: Gigabytes for all datasets in all processes together.
        processes: Processes that load chips.
    """
    parts = [*parts_of(learner.train_ds), *parts_of(learner.valid_ds)]
    total = sum(len(part) for part in parts)
    for part in parts:
        budget = cache_gb * 1e9 * len(part) / total / processes
        wrap_chips(part, partial(RememberedChips, budget=budget))


def training_loader(
    learner: Learner,
    workers: int,
    seed: int,
    position: Callable[[], Position],
    rank: int,
    processes: int,
    weights: Sequence[float] | None = None,
) -> DataLoader[Any]:
    """Load training chips in an order, and with augmentations, that follow from seed and epoch; see EpochBatches."""
    dataset = augmented(learner.cfg.data, learner.train_ds, seed)
    batches = EpochBatches(len(dataset), learner.cfg.solver.batch_sz, seed, position, rank, processes, weights)
    return _loader(learner, workers, dataset, batch_sampler=batches)


def augmented(data: Any, dataset: Any, seed: int) -> SeededDataset:
    """Give Raster Vision's training dataset augmentations that follow from seed, epoch and sample alone.

    Args:
        data: Raster Vision's data config.
        dataset: The dataset it built.
        seed: The training seed.
    """
    _, transform = data.get_data_transforms()
    for part in parts_of(dataset):  # the same transform again, but one whose state can be seeded
        set_transform(part, transform)
    return SeededDataset(dataset, transform, seed)


def validation_loader(learner: Learner, workers: int, rank: int, processes: int) -> DataLoader[Any]:
    """Load this process's share of the validation chips."""
    share = Subset(learner.valid_ds, range(rank, len(learner.valid_ds), processes))
    return _loader(learner, workers, share, batch_size=max(1, learner.cfg.solver.batch_sz // processes))


def _loader(learner: Learner, workers: int, dataset: Any, **options: Any) -> DataLoader[Any]:
    return DataLoader(
        dataset,
        num_workers=workers,
        persistent_workers=workers > 0,
        multiprocessing_context="fork" if workers else None,  # Raster Vision's datasets cannot be pickled
        worker_init_fn=_leave_signals_to_the_trainer,
        collate_fn=learner.get_collate_fn(),
        pin_memory=torch.cuda.is_available(),
        **options,
    )


def _leave_signals_to_the_trainer(worker: int) -> None:
    """Let a process that loads chips live on when its whole group is asked to stop: the trainer ends it."""
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
