"""From specs and scenes' facts to Raster Vision's pipeline configs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rastervision.core.data import (
    CastTransformerConfig,
    ClassConfig,
    DatasetConfig,
    NanTransformerConfig,
    RasterioSourceConfig,
    RasterTransformerConfig,
    SceneConfig,
    SemanticSegmentationLabelSourceConfig,
    SemanticSegmentationLabelStoreConfig,
    StatsTransformerConfig,
)
from rastervision.core.rv_pipeline import (
    SemanticSegmentationChipOptions,
    SemanticSegmentationConfig,
    SemanticSegmentationPredictOptions,
)
from rastervision.pipeline.config import build_config, upgrade_config
from rastervision.pytorch_backend import PyTorchSemanticSegmentationConfig
from rastervision.pytorch_learner import (
    SemanticSegmentationImageDataConfig,
    SemanticSegmentationModelConfig,
    SolverConfig,
)

from swath.config.classes import NULL_CLASS, NULL_CLASS_ID
from swath.files import publish
from swath.scenes.label_raster import unlabelled_id
from swath.scenes.manifest import Facts, channel_order

STATS_IN_ANALYZE = Path("stats/train_scenes/stats.json")
"""Where Raster Vision looks for statistics inside its analyze folder."""


@dataclass(frozen=True)
class SceneOptions:
    """What turns a scene's facts into a Raster Vision scene.

    Attributes:
        imagery: The `imagery` settings.
        stats: Path of stats.json, or None when values stay as they are.
        unlabelled: Class id of pixels outside every label.
    """

    imagery: Mapping[str, Any]
    stats: str | None
    unlabelled: int = NULL_CLASS_ID


def scene_options(
    settings: Mapping[str, Any], stats: Sequence[str] | str, classes: Sequence[str] | None = None
) -> SceneOptions:
    """Put scene options together from a rule's params and inputs.

    Args:
        settings: Sections `imagery` and, where labels are read, `labels`.
        stats: The rule's statistics input: a path, or nothing.
        classes: Class names by id, where labels are read.
    """
    path = stats if isinstance(stats, str) else next(iter(stats), None)
    unlabelled = unlabelled_id(classes, settings["labels"]) if classes else NULL_CLASS_ID
    return SceneOptions(settings["imagery"], path, unlabelled)


def transformers(facts: Facts, options: SceneOptions) -> list[RasterTransformerConfig]:
    """List Raster Vision's transformers that make a scene's values 0..255; its own, so that its bundles know them.

    The StatsTransformer leaves 8-bit values as they are: for a range they are cast first. It makes anything of
    not-a-number: that becomes 0 first, which is what pixels without data are.
    """
    if not options.stats:
        return []
    steps: list[RasterTransformerConfig] = []
    if facts["dtype"] == "uint8" and options.imagery["normalize"] != "statistics":
        steps.append(CastTransformerConfig(to_dtype="float32"))
    if facts["dtype"].startswith("float"):
        steps.append(NanTransformerConfig(to_value=0.0))
    return [*steps, StatsTransformerConfig(stats_uri=options.stats)]


def class_config(classes: Sequence[str], colours: Sequence[str]) -> ClassConfig:
    """Name and colour the classes; the null class is the first."""
    return ClassConfig(names=list(classes), colors=list(colours), null_class=NULL_CLASS)


def scene_config(
    facts: Facts, options: SceneOptions, *, labels: bool = True, aoi: str | None = None, predictions: str | None = None
) -> SceneConfig:
    """Describe a scene for Raster Vision.

    Args:
        facts: What the stage `scenes` found.
        options: Imagery settings and statistics.
        labels: Whether the scene comes with its labels (prediction is faster without).
        aoi: GeoJSON (EPSG:4326) of the area of interest.
        predictions: Folder of the scene's predictions.
    """
    source = RasterioSourceConfig(
        uris=[facts["image"]],
        channel_order=channel_order(facts, options.imagery["bands"]),
        transformers=transformers(facts, options),
    )
    label_source = None
    if labels:
        # class ids, burned on the image's grid: Raster Vision's own rasteriser rounds every corner down to a pixel
        label_source = SemanticSegmentationLabelSourceConfig(
            raster_source=RasterioSourceConfig(uris=[facts["label_raster"]], channel_order=[0])
        )
    return SceneConfig(
        id=facts["id"],
        raster_source=source,
        label_source=label_source,
        label_store=SemanticSegmentationLabelStoreConfig(uri=predictions) if predictions else None,
        aoi_uris=[aoi] if aoi else None,
    )


def chip_options(chips: Mapping[str, Any], classes: Sequence[str]) -> SemanticSegmentationChipOptions:
    """Turn the `chips` settings into Raster Vision's."""
    size = chips["size"]
    sampling: dict[str, Any] = {"method": chips["sampling"], "size": size, "within_aoi": chips["within_aoi"]}
    if chips["sampling"] == "random":
        sampling |= {"max_windows": chips["per_scene"], "padding": chips["padding"]}
    else:
        sampling |= {"stride": chips["stride"] or size}
    filters: dict[str, Any] = {"nodata_threshold": chips["max_nodata"]}
    if chips["min_labelled"] > 0:
        filters |= {
            "target_class_ids": [index for index in range(len(classes)) if index != NULL_CLASS_ID],
            "target_count_threshold": max(1, round(chips["min_labelled"] * size * size)),
            "negative_survival_prob": 0.0,
        }
    return SemanticSegmentationChipOptions(sampling=sampling, **filters)


def predict_options(window: Mapping[str, Any], batch_size: int) -> SemanticSegmentationPredictOptions:
    """Turn the resolved prediction window into Raster Vision's options."""
    return SemanticSegmentationPredictOptions(
        chip_sz=window["chip_size"], stride=window["stride"], crop_sz=window["crop"] or None, batch_sz=batch_size
    )


def model_config(
    model: Mapping[str, Any], bands: int, classes: int, definition: str
) -> SemanticSegmentationModelConfig:
    """Describe the network: torchvision's DeepLabV3, or a segmentation-models-pytorch one by its hubconf.py.

    Its first weights are random: Swath loads others from files, so that no stage ever needs the network.

    Args:
        model: The `model` settings.
        bands: Number of input channels.
        classes: Number of classes, the null class included.
        definition: Folder with ``hubconf.py``; it travels in the bundle.
    """
    if model["architecture"] == "deeplabv3":
        return SemanticSegmentationModelConfig(
            backbone=model["encoder"], pretrained=False, extra_args=model["arguments"]
        )
    return SemanticSegmentationModelConfig(
        pretrained=False,
        external_def={
            "uri": definition,
            "name": "segmentation_models_pytorch",
            "entrypoint": "segmentation_model",
            "entrypoint_kwargs": {
                "architecture": model["architecture"].removeprefix("smp-"),
                "encoder": model["encoder"],
                "in_channels": bands,
                "classes": classes,
                **model["arguments"],
            },
        },
    )


def solver_config(train: Mapping[str, Any]) -> SolverConfig:
    """Tell Raster Vision what its bundle says about a training; the loop, loss and optimizer are Swath's."""
    return SolverConfig(
        lr=train["learning_rate"],
        num_epochs=train["epochs"],
        batch_sz=train["batch_size"],
        ignore_class_index=NULL_CLASS_ID,
    )


def augmentation(augmentations: Sequence[str | Mapping[str, Any]]) -> dict[str, Any] | None:
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
    *,
    classes: ClassConfig,
    train: Sequence[SceneConfig] = (),
    validation: Sequence[SceneConfig] = (),
    test: Sequence[SceneConfig] = (),
    model: SemanticSegmentationModelConfig | None = None,
    solver: SolverConfig | None = None,
    data: SemanticSegmentationImageDataConfig | None = None,
    **options: Any,
) -> SemanticSegmentationConfig:
    """Put a pipeline config together, complete and checked by Raster Vision itself.

    Args:
        classes: Names and colours.
        train, validation, test: The scenes; a stage gets those it reads.
        model, solver, data: The backend's parts; stages that train nothing do without.
        options: Further fields: root_uri, chip_uri, train_uri, chip_options, predict_options, ...
    """
    backend = PyTorchSemanticSegmentationConfig(
        model=model or SemanticSegmentationModelConfig(pretrained=False),
        solver=solver or SolverConfig(),
        data=data or SemanticSegmentationImageDataConfig(num_workers=0),
        log_tensorboard=False,
    )
    config = SemanticSegmentationConfig(
        dataset=DatasetConfig(
            class_config=classes, train_scenes=list(train), validation_scenes=list(validation), test_scenes=list(test)
        ),
        backend=backend,
        **options,
    )
    config.update()
    config.validate_config()
    return config


def write_config(config: SemanticSegmentationConfig, path: str | Path) -> None:
    """Write a pipeline config that Raster Vision's own command line takes; same config, same bytes."""
    with publish(path) as temporary:
        config.to_file(str(temporary))
        content = json.loads(temporary.read_text())
        groups = content["dataset"]["scene_groups"]
        content["dataset"]["scene_groups"] = {name: sorted(ids) for name, ids in groups.items()}
        temporary.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")


def read_config(path: str | Path) -> SemanticSegmentationConfig:
    """Read a pipeline config."""
    return build_config(upgrade_config(json.loads(Path(path).read_text())))
