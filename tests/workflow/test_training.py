"""Trainings on real chips: options, interruptions, first weights, several processes."""

from __future__ import annotations

import itertools
import logging
import os
import pty
import random
import shutil
import signal
import termios
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from direct_training import Workshop, bytes_of, metrics, weights
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from training_jobs import outputs_in, training_job

from swath.errors import ToBeContinuedError
from swath.job.terminal import show_on
from swath.training import hardware, loop
from swath.training.checkpoints import CheckpointFolder
from swath.training.processes import LAUNCHERS
from swath.training.stopping import StopRequest
from swath.training.train import train_model

pytestmark = pytest.mark.workflow

SETTINGS: dict[str, dict[str, Any]] = {
    "as in the config": {},
    "many": {
        "optimizer": "adamw",
        "weight_decay": 0.01,
        "schedule": "cosine",
        "warmup_epochs": 0.5,
        "accumulate": 2,
        "clip_gradients": 1.0,
        "class_weights": "balanced",
        "loss": {"cross_entropy": 1.0, "dice": 0.5},
        "freeze_encoder": 1,
        "channels_last": True,
        "augmentations": ["HorizontalFlip", "GaussNoise", "RandomBrightnessContrast"],
    },
    "others": {"optimizer": "sgd", "schedule": "multi_step", "milestones": [1, 2], "loss": "focal", "keep": "last"},
    "an average": {"ema": 0.9, "accumulate": 2, "sampling": "balanced", "encoder_rate": 0.1},
}


def stop_after(monkeypatch: pytest.MonkeyPatch, looks: int | None) -> None:
    """Ask training to stop the n-th time it looks whether to; None never does."""
    count = itertools.count(1)

    def reason(stop: StopRequest, needed: float = 0.0) -> str | None:
        return "SIGTERM" if looks is not None and next(count) >= looks else None

    monkeypatch.setattr(StopRequest, "reason", reason)


def trained_to_the_end(train: Callable[[], Path]) -> Path | None:
    """Train; None when it was asked to stop before."""
    try:
        return train()
    except ToBeContinuedError:
        return None


@pytest.mark.parametrize("name", SETTINGS)
def test_interrupted_anywhere_training_ends_with_the_same_bytes(
    name: str, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {**SETTINGS[name], "epochs": 3, "batch_size": 4}
    expected = bytes_of(workshop.train("undisturbed", **settings))
    moments = random.Random(name)
    model, stops = None, 0
    while model is None:
        stop_after(monkeypatch, moments.randrange(1, 5) if stops < 6 else None)
        model = trained_to_the_end(lambda: workshop.train("interrupted", **settings))
        stops += model is None
    assert stops >= 3
    assert bytes_of(model) == expected
    assert list(metrics(model)["epoch"]) == [1, 2, 3]
    if settings.get("schedule") == "cosine":  # which is at zero after the last step, and only then
        assert metrics(model)["learning_rate"].tolist()[1] > metrics(model)["learning_rate"].tolist()[2] == 0


def test_dear_checkpoints_are_seldom_and_what_a_crash_undoes_is_done_again(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    settings = {"epochs": 5, "learning_rate": 0.02}
    expected = bytes_of(workshop.train("often", checkpoint_minutes=0.0, **settings))
    monkeypatch.setattr(loop, "SPARING", 1e6)
    written: list[str] = []
    write = CheckpointFolder.write

    def remember(folder: CheckpointFolder, path: Path, save: Callable[[Path], None]) -> None:
        written.append(path.name.split("-")[0] + path.stem[5:10].lstrip("-0"))
        write(folder, path, save)

    monkeypatch.setattr(CheckpointFolder, "write", remember)
    model = workshop.train("seldom", **settings)
    assert bytes_of(model) == expected
    best = metrics(model)["macro_f1"].idxmax() + 1
    assert [name for name in written if name.startswith("last")] == ["last1", "last5"]
    assert written == ["best1", "last1", *([f"best{best}"] if best > 1 else []), "last5"]

    looks = itertools.count(1)

    def crash(stop: StopRequest, needed: float = 0.0) -> None:
        if next(looks) > 12:
            raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(StopRequest, "reason", crash)
        with pytest.raises(RuntimeError, match="power cut"):
            workshop.train("crashed", **settings)
    assert bytes_of(workshop.train("crashed", **settings)) == expected
    assert "going on from last-00001-0000000.ckpt" in caplog.text


def test_how_chips_are_loaded_changes_no_result(workshop: Workshop) -> None:
    expected = bytes_of(workshop.train("plain", cache_gb=4.0))
    assert bytes_of(workshop.train("without cache", cache_gb=0.0)) == expected
    assert bytes_of(workshop.train("workers", num_workers=2, checkpoint_minutes=0.0)) == expected


def test_another_seed_is_another_training(workshop: Workshop) -> None:
    first = metrics(workshop.train("first", class_weights="balanced"))
    second = metrics(workshop.train("second", class_weights={}))
    assert not first.equals(second)


def test_training_stops_early_when_nothing_gets_better(workshop: Workshop, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    model = workshop.train("patience", epochs=40, patience=1, learning_rate=0.03)
    history = metrics(model)["macro_f1"]
    assert len(history) < 40
    assert history.iloc[-1] <= history.iloc[-2] == history.max()
    assert "no better macro_f1 for 1 epochs" in caplog.text


def test_hours_that_are_spent_end_a_training_with_a_validated_model(workshop: Workshop) -> None:
    model = workshop.train("hours", epochs=40, max_gpu_hours=1e-6)
    assert len(metrics(model)) == 1
    assert metrics(model)["macro_f1"].notna().all()


def test_the_best_epoch_or_the_last_is_the_model(workshop: Workshop) -> None:
    best = workshop.train("best", epochs=4, learning_rate=0.02, monitor="val_loss")
    last = workshop.train("last", epochs=4, learning_rate=0.02, keep="last")
    losses = metrics(best)["val_loss"]
    assert metrics(last)["val_loss"].tolist() == losses.tolist()
    same = all(torch.equal(a, b) for a, b in zip(weights(best).values(), weights(last).values(), strict=True))
    assert same == (losses.idxmin() == 3)


def test_a_time_limit_is_met_with_a_checkpoint(workshop: Workshop) -> None:
    os.chdir(workshop.place("limit"))
    job = training_job(workshop.finished.config, "model", epochs=3, batch_size=4)
    with pytest.raises(ToBeContinuedError, match="stopped by time limit"):
        train_model(replace(job, deadline=time.time() + 1), outputs_in(Path("model")))
    assert list(Path("model").glob("checkpoints/*/last-00000-0000001.ckpt"))
    assert not list(Path("model").glob("*.csv"))


def test_mixed_precision_trains(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    full = metrics(workshop.train("full"))
    monkeypatch.setattr(hardware, "cpu_has_bf16", lambda: True)
    mixed = metrics(workshop.train("mixed", mixed_precision="bf16"))
    assert np.isfinite(mixed["train_loss"]).all()
    assert mixed["train_loss"].tolist() == pytest.approx(full["train_loss"].tolist(), rel=0.05)
    assert mixed["train_loss"].tolist() != full["train_loss"].tolist()


@pytest.mark.long
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_a_compiled_network_trains_to_the_same_model(workshop: Workshop) -> None:
    tiny = {"encoder": "tu-resnet10t", "arguments": {"encoder_depth": 1, "decoder_channels": [8]}}
    config = {**workshop.finished.config, "model": tiny}
    plain = workshop.train("plain", config, epochs=1)
    compiled = workshop.train("compiled", config, epochs=1, compile=True)
    assert list(weights(compiled)) == list(weights(plain))
    assert metrics(compiled)["train_loss"].tolist() == pytest.approx(metrics(plain)["train_loss"].tolist(), rel=0.01)


def test_deterministic_kernels_are_asked_for(workshop: Workshop) -> None:
    try:
        workshop.train("deterministic", epochs=1, deterministic=True)
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.utils.deterministic.fill_uninitialized_memory
    finally:
        torch.use_deterministic_algorithms(False)


# --- first weights ---------------------------------------------------------------------------------


def with_weights(workshop: Workshop, path: Path, **train: Any) -> Path:
    os.chdir(workshop.place("tuned"))
    job = training_job(workshop.finished.config, "model", **train)
    train_model(replace(job, weights=path), outputs_in(Path("model")))
    return workshop.folder / "tuned" / "model"


def test_fine_tuning_starts_with_the_weights_of_a_bundle(workshop: Workshop, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    first = workshop.train("first", epochs=3)
    tuned = with_weights(workshop, first / "model-bundle.zip", epochs=1, learning_rate=1e-9, schedule="constant")
    assert metrics(tuned)["train_loss"][0] < metrics(first)["train_loss"][0]
    name = "segmentation_head.0.weight"
    assert torch.allclose(weights(tuned)[name], weights(first)[name], atol=1e-6)
    assert "model-bundle.zip" in caplog.text


def test_a_frozen_encoder_stays_as_it_is_and_then_learns(workshop: Workshop) -> None:
    first = workshop.train("first", epochs=1)
    frozen = with_weights(workshop, first / "model-bundle.zip", epochs=2, freeze_encoder=2)
    before, after = weights(first), weights(frozen)
    for name in before:
        if name.startswith("encoder.") and not name.endswith("num_batches_tracked"):
            assert torch.equal(before[name], after[name]), name
    assert not torch.equal(before["segmentation_head.0.weight"], after["segmentation_head.0.weight"])
    thawed = weights(workshop.train("thawed", epochs=2, freeze_encoder=1, keep="last"))
    start = weights(workshop.train("start", epochs=1, freeze_encoder=1))
    first_layer = next(name for name in start if name.startswith("encoder."))
    assert not torch.equal(thawed[first_layer], start[first_layer])


# --- watching --------------------------------------------------------------------------------------


def test_every_epoch_is_in_tensorboard_once(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    stop_after(monkeypatch, 5)
    with pytest.raises(ToBeContinuedError):
        workshop.train("watched", epochs=4)
    stop_after(monkeypatch, None)
    model = workshop.train("watched", epochs=4)
    events = EventAccumulator(str(model / "tensorboard"))
    events.Reload()
    written = events.Scalars("macro_f1")
    assert [event.step for event in written] == [1, 2, 3, 4]
    assert [event.value for event in written] == pytest.approx(metrics(model)["macro_f1"].tolist())


def test_timing_says_what_an_epoch_needed(workshop: Workshop) -> None:
    timing = pd.read_csv(workshop.train("timed") / "timing.csv")
    assert list(timing["epoch"]) == [1, 2]
    assert (timing["seconds"] >= timing["training_seconds"]).all()
    assert (timing["samples_per_second"] > 0).all()
    assert (timing["peak_memory_mb"] > 100).all()
    assert (timing["peak_gpu_memory_mb"] == 0).all() or torch.cuda.is_available()


def test_where_there_is_a_terminal_there_is_a_bar(workshop: Workshop) -> None:
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 100))
    with os.fdopen(slave, "w", buffering=1) as terminal:
        show_on(terminal)
        workshop.train("seen", epochs=1)
    seen = os.read(master, 100_000).decode()
    os.close(master)
    logging.getLogger("swath").handlers.clear()
    assert "training:" in seen
    assert "validation:" in seen
    assert "epoch 1/1" in seen


# --- several processes -----------------------------------------------------------------------------


@pytest.mark.long
def test_two_processes_train_one_model_and_go_on_together(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in LAUNCHERS:  # what srun and torchrun leave behind must not matter
        monkeypatch.setenv(name, "3")
    monkeypatch.setenv("SLURM_NTASKS", "4")
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    from swath.training.processes import drop_launcher_variables

    drop_launcher_variables()
    settings = {"gpus": 2, "epochs": 12, "batch_size": 4}
    expected = workshop.train("undisturbed", **settings)
    alone = workshop.train("alone", **{**settings, "gpus": 1})
    assert metrics(expected)["train_loss"][0] == pytest.approx(metrics(alone)["train_loss"][0], rel=0.15)

    place = workshop.place("interrupted")

    def interrupt() -> None:
        while not list(place.glob("model/checkpoints/*/last-00001-*.ckpt")):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    watcher = threading.Thread(target=interrupt)
    watcher.start()
    with pytest.raises(ToBeContinuedError, match="SIGTERM"):
        workshop.train("interrupted", **settings)
    watcher.join()
    assert bytes_of(workshop.train("interrupted", **settings)) == bytes_of(expected)


def test_changed_chips_are_another_training_and_chips_in_another_order_or_read_faster_are_not(
    workshop: Workshop,
) -> None:
    os.chdir(workshop.place("fingerprints"))
    job = training_job(workshop.finished.config, "model")
    chips = Path("chips.zip")
    shutil.copy(job.chips[0], chips)
    copied = replace(job, chips=[*job.chips[1:], str(chips)])
    assert copied.fingerprint == job.fingerprint
    with zipfile.ZipFile(chips, "a") as archive:
        archive.writestr("train/img/another.npy", b"x")
    assert copied.fingerprint != job.fingerprint
    for setting, same in (("num_workers", True), ("learning_rate", False), ("seed", False)):
        other = replace(job, train=job.train.model_copy(update={setting: 5}))
        assert (other.fingerprint == job.fingerprint) is same
