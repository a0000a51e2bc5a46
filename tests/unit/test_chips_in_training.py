"""Chips on their way to the model: order and augmentation follow from (seed, epoch, sample) alone."""

from __future__ import annotations

from typing import Any

import albumentations
import numpy as np
import pytest

from swath.training.checkpoints import Position
from swath.training.data import EpochBatches, RememberedChips, SeededDataset, mixed_seed


def batches(size: int, batch_size: int, seed: int = 3, at: tuple[int, int] = (0, 0), **shared: Any) -> list[Any]:
    return list(EpochBatches(size, batch_size, seed, lambda: Position(*at), **shared))


def indices(found: list[Any]) -> list[int]:
    return [index for batch in found for _, index in batch]


def test_an_epochs_order_follows_from_seed_and_epoch() -> None:
    first = batches(50, 8)
    assert first == batches(50, 8)
    assert sorted(indices(first)) == list(range(50))
    assert indices(batches(50, 8, at=(1, 0))) != indices(first)
    assert indices(batches(50, 8, seed=4)) != indices(first)
    assert {epoch for batch in batches(50, 8, at=(7, 0)) for epoch, _ in batch} == {7}


def test_an_interrupted_epoch_goes_on_with_the_batches_that_were_left() -> None:
    assert batches(50, 8, at=(2, 4)) == batches(50, 8, at=(2, 0))[4:]


@pytest.mark.parametrize(("size", "number"), [(16, 2), (17, 2), (18, 3), (1, 1)])
def test_a_last_batch_of_one_is_left_out(size: int, number: int) -> None:
    sampler = EpochBatches(size, 8, 0, lambda: Position(0, 0))
    assert len(sampler) == len(list(sampler)) == number


@pytest.mark.parametrize("size", [16, 19, 21, 23])
def test_processes_that_train_together_share_the_batches_one_would_have(size: int) -> None:
    alone = batches(size, 8)
    shares = [batches(size, 8, rank=rank, processes=2) for rank in (0, 1)]
    assert len(shares[0]) == len(shares[1])
    for number, (first, second) in enumerate(zip(*shares, strict=True)):
        assert len(first) == len(second) > 1
        assert {*first, *second} == set(alone[number]) | (set(first + second) - set(alone[number]))
        assert set(alone[number]) <= {*first, *second}


class Chips:
    """Two chips, augmented as Raster Vision does it."""

    def __init__(self, transform: Any):
        self.transform = transform

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> np.ndarray:
        image = np.arange(64 * 3, dtype=np.uint8).reshape(8, 8, 3) + index
        return np.asarray(self.transform(image=image)["image"])


def test_augmentation_follows_from_seed_epoch_and_sample() -> None:
    transform = albumentations.Compose([albumentations.RandomRotate90(), albumentations.GaussNoise(p=1.0)])
    dataset = SeededDataset(Chips(transform), transform, seed=1)
    once = dataset[(0, 1)]
    dataset[(3, 0)]
    assert np.array_equal(dataset[(0, 1)], once)
    assert not np.array_equal(dataset[(1, 1)], once)
    assert len(dataset) == 2


def test_seeds_differ_wherever_anything_differs() -> None:
    seeds = {mixed_seed(a, b, c) for a in range(5) for b in range(5) for c in range(5)}
    assert len(seeds) == 125


class CountedChips:
    """Three chips of 300 bytes, each with a target of 100, that count how often they are decoded."""

    def __init__(self) -> None:
        self.decoded: list[int] = []

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        self.decoded.append(index)
        return np.full((10, 10, 3), index, np.uint8), np.full((10, 10), index, np.uint8)


def test_chips_are_decoded_once() -> None:
    counted = CountedChips()
    chips = RememberedChips(counted, budget=10_000)
    for _ in range(3):
        assert [int(chips[index][0][0, 0, 0]) for index in range(3)] == [0, 1, 2]
    assert counted.decoded == [0, 1, 2]


def test_what_is_done_to_a_chip_does_not_stay() -> None:
    chips = RememberedChips(CountedChips(), budget=10_000)
    image, target = chips[1]
    image[:], target[:] = 99, 99
    image, target = chips[1]
    assert image.max() == target.max() == 1


def test_memory_for_chips_has_a_limit() -> None:
    counted = CountedChips()
    chips = RememberedChips(counted, budget=900)
    for _ in range(2):
        for index in range(3):
            assert chips[index][0][0, 0, 0] == index
    assert counted.decoded == [0, 1, 2, 2]


def test_chips_with_rare_classes_are_drawn_more_often_and_the_same_ones_after_an_interruption() -> None:
    weights = [1.0] * 90 + [10.0] * 10
    drawn = [
        index
        for epoch in range(20)
        for batch in batches(100, 10, 0, at=(epoch, 0), weights=weights)
        for _, index, _ in batch
    ]
    assert len(drawn) == 2000
    keys = [key for batch in batches(100, 10, 0, weights=weights) for key in batch]
    assert len(set(keys)) == 100  # a chip that comes twice is augmented otherwise each time
    assert 0.45 < sum(index >= 90 for index in drawn) / 2000 < 0.6  # 100 of 190
    assert batches(100, 10, 0, at=(3, 4), weights=weights) == batches(100, 10, 0, at=(3, 0), weights=weights)[4:]
    assert batches(100, 10, 0, weights=None) == batches(100, 10, 0)
