"""The experiment of `against_raster_vision.py` as Raster Vision's own users write it: a module with `get_config`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rastervision.core.data import (
    ClassConfig,
    ClassInferenceTransformerConfig,
    DatasetConfig,
    GeoJSONVectorSourceConfig,
    RasterioSourceConfig,
    RasterizedSourceConfig,
    RasterizerConfig,
    SceneConfig,
    SemanticSegmentationLabelSourceConfig,
    SemanticSegmentationLabelStoreConfig,
    StatsTransformerConfig,
)
from rastervision.core.rv_pipeline import (
    SemanticSegmentationChipOptions,
    SemanticSegmentationConfig,
    SemanticSegmentationPredictOptions,
    WindowSamplingConfig,
    WindowSamplingMethod,
)
from rastervision.pytorch_backend import PyTorchSemanticSegmentationConfig
from rastervision.pytorch_learner import (
    Backbone,
    SemanticSegmentationImageDataConfig,
    SemanticSegmentationModelConfig,
    SolverConfig,
)


def scene(folder: Path, name: str) -> SceneConfig:
    """Describe a scene: image, labels, and a store for its map."""
    source = GeoJSONVectorSourceConfig(
        uris=str(folder / f"{name}.geojson"), transformers=[ClassInferenceTransformerConfig(default_class_id=0)]
    )
    return SceneConfig(
        id=name,
        raster_source=RasterioSourceConfig(uris=[str(folder / f"{name}.tif")], transformers=[StatsTransformerConfig()]),
        label_source=SemanticSegmentationLabelSourceConfig(
            raster_source=RasterizedSourceConfig(
                vector_source=source, rasterizer_config=RasterizerConfig(background_class_id=1)
            )
        ),
        label_store=SemanticSegmentationLabelStoreConfig(),
    )


def get_config(
    runner: Any,
    data: str,
    root_uri: str,
    epochs: int,
    size: int,
    chips: int,
    batch_size: int,
    learning_rate: float,
) -> SemanticSegmentationConfig:
    """Raster Vision calls this with what stands behind `-a` on its command line; it has no seed of its own."""
    epochs, size, chips, batch_size = map(int, (epochs, size, chips, batch_size))  # they come as texts
    learning_rate = float(learning_rate)
    folder = Path(data)
    by_split = {
        split: sorted(path.stem for path in folder.glob(f"{split}*.tif")) for split in ("train", "validation", "test")
    }
    sampling = WindowSamplingConfig(
        method=WindowSamplingMethod.random, size=size, size_lims=(size, size + 1), max_windows=chips
    )
    return SemanticSegmentationConfig(
        root_uri=root_uri,
        dataset=DatasetConfig(
            class_config=ClassConfig(names=["building", "background"], null_class="background"),
            train_scenes=[scene(folder, name) for name in by_split["train"]],
            validation_scenes=[scene(folder, name) for name in by_split["validation"]],
            test_scenes=[scene(folder, name) for name in by_split["test"]],
        ),
        backend=PyTorchSemanticSegmentationConfig(
            data=SemanticSegmentationImageDataConfig(num_workers=0, img_channels=3, img_sz=size),
            model=SemanticSegmentationModelConfig(backbone=Backbone.resnet50, pretrained=False),
            solver=SolverConfig(lr=learning_rate, num_epochs=epochs, batch_sz=batch_size),
            log_tensorboard=False,
            run_tensorboard=False,
        ),
        chip_options=SemanticSegmentationChipOptions(sampling=sampling),
        predict_options=SemanticSegmentationPredictOptions(chip_sz=size, stride=size),
    )
