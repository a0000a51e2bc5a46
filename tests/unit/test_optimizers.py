"""Optimizers and schedules that count steps right."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from swath.config.train import Train
from swath.training.optimizers import build_optimizer, build_scheduler


def rates(batches: int, **settings: Any) -> list[float]:
    """The learning rate at every optimizer step of a whole training, and after the last."""
    train = Train(learning_rate=1.0, **settings)
    optimizer = build_optimizer(torch.nn.Linear(2, 2), train)
    schedule = build_scheduler(optimizer, train, batches)
    steps = train.epochs * -(-batches // train.accumulate)
    found = [optimizer.param_groups[0]["lr"]]
    for _ in range(steps):
        optimizer.step()
        schedule.step()
        found.append(optimizer.param_groups[0]["lr"])
    return found


def test_one_cycle_rises_to_the_middle_and_falls_to_the_very_end() -> None:
    found = rates(7, epochs=2, schedule="one_cycle")
    assert found[0] == pytest.approx(0.1)
    assert found[7] == pytest.approx(1.0)
    assert found[-1] == pytest.approx(0.1)
    assert found == sorted(found[:8]) + sorted(found[8:], reverse=True)


def test_cosine_falls_to_zero_at_the_end_and_not_before() -> None:
    found = rates(5, epochs=4, schedule="cosine")
    assert found[0] == 1
    assert found[10] == pytest.approx(0.5)
    assert found[-1] == pytest.approx(0)
    assert min(found[:-1]) > 0


def test_warm_up_comes_before_the_schedule() -> None:
    found = rates(10, epochs=3, schedule="cosine", warmup_epochs=0.5)
    assert found[:6] == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1])
    assert found[-1] == pytest.approx(0)


def test_milestones_are_epochs() -> None:
    found = rates(3, epochs=4, schedule="multi_step", milestones=[1, 3])
    assert found[:-1] == pytest.approx([1] * 3 + [0.1] * 6 + [0.01] * 3)


def test_with_accumulated_gradients_a_schedule_counts_the_steps_of_the_weights() -> None:
    assert rates(7, epochs=2, schedule="cosine", accumulate=3) == rates(3, epochs=2, schedule="cosine")


def test_a_constant_rate_is_constant() -> None:
    assert set(rates(3, epochs=2, schedule="constant")) == {1.0}


@pytest.mark.parametrize(
    ("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW), ("sgd", torch.optim.SGD)]
)
def test_the_optimizer_is_the_one_asked_for(name: Any, kind: type) -> None:
    train = Train(optimizer=name, learning_rate=0.2, weight_decay=0.3)
    optimizer = build_optimizer(torch.nn.Linear(2, 2), train)
    assert type(optimizer) is kind
    assert optimizer.param_groups[0]["lr"] == 0.2
    assert optimizer.param_groups[0]["weight_decay"] == 0.3
