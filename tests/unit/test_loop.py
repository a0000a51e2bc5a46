"""What the history says: the best epoch, and when training is over; and the hardware it runs on."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from swath.config.train import Train
from swath.errors import UserError
from swath.metrics.history import best_epoch
from swath.training import hardware
from swath.training.checkpoints import CheckpointFolder
from swath.training.hardware import choose_hardware, gpu_names
from swath.training.loop import CheckpointCallback, is_finished
from swath.training.stopping import StopRequest


def rows(*scores: float, **more: list[float]) -> list[dict[str, float]]:
    columns = {"macro_f1": list(scores), **more}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def test_the_best_epoch_is_the_first_with_the_highest_score() -> None:
    assert best_epoch([], "macro_f1") is None
    assert best_epoch(rows(0.2, 0.5, 0.5, 0.3), "macro_f1") == 2


def test_of_losses_the_lowest_is_the_best() -> None:
    assert best_epoch(rows(0, 0, 0, val_loss=[0.5, 0.2, 0.4]), "val_loss") == 2


def test_an_epoch_without_a_number_is_not_the_best() -> None:
    assert best_epoch(rows(0, 0, 0, val_loss=[float("nan"), 0.5, 0.4]), "val_loss") == 3


def test_a_single_class_can_decide() -> None:
    assert best_epoch(rows(0.9, 0.1, **{"open land_f1": [0.3, 0.4]}), "f1.open land") == 2


def test_training_is_over_after_all_epochs() -> None:
    assert not is_finished(rows(0.1), 0, Train(epochs=2))
    assert is_finished(rows(0.1, 0.2), 0, Train(epochs=2)) == "all epochs done"


def test_training_is_over_when_nothing_gets_better() -> None:
    settings = Train(epochs=20, patience=3)
    assert not is_finished(rows(0.1, 0.5, 0.4, 0.4), 0, settings)
    assert is_finished(rows(0.1, 0.5, 0.4, 0.4, 0.5), 0, settings) == "no better macro_f1 for 3 epochs"


def test_training_is_over_when_its_hours_are_spent_but_not_before_one_validation() -> None:
    settings = Train(epochs=20, max_gpu_hours=2, gpus=2)
    assert not is_finished(rows(0.1), 3599, settings)
    assert is_finished(rows(0.1), 3600, settings) == "2 GPU hours spent"
    assert not is_finished([], 3600, settings)


def test_the_first_validation_is_expected_to_take_as_long_as_so_many_steps(tmp_path: Path) -> None:
    """Otherwise a time limit that falls into it would undo the whole epoch, in every attempt."""
    trainer = SimpleNamespace(num_val_batches=[100], num_training_batches=300)
    module: Any = SimpleNamespace(timings=[], seconds_per_step=2.0, trainer=trainer)
    keeper = CheckpointCallback(CheckpointFolder(tmp_path), StopRequest(), lambda: None, Train())
    assert keeper._needed(module) == 202
    module.timings = [{"training_seconds": 300.0, "seconds": 350.0}]
    assert keeper._needed(module) == 51


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Any:
    def visible(number: int, capability: tuple[int, int] = (8, 0)) -> None:
        monkeypatch.setattr(torch.cuda, "device_count", lambda: number)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda gpu: capability)

    return visible


def test_as_many_gpus_as_asked_for_or_a_clear_word(gpus: Any) -> None:
    gpus(4)
    assert choose_hardware(Train()).accelerator == "gpu"
    gpus(1)
    with pytest.raises(UserError, match="2, on a machine where 1 can be seen"):
        choose_hardware(Train(gpus=2))


@pytest.mark.parametrize(("given", "numbers"), [("2,5", ("2", "5")), ("GPU-8f2e,GPU-11aa", ("0", "1"))])
def test_gpus_are_named_by_number_and_kind(
    given: str, numbers: tuple[str, str], gpus: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus(2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"kind {index}")
    assert gpu_names(2) == [f"GPU {number} (kind {index})" for index, number in enumerate(numbers)]


def test_without_gpus_the_cpu_takes_their_place(gpus: Any) -> None:
    gpus(0)
    assert choose_hardware(Train(gpus=2)).accelerator == "cpu"


@pytest.mark.parametrize(
    ("visible", "bf16_cpu", "wanted", "precision"),
    [
        (1, False, "none", "32-true"),
        (1, False, "auto", "bf16-mixed"),
        (0, True, "auto", "32-true"),
        (1, False, "bf16", "bf16-mixed"),
        (1, False, "fp16", "16-mixed"),
        (0, False, "bf16", "32-true"),
        (0, True, "bf16", "bf16-mixed"),
        (0, True, "fp16", "32-true"),
    ],
)
def test_sixteen_bits_only_where_they_help(
    visible: int, bf16_cpu: bool, wanted: str, precision: str, gpus: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus(visible)
    monkeypatch.setattr(hardware, "cpu_has_bf16", lambda: bf16_cpu)
    assert choose_hardware(Train(mixed_precision=wanted)).precision == precision


def test_a_gpu_that_would_only_imitate_bf16_computes_in_32_bits(gpus: Any) -> None:
    gpus(2, capability=(7, 5))
    assert choose_hardware(Train()).precision == "32-true"
    assert choose_hardware(Train(mixed_precision="bf16")).precision == "bf16-mixed"
