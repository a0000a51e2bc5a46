"""The GPU check: its logic, on a CPU."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import gpu
import pytest
from direct_training import Workshop

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def reference() -> gpu.Result:
    return gpu.Result(score=0.6, chips=80, bare=100, memory=900, pixels=0.5, weights="a", other_pixels=None, stopped=0)


def test_every_precision_and_number_of_gpus_is_tried() -> None:
    names = [variant.name for variant in gpu.variants(4, can_compile=True)]
    assert names == [
        *("CPU", "GPU, 32 bits", "GPU, bf16", "GPU, fp16", "deterministic", "deterministic, interrupted"),
        *("GPU, bf16, compiled", "all 4 GPUs"),
    ]
    assert [variant.on_cpu for variant in gpu.variants(4, can_compile=True)] == [True] + 7 * [False]
    assert "all 1 GPUs" not in [variant.name for variant in gpu.variants(1, can_compile=False)]
    without = gpu.variants(0, can_compile=True)
    assert [variant.name for variant in without] == [
        *("CPU", "deterministic", "deterministic, interrupted", "2 processes on the CPU")
    ]
    assert without[-1].train["gpus"] == 2


def test_an_interrupted_training_is_compared_with_one_left_alone(workshop: Workshop) -> None:
    """Real trainings and maps; that one goes on is seen by its weights, that one differs by other maps."""
    os.chdir(workshop.place("gpu"))
    results = {
        variant.name: gpu.measure(variant, workshop.finished.config, Path("gpu"))
        for variant in gpu.variants(0, can_compile=False)
        if "gpus" not in variant.train
    }
    assert gpu.what_is_wrong(results) == []
    assert results[gpu.INTERRUPTED].stopped == 2
    assert results[gpu.INTERRUPTED].weights == results[gpu.ALONE].weights
    assert results[gpu.ALONE].other_pixels == 0
    assert all(result.bare > 0 and result.pixels > 0 and result.memory > 100 for result in results.values())
    assert len(gpu.table(results).splitlines()) == 2 + len(results)
    assert gpu.difference(Path("gpu/CPU/maps"), Path("gpu/CPU/maps")) == 0


def test_what_is_off_is_told(reference: gpu.Result) -> None:
    off = replace(reference, score=0.5, other_pixels=0.02)
    told = gpu.what_is_wrong({gpu.REFERENCE: reference, "GPU, fp16": off})
    assert told == [
        "GPU, fp16: macro-F1 0.500, on the CPU 0.600",
        "GPU, fp16: 2.00% of the pixels of the CPU's model get another class",
    ]
    alone = {gpu.ALONE: reference, gpu.INTERRUPTED: replace(reference, stopped=2, weights="b")}
    assert gpu.what_is_wrong(alone) == ["deterministic, interrupted: other weights than without interruption"]
    undefined = {gpu.REFERENCE: reference, "GPU, bf16": replace(reference, score=float("nan"))}
    assert len(gpu.what_is_wrong(undefined)) == 1
    assert gpu.what_is_wrong({}, gpu.variants(1, can_compile=False)[:2]) == [
        "CPU: no result",
        "GPU, 32 bits: no result",
    ]
