"""Raster Vision's stages of a user's own pipeline: each into a fresh folder, published whole."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rastervision.core.rv_pipeline import RVPipelineConfig
from rastervision.pipeline.config import build_config

from swath.errors import Problem, UserError
from swath.files import publish_directory, read_json, sha256, unzip, write_json, zip_directory
from swath.metrics.scores import ClassScores, accuracy, class_scores
from swath.own_module.configure import ROOT, Json, import_pipeline, moved, told_as_mistake_of
from swath.rv.eval_json import ClassCounts, Evaluation, evaluation_of
from swath.rv.seeds import seed_everything

SEED = 0
"""Of every stage but training, which all seeds share."""

BATCH = 16
"""Chips are cut so many at a time: the same chips, whatever batches training takes."""

log = logging.getLogger("swath.pipeline")


@dataclass(frozen=True)
class StageJob:
    """A stage of a run.

    Attributes:
        module: The user's module.
        custom: Whether it defines config classes, and has to be imported before a config can be read.
        config: The run's config, as `configure` wrote it.
        folders: Stage → folder of its key.
    """

    module: str
    custom: bool
    config: Path
    folders: Mapping[str, str]

    def places(self, **others: Path) -> dict[str, str]:
        """Say where stages' results lie: in `files/` where there are many, beside what Swath notes of them."""
        many = {stage: f"{self.folders[stage]}/files" for stage in ("analyze", "predict") if stage in self.folders}
        return {**self.folders, **many, **{stage: str(path) for stage, path in others.items()}}


def read_pipeline(job: StageJob, **others: Path) -> RVPipelineConfig:
    """Read a run's config with its real folders.

    Args:
        job: The stage.
        others: Stage → folder, where it is not its key's.
    """
    if job.custom:
        import_pipeline(job.module)
    config = build_config(_located(job, **others))
    groups = config.dataset.scene_groups
    for name, ids in groups.items():  # sets have another order in every process, and with it random windows
        groups[name] = sorted(ids)
    return config


def _located(job: StageJob, **others: Path) -> Json:
    content: Json = moved(
        read_json(job.config), {f"{ROOT}/{stage}": place for stage, place in job.places(**others).items()}
    )
    return content


def write_located(job: StageJob, path: Path, root: Path) -> None:
    """Write a run's config as Raster Vision's command line takes it.

    Args:
        job: The stage.
        path: The file.
        root: The folder that it will be in.
    """
    write_json(path, {**_located(job), "root_uri": str(root)})


# --- the stages -----------------------------------------------------------------------------------


def analyze(job: StageJob, outputs: Mapping[str, Path]) -> None:
    """Run Raster Vision's analyzers: statistics of every scene group."""
    _run_into_files(job, "analyze", outputs["manifest"])


def chip(job: StageJob, outputs: Mapping[str, Path]) -> None:
    """Cut the chips of training and validation scenes into one zip.

    Raises:
        UserError: If there are no chips to train or to validate with.
    """
    with tempfile.TemporaryDirectory() as temporary:
        chips, unzipped = Path(temporary) / "chips", Path(temporary) / "unzipped"
        _run(job, "chip", chip=chips)
        for archive in sorted(chips.glob("*.zip")):  # one, with a random name
            unzip(archive, unzipped)
        for split, words in (("train", "train"), ("valid", "validate")):
            if not any(path.is_file() for path in (unzipped / split).rglob("*")):
                cure = "change the config's chip_options, or its scenes"
                raise UserError(
                    Problem("chips_missing", job.module, "chip_options", f"no chips to {words} with", "some", cure)
                )
        zip_directory(unzipped, outputs["chips"])


def predict(job: StageJob, outputs: Mapping[str, Path]) -> None:
    """Predict the validation and the test scenes, as Raster Vision does: in one go, in a folder that is empty."""
    _run_into_files(job, "predict", outputs["manifest"])


def evaluate(job: StageJob, outputs: Mapping[str, Path]) -> None:
    """Evaluate the predictions of validation and test scenes; test.json is written beside the output, if there is one.

    Raises:
        RuntimeError: If Raster Vision has left out a group of scenes, which it does when a file is missing.
    """
    folder = Path(job.folders["eval"])
    with publish_directory(folder / "raster-vision") as target:
        config = _run(job, "eval", eval=target)
    classes = config.dataset.class_config
    for split in ("validation", "test"):
        if not config.dataset.scene_groups[f"{split}_scenes"]:
            continue
        path = folder / "raster-vision" / f"{split}_scenes" / "eval.json"
        if not path.is_file():
            raise RuntimeError(f"{split} scenes were not evaluated: labels or predictions are missing, see the log")
        output = outputs["validation"] if split == "validation" else folder / "test.json"
        scores = metrics_of(evaluation_of(read_json(path)), classes.names, classes.null_class)
        write_json(output, {"split": split, "classes": list(classes.names), "overall": asdict(scores)})


def bundle(job: StageJob, outputs: Mapping[str, Path]) -> None:
    """Write the bundle that Raster Vision's `predict` takes; same model, same bytes."""
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        write_located(job, work / "pipeline-config.json", Path(job.folders["bundle"]))
        config = read_pipeline(job, bundle=work / "bundle")
        config.root_uri = temporary
        config.build(temporary).bundle()
        unzip(work / "bundle" / "model-bundle.zip", work / "content")
        zip_directory(work / "content", outputs["bundle"])


STAGES = {"analyze": analyze, "chip": chip, "predict": predict, "eval": evaluate, "bundle": bundle}
"""Rule → what it runs; training is Swath's own."""


def _run_into_files(job: StageJob, stage: str, manifest: Path) -> None:
    """Run a stage whose results are a folder of files, and list them."""
    files = Path(job.folders[stage]) / "files"
    with publish_directory(files) as target:
        _run(job, stage, **{stage: target})
    write_manifest(files, manifest)


def _run(job: StageJob, stage: str, **target: Path) -> RVPipelineConfig:
    """Run a stage of Raster Vision's, its results in another folder than its key's."""
    config = read_pipeline(job, **target)
    config.backend.data.num_workers = 0  # processes that load chips draw other random windows, in no fixed order
    if stage == "chip":
        config.backend.solver.batch_sz = BATCH
        config.dataset.test_scenes = []  # of no use; object detection cannot even cut their chips
    if stage == "eval":
        _leave_out_unlabelled(config)
    folder = Path(job.folders[stage])
    write_located(job, folder / "pipeline-config.json", folder)
    seed_everything(SEED)
    with tempfile.TemporaryDirectory() as temporary, told_as_mistake_of(job.module, stage):
        getattr(config.build(temporary), stage)()
    return config


def _leave_out_unlabelled(config: RVPipelineConfig) -> None:
    """Leave scenes without labels out of the evaluation, which they would end."""
    labelled = {scene.id for scene in config.dataset.all_scenes if scene.label_source}
    groups = config.dataset.scene_groups
    for name, ids in groups.items():
        groups[name] = [scene for scene in ids if scene in labelled]


def write_manifest(folder: Path, output: Path) -> None:
    """Note a folder's files with their SHA-256."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    write_json(output, {"files": {path.relative_to(folder).as_posix(): sha256(path) for path in files}})


# --- metrics --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OwnScores(ClassScores):
    """Scores of the classes that count, of any task.

    Attributes:
        accuracy: Over what is labelled with a class that counts; None of boxes.
        labelled: How many pixels, boxes or cells that is.
    """

    accuracy: float | None
    labelled: int


def metrics_of(result: Evaluation, classes: Sequence[str], null_class: str | None) -> OwnScores:
    """Put Raster Vision's counts into the form that trials are compared in.

    What counts is the module's choice: a null class can be one that labels have, such as background, and what is
    predicted there by mistake is a mistake.

    Args:
        result: What Raster Vision has counted.
        classes: Class names by id.
        null_class: The class that does not count.
    """
    counting = [name for name in classes if name != null_class]
    counts = [result.classes.get(name, ClassCounts(0, 0, 0)) for name in counting]
    hits, actual, predicted = ([getattr(one, kind) for one in counts] for kind in ("hits", "actual", "predicted"))
    return OwnScores(
        **vars(class_scores(counting, hits, actual, predicted)),
        accuracy=_accuracy(result, [list(classes).index(name) for name in counting]),
        labelled=sum(actual),
    )


def _accuracy(result: Evaluation, counting: Sequence[int]) -> float | None:
    confusion = result.confusion
    if confusion is None or len(confusion) <= max(counting):
        return None
    return accuracy(confusion[counting, counting].sum(), confusion[counting].sum())
