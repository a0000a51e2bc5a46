"""A Raster Vision module as people have them: `rastervision run local config.py -a data ... -a root_uri ...` takes it.

Its scenes are the demo's: Sentinel-2 and OpenStreetMap land use of the Havel.
"""

import csv
from pathlib import Path

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
)
from rastervision.pytorch_backend import PyTorchSemanticSegmentationConfig
from rastervision.pytorch_learner import (
    ExternalModuleConfig,
    SemanticSegmentationGeoDataConfig,
    SemanticSegmentationImageDataConfig,
    SemanticSegmentationModelConfig,
    SolverConfig,
)

CLASSES = ["open land", "forest", "residential", "water", "unlabelled"]
COLOURS = ["#e3c567", "#2f6b3a", "#c2584f", "#2b6cb0", "black"]
MAPPING = {"farmland": "open land", "grassland": "open land"}
BANDS = [1, 2, 6]


def get_config(runner, root_uri, data, learning_rate=1e-3, epochs=8, chip_size=64, chips_per_scene=100, nochip=False):
    """Describe the pipeline.

    Args:
        runner: Raster Vision's runner; not used here.
        root_uri: Where results go.
        data: Folder with scenes.csv (scene, image, labels, split).
        learning_rate, epochs: Of Adam.
        chip_size: Pixels.
        chips_per_scene: How many random windows are cut from a scene.
        nochip: Train straight from the scenes, without the stage `chip`.
    """
    classes = ClassConfig(names=CLASSES, colors=COLOURS, null_class="unlabelled")
    dataset = DatasetConfig(
        class_config=classes,
        train_scenes=scenes(Path(data), "train", classes),
        validation_scenes=scenes(Path(data), "validation", classes),
        test_scenes=scenes(Path(data), "test", classes),
    )
    sampling = WindowSamplingConfig(method="random", size=chip_size, max_windows=chips_per_scene)
    options = {"img_sz": chip_size, "img_channels": len(BANDS), "augmentors": ["HorizontalFlip", "VerticalFlip"]}
    if nochip:
        backend_data = SemanticSegmentationGeoDataConfig(scene_dataset=dataset, sampling=sampling, **options)
    else:
        backend_data = SemanticSegmentationImageDataConfig(**options)
    return SemanticSegmentationConfig(
        root_uri=root_uri,
        dataset=dataset,
        backend=PyTorchSemanticSegmentationConfig(
            data=backend_data,
            model=SemanticSegmentationModelConfig(
                external_def=ExternalModuleConfig(
                    uri=str(Path(__file__).parent / "network"),
                    name="small_unet",
                    entrypoint="small_unet",
                    entrypoint_kwargs={"bands": len(BANDS), "classes": len(CLASSES)},
                )
            ),
            solver=SolverConfig(lr=learning_rate, num_epochs=epochs, batch_sz=8, ignore_class_index=-1),
        ),
        chip_options=SemanticSegmentationChipOptions(sampling=sampling),
        predict_options=SemanticSegmentationPredictOptions(chip_sz=128, stride=64),
    )


def scenes(data, split, classes):
    """List the scenes of a split."""
    with (data / "scenes.csv").open() as table:
        return [scene(data, row, classes) for row in csv.DictReader(table) if row["split"] == split]


def scene(data, row, classes):
    """Describe a scene: three bands, normalised by statistics; polygons with a class_name as labels."""
    polygons = GeoJSONVectorSourceConfig(
        uris=[str(data / row["labels"])],
        transformers=[
            ClassInferenceTransformerConfig(
                class_name_mapping={**{name: name for name in CLASSES}, **MAPPING}, default_class_id=None
            )
        ],
    )
    return SceneConfig(
        id=row["scene"],
        raster_source=RasterioSourceConfig(
            uris=[str(data / row["image"])], channel_order=BANDS, transformers=[StatsTransformerConfig()]
        ),
        label_source=SemanticSegmentationLabelSourceConfig(
            raster_source=RasterizedSourceConfig(
                vector_source=polygons,
                rasterizer_config=RasterizerConfig(background_class_id=classes.get_class_id("unlabelled")),
            )
        ),
        label_store=SemanticSegmentationLabelStoreConfig(smooth_output=True),
    )
