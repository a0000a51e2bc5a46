"""From specs and scenes' facts to Raster Vision's pipeline configs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import JsonValue
from rastervision.core.data import (
    CastTransformerConfig,
    ClassConfig,
    DatasetConfig,
    LabelSourceConfig,
    LabelStoreConfig,
    NanTransformerConfig,
    RasterioSourceConfig,
    RasterTransformerConfig,
    SceneConfig,
    StatsTransformerConfig,
)
from rastervision.core.rv_pipeline import ChipClassificationConfig, RVPipelineConfig, SemanticSegmentationConfig
from rastervision.core.rv_pipeline.object_detection_config import ObjectDetectionConfig
from rastervision.pipeline.config import build_config, upgrade_config
from rastervision.pytorch_backend import PyTorchSemanticSegmentationConfig
from rastervision.pytorch_backend.pytorch_chip_classification_config import PyTorchChipClassificationConfig
from rastervision.pytorch_backend.pytorch_learner_backend_config import PyTorchLearnerBackendConfig
from rastervision.pytorch_backend.pytorch_object_detection_config import PyTorchObjectDetectionConfig
from rastervision.pytorch_learner import (
    SemanticSegmentationImageDataConfig,
    SemanticSegmentationModelConfig,
    SolverConfig,
)
from rastervision.pytorch_learner.classification_learner_config import (
    ClassificationImageDataConfig,
    ClassificationModelConfig,
)
from rastervision.pytorch_learner.learner_config import ImageDataConfig, ModelConfig
from rastervision.pytorch_learner.object_detection_learner_config import (
    ObjectDetectionImageDataConfig,
    ObjectDetectionModelConfig,
)

from swath.config.classes import NULL_CLASS, NULL_CLASS_ID
from swath.config.imagery import Imagery
from swath.config.labels import Labels
from swath.config.stage import StageSettings
from swath.config.tasks import CLASSIFICATION, DETECTION, SEGMENTATION, Task
from swath.config.train import Augmentations, Train
from swath.files import publish, read_json
from swath.scenes.facts import SceneFacts
from swath.scenes.manifest import channel_order

STATS_IN_ANALYZE = Path("stats/train_scenes/stats.json")
"""Where Raster Vision looks for statistics inside its analyze folder."""


@dataclass(frozen=True)
class TaskConfigs:
    """Raster Vision's configs of a task.

    Attributes:
        pipeline, backend, data, model: Their classes.
        ignores_null: Whether training and evaluation leave something out that carries no label.
    """

    pipeline: type[RVPipelineConfig]
    backend: type[PyTorchLearnerBackendConfig]
    data: type[ImageDataConfig]
    model: type[ModelConfig]
    ignores_null: bool = True


TASK_CONFIGS: Mapping[Task, TaskConfigs] = {
    SEGMENTATION: TaskConfigs(
        SemanticSegmentationConfig,
        PyTorchSemanticSegmentationConfig,
        SemanticSegmentationImageDataConfig,
        SemanticSegmentationModelConfig,
    ),
    DETECTION: TaskConfigs(
        ObjectDetectionConfig,
        PyTorchObjectDetectionConfig,
        ObjectDetectionImageDataConfig,
        ObjectDetectionModelConfig,
        ignores_null=False,
    ),
    CLASSIFICATION: TaskConfigs(
        ChipClassificationConfig,
        PyTorchChipClassificationConfig,
        ClassificationImageDataConfig,
        ClassificationModelConfig,
    ),
}


@dataclass(frozen=True)
class SceneOptions:
    """What turns a scene's facts into a Raster Vision scene.

    Attributes:
        task: The experiment's task.
        imagery: The `imagery` settings.
        stats: Path of stats.json, or None when values stay as they are.
        labels: The `labels` settings, where labels are read.
        unlabelled: Class id of what lies outside every label.
        cell: Chip classification: side of a cell in pixels, where labels are read.
        min_box_overlap: Object detection: the share of a box that has to lie in the scene, where labels are read.
    """

    task: Task
    imagery: Imagery
    stats: str | None
    labels: Labels | None = None
    unlabelled: int = NULL_CLASS_ID
    cell: int | None = None
    min_box_overlap: float | None = None


def scene_options(
    settings: StageSettings, stats: Sequence[str] | str, classes: Sequence[str] | None = None
) -> SceneOptions:
    """Put scene options together from a rule's params and inputs.

    Args:
        settings: The task, the section `imagery` and, where labels are read, `labels` and `chips`.
        stats: The rule's statistics input: a path, or nothing.
        classes: Class names by id, where labels are read.
    """
    return SceneOptions(
        task=settings.task,
        imagery=settings.imagery,
        stats=stats if isinstance(stats, str) else next(iter(stats), None),
        labels=settings.labels,
        unlabelled=settings.labels.unlabelled_id(classes) if settings.labels and classes else NULL_CLASS_ID,
        cell=settings.chips.size if settings.chips else None,
        min_box_overlap=settings.chips.min_box_overlap if settings.chips else None,
    )


def transformers(facts: SceneFacts, options: SceneOptions) -> list[RasterTransformerConfig]:
    """List Raster Vision's transformers that make a scene's values 0..255; its own, so that its bundles know them.

    The StatsTransformer leaves 8-bit values as they are: for a range they are cast first. It makes anything of
    not-a-number: that becomes 0 first, which is what pixels without data are.
    """
    if not options.stats:
        return []
    steps: list[RasterTransformerConfig] = []
    if facts.dtype == "uint8" and options.imagery.normalize != "statistics":
        steps.append(CastTransformerConfig(to_dtype="float32"))
    if facts.dtype.startswith("float"):
        steps.append(NanTransformerConfig(to_value=0.0))
    return [*steps, StatsTransformerConfig(stats_uri=options.stats)]


def class_config(classes: Sequence[str], colours: Sequence[str]) -> ClassConfig:
    """Name and colour the classes; the null class is the first."""
    return ClassConfig(names=list(classes), colors=list(colours), null_class=NULL_CLASS)


def scene_config(
    facts: SceneFacts,
    options: SceneOptions,
    *,
    labels: LabelSourceConfig | None = None,
    aoi: str | None = None,
    store: LabelStoreConfig | None = None,
) -> SceneConfig:
    """Describe a scene for Raster Vision.

    Args:
        facts: What the stage `scenes` found.
        options: Imagery settings and statistics.
        labels: Where the scene's labels come from; prediction is faster without.
        aoi: GeoJSON (EPSG:4326) of the area of interest.
        store: Where the scene's predictions lie.
    """
    source = RasterioSourceConfig(
        uris=[facts.image],
        channel_order=channel_order(facts, options.imagery.bands),
        transformers=transformers(facts, options),
    )
    return SceneConfig(
        id=facts.id,
        raster_source=source,
        label_source=labels,
        label_store=store,
        aoi_uris=[aoi] if aoi else None,
    )


def solver_config(task: Task, train: Train) -> SolverConfig:
    """Tell Raster Vision what its bundle says about a training; the loop, loss and optimizer are Swath's."""
    return SolverConfig(
        lr=train.learning_rate,
        num_epochs=train.epochs,
        batch_sz=train.batch_size,
        ignore_class_index=NULL_CLASS_ID if TASK_CONFIGS[task].ignores_null else None,
    )


def augmentation(augmentations: Augmentations) -> dict[str, JsonValue] | None:
    """Serialise the augmentations the way albumentations does.

    Raises:
        ValueError, TypeError: For arguments an augmentation does not take.
    """
    import albumentations

    steps = []
    for entry in augmentations:
        name, arguments = (entry, {}) if isinstance(entry, str) else next(iter(entry.items()))
        steps.append(getattr(albumentations, name)(**arguments))
    return albumentations.to_dict(albumentations.Compose(steps)) if steps else None


def pipeline_config(
    task: Task,
    *,
    classes: ClassConfig,
    train: Sequence[SceneConfig] = (),
    validation: Sequence[SceneConfig] = (),
    test: Sequence[SceneConfig] = (),
    model: ModelConfig | None = None,
    solver: SolverConfig | None = None,
    data: ImageDataConfig | None = None,
    **options: Any,
) -> RVPipelineConfig:
    """Put a pipeline config together, complete and checked by Raster Vision itself.

    Args:
        task: The task.
        classes: Names and colours.
        train, validation, test: The scenes; a stage gets those it reads.
        model, solver, data: The backend's parts; stages that train nothing do without.
        options: Further fields: root_uri, chip_uri, train_uri, chip_options, predict_options, ...
    """
    configs = TASK_CONFIGS[task]
    backend = configs.backend(
        model=model or configs.model(pretrained=False),
        solver=solver or SolverConfig(),
        data=data or configs.data(num_workers=0),
        log_tensorboard=False,
    )
    config = configs.pipeline(
        dataset=DatasetConfig(
            class_config=classes, train_scenes=list(train), validation_scenes=list(validation), test_scenes=list(test)
        ),
        backend=backend,
        **options,
    )
    config.update()
    config.validate_config()
    return config


def write_config(config: RVPipelineConfig, path: str | Path) -> None:
    """Write a pipeline config that Raster Vision's own command line takes; same config, same bytes."""
    with publish(path) as temporary:
        config.to_file(str(temporary))
        content = json.loads(temporary.read_text())
        groups = content["dataset"]["scene_groups"]
        content["dataset"]["scene_groups"] = {name: sorted(ids) for name, ids in groups.items()}
        temporary.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")


def read_config(path: str | Path) -> RVPipelineConfig:
    """Read a pipeline config."""
    return build_config(upgrade_config(read_json(path)))
