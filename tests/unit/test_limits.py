"""How large the networks of trials are, and which of them are too large."""

from __future__ import annotations

from typing import Any

import pytest

from swath.config.records import to_json
from swath.config.sweep import Limits
from swath.config.tasks import CLASSIFICATION, DETECTION, SEGMENTATION, Task
from swath.rv.limits import judge_networks, size_of
from swath.search.limits import Network, gpu_hours, over_limits


@pytest.mark.parametrize(
    ("task", "model", "parameters"),
    [
        (SEGMENTATION, {"architecture": "unet", "encoder": "resnet18"}, 14_331_925),
        (CLASSIFICATION, {"architecture": "classifier", "encoder": "resnet18"}, 11_182_213),
        (DETECTION, {"architecture": "faster_rcnn", "encoder": "tu-resnet18"}, 28_307_117),
    ],
)
def test_a_network_is_as_large_as_the_one_that_is_trained(task: Task, model: dict[str, Any], parameters: int) -> None:
    size = size_of(Network(task, model, None, 64, 5), 4)
    assert size["parameters"] == parameters
    assert size["model_mb"] == pytest.approx(4 * parameters / 1e6, rel=0.01)  # and what it keeps of batches


def test_a_trials_values_say_which_network_it_has() -> None:
    own = to_json(Network(SEGMENTATION, {"architecture": "unet", "encoder": "resnet18"}, ["a", "b", "c"], 64, 5))
    judge = judge_networks(Limits(parameters=15_000_000), own, [])
    assert judge({"train.learning_rate": 0.1}) == "" == judge({"imagery.bands": ["a"]})
    assert judge({"model.encoder": "resnet34"}) == "24,436,949 parameters, 15,000,000 allowed"
    none_is_built = judge_networks(Limits(gpu_hours=1), {**own, "model": {"architecture": "none"}}, [])
    assert none_is_built({}) == ""


def test_what_is_over_is_told_with_the_limit() -> None:
    limits = Limits(model_mb=50, gpu_hours=2)
    assert over_limits(limits, {"parameters": 1e12, "model_mb": 50, "gpu_hours": 1.9}) == ""
    told = over_limits(limits, {"model_mb": 57.374, "gpu_hours": 2.5})
    assert told == "57.37 MB, 50 allowed; 2.5 GPU hours, 2 allowed"


def test_hours_count_for_every_gpu_and_none_without() -> None:
    rows = [{"seconds": "1800", "peak_gpu_memory_mb": "0"}, {"seconds": "1800", "peak_gpu_memory_mb": "100"}]
    assert gpu_hours(rows, 2) == 2.0 and gpu_hours(rows[:1], 2) == 0.0
