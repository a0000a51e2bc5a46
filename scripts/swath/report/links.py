"""An experiment's results under readable names: links from ``trials/<values>/`` and ``winner/`` into the results."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from swath.files import publish_directory, replace_link
from swath.plan.finished import FinishedRun

Maps = str | Mapping[str, str]
"""The maps of a split: their folder, or scene → folder."""


def link_trainings(folder: Path, runs: Sequence[FinishedRun]) -> None:
    """Link what trainings are going to write, so that they can be watched under their names: models, logs.

    Args:
        folder: The experiment's folder: gets ``trials/<values>/``. What is linked there of the same model stays.
        runs: The runs.
    """
    for run in runs:
        trial = folder / "trials" / run.name
        links = {name: os.path.relpath(place, trial) for name, place in _of_training(run).items()}
        model = trial / "model"
        if model.is_symlink() and str(model.readlink()) != links["model"]:
            shutil.rmtree(trial)  # maps and metrics of another model
        trial.mkdir(parents=True, exist_ok=True)
        for name, place in links.items():
            replace_link(trial / name, place)


def link_runs(folder: Path, runs: Sequence[FinishedRun], maps: Callable[[FinishedRun, str], Maps]) -> None:
    """Link the results of all runs under readable names.

    Args:
        folder: The experiment's folder.
        runs: The runs.
        maps: Finds a run's maps of a split.
    """
    with publish_directory(folder / "trials") as target:
        for run in runs:
            (target / run.name).mkdir()
            link_run(target / run.name, folder / "trials" / run.name, run, {"validation": maps(run, "validation")})


def link_run(target: Path, published: Path, run: FinishedRun, maps: Mapping[str, Maps]) -> None:
    """Link a run's results into ``target``, which will be renamed to ``published``.

    Args:
        target: A folder that is there.
        published: Where it will be.
        run: The run.
        maps: Split → its maps.
    """
    links = {**_of_training(run), "model-bundle.zip": f"{run.bundle}/model-bundle.zip"}
    for split, places in maps.items():
        if isinstance(places, str):
            links[f"predictions-{split}"] = places
        else:
            links |= {f"predictions-{split}/{scene}": place for scene, place in places.items()}
        if metrics := metrics_file(run, split):
            links[f"metrics-{split}.json"] = str(metrics)
    for name, place in links.items():
        (target / name).parent.mkdir(exist_ok=True)
        (target / name).symlink_to(os.path.relpath(place, (published / name).parent))


def metrics_file(run: FinishedRun, split: str) -> Path | None:
    """Return the file of a run's metrics of a split; None where it is not evaluated, or not yet."""
    path = Path(run.evals.get(split, "")) / f"{split}.json"
    return path if split in run.evals and path.is_file() else None


def _of_training(run: FinishedRun) -> dict[str, str]:
    return {"model": run.model, "train.log": run.log}
