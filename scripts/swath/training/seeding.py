"""Randomness as a pure function of (seed, epoch, sample): where training was interrupted leaves no trace."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import albumentations
import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from swath.files import short_hash


def mixed_seed(*parts: int | str) -> int:
    """Mix integers and words into one 32-bit seed."""
    return int(short_hash(list(parts), 8), 16)


def seed_everything(seed: int) -> None:
    """Seed torch, numpy and random."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


class EpochSampler(Sampler[tuple[int, int]]):
    """Yield (epoch, index) in an order that follows from the seed and the epoch alone.

    Args:
        size: Number of samples.
        seed: The training seed.
        epoch: Gives the epoch that the next pass is; asked when a pass begins.
    """

    def __init__(self, size: int, seed: int, epoch: Callable[[], int]):
        self.size, self.seed, self.epoch = size, seed, epoch

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[tuple[int, int]]:
        epoch = self.epoch()
        generator = torch.Generator().manual_seed(mixed_seed(self.seed, epoch, "order"))
        for index in torch.randperm(self.size, generator=generator).tolist():
            yield epoch, index


class SeededDataset(Dataset[Any]):
    """A dataset whose augmentation follows from (seed, epoch, index), in any worker process.

    Args:
        dataset: Raster Vision's dataset of chips.
        transform: Its albumentations transform, which has a random state of its own.
        seed: The training seed.
    """

    def __init__(self, dataset: Any, transform: albumentations.Compose | None, seed: int):
        self.dataset, self.transform, self.seed = dataset, transform, seed

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: tuple[int, int]) -> Any:
        epoch, index = key
        seed = mixed_seed(self.seed, epoch, index)
        seed_everything(seed)
        if self.transform is not None:
            self.transform.set_random_seed(seed)
        return self.dataset[index]
