"""Trainings on the finished experiment's chips, called directly: without Snakemake, with any setting."""

from __future__ import annotations

import hashlib
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from experiment import Project
from training_jobs import outputs_in, training_job

from swath.files import sha256
from swath.training.train import train_model


@dataclass
class Workshop:
    """A place to train.

    Attributes:
        folder: Gets a working directory per training, in which the model's folder is `model`.
        finished: The experiment whose chips are used.
    """

    folder: Path
    finished: Project

    def place(self, name: str) -> Path:
        """A working directory: paths in it, which end up in bundles, are the same for all trainings."""
        place = self.folder / name
        if not place.exists():
            (place / "model").mkdir(parents=True)
            for shared in ("results", "data"):
                (place / shared).symlink_to(self.finished.folder / shared)
        return place

    def train(self, name: str, config: dict[str, Any] | None = None, **settings: Any) -> Path:
        """Train, or go on; the model's folder."""
        os.chdir(self.place(name))
        job = training_job(config or self.finished.config, "model", **settings)
        train_model(job, outputs_in(Path("model")))
        return self.folder / name / "model"


def metrics(model: Path) -> pd.DataFrame:
    return pd.read_csv(model / "metrics.csv")


def weights(model: Path) -> dict[str, torch.Tensor]:
    """The weights in a model's bundle."""
    with zipfile.ZipFile(model / "model-bundle.zip") as bundle, bundle.open("model.pth") as file:
        found: dict[str, torch.Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    return found


def bytes_of(model: Path) -> dict[str, str]:
    """The checksums of what a training leaves, and of what is in its bundle."""
    sums = {name: sha256(model / name) for name in ("metrics.csv", "model-bundle.zip", "pipeline-config.json")}
    with zipfile.ZipFile(model / "model-bundle.zip") as bundle:
        contents = {name: hashlib.sha256(bundle.read(name)).hexdigest() for name in bundle.namelist()}
    return {**sums, **contents}
