"""The preview shows exactly what training gets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from direct_training import Workshop
from experiment import Project, with_setting
from training_jobs import training_job

from swath.report.preview_chips import band_names, sample_chips
from swath.training.checkpoints import Position
from swath.training.data import training_loader
from swath.training.learner import build_learner, describe_training

pytestmark = pytest.mark.workflow


def test_chips_are_those_of_the_first_epoch(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = ["RandomRotate90", {"VerticalFlip": {"p": 1}}]
    flips = with_setting(workshop.finished.config, "train.augmentations", steps)
    monkeypatch.chdir(workshop.place("preview"))
    job = training_job(flips, "model")
    chips, counts = sample_chips(job, number=1000)
    assert not any(Path("model").iterdir())  # the training's own folder is left alone
    learner = build_learner(job, describe_training(job), Path("learner"))
    loader = training_loader(learner, 0, job.train.seed, lambda: Position(0, 0), 0, 1)
    seen = 0
    for keys, (images, targets) in zip(loader.batch_sampler, loader, strict=True):
        for (_, index), image, target in zip(keys, images, targets, strict=True):
            assert np.array_equal(chips[index].image, image)
            assert np.array_equal(chips[index].target, target)
            seen += 1
    assert seen == counts["train"] == len(chips)
    assert band_names(job) == ["B03", "B04", "B08", "B11"]


def test_the_page_shows_scenes_chips_and_balance(project: Project) -> None:
    assert project.jobs("preview") == {"preview": 1}
    told = project.snakemake("preview").stdout
    assert "\nOpen in a browser: results/experiments/small/preview.html\n" in told
    assert not (project.results / "experiments" / "small" / "architecture").exists()
    page = (project.results / "experiments" / "small" / "preview.html").read_text()
    assert page.count('<figure id="') == 5  # scenes
    assert page.count('alt="training chip') == 18
    for word in ("open land", "forest", "train scenes", "test scenes", "B11"):
        assert word in page
    assert project.jobs("preview") == {}
    assert "Open in a browser: results/experiments/small/preview.html" in project.snakemake("preview").stdout
