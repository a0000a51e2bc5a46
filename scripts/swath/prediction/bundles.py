"""Bundles, as models that predict new images: Swath's, and those that Raster Vision itself has made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rastervision.core.data import ClassConfig, RasterioSourceConfig
from rastervision.pipeline.config import build_config, upgrade_config

from swath.config.predict import Window
from swath.files import read_json, unzip
from swath.prediction.model import Computing, Ensemble, Model, Predictor
from swath.rv.bundle import bundle_for_window
from swath.rv.pipeline import SceneOptions, scene_config
from swath.scenes.facts import SceneFacts
from swath.scenes.manifest import channel_order
from swath.scenes.trained_on import PIPELINE, STATISTICS, BundledModel, read_bundle, template


@dataclass(frozen=True)
class NewImagery:
    """How new images are read.

    Attributes:
        model: Says how the model's training scenes were read.
        bands: The bands to read, where the user names them.
        folder: Where the bundle has been unpacked.
    """

    model: BundledModel
    bands: tuple[str | int, ...] | None
    folder: Path

    def order(self, facts: SceneFacts) -> list[int]:
        """Return 0-based indices of an image's bands, in the model's order."""
        return channel_order(facts, self.model.wanted_bands(self.bands))

    def source(self, facts: SceneFacts) -> Any:
        """Open an image as the model's training scenes were: Raster Vision's source."""
        described = self.model.description
        if described is not None:
            statistics = self.folder / STATISTICS
            imagery = described.imagery.model_copy(update={"bands": [index + 1 for index in self.order(facts)]})
            options = SceneOptions(self.model.task, imagery, str(statistics) if statistics.exists() else None)
            config = scene_config(facts, options).raster_source
        else:
            own = build_config(upgrade_config(template(read_json(self.folder / PIPELINE))["raster_source"]))
            for transformer in own.transformers:
                transformer.update_root(str(self.folder))
            config = RasterioSourceConfig(
                uris=[facts.image], channel_order=self.order(facts), transformers=own.transformers
            )
        return config.build(str(self.folder))


def load_models(
    bundles: Sequence[str], window: Window, batch_size: int, bands: Sequence[str | int] | None, folder: Path
) -> tuple[Predictor, NewImagery, ClassConfig]:
    """Load models.

    Args:
        bundles: Their bundles; several are averaged, and alike.
        window: The window, as :func:`resolved_window` says.
        batch_size: Windows per step.
        bands: The bands to read, where the user names them.
        folder: A folder for what is unpacked.

    Returns:
        What predicts windows, how images are read for it, and the classes, the null class first.
    """
    models = []
    for number, bundle in enumerate(bundles):
        known, place = read_bundle(bundle), folder / f"bundle-{number}"
        unzip(bundle, place)
        described = known.description
        if described is not None or window.chip_size != known.window.chip_size:
            fitted = bundle_for_window(place, window, folder / f"fitted-{number}")
        else:  # Raster Vision's own resizes windows to the size of its chips, as it does
            fitted = place / "model-bundle.zip"
        config = build_config(upgrade_config(read_json(place / PIPELINE)))
        config.backend.data.num_workers = 0
        pipeline = config.build(str(folder))
        pipeline.build_backend(str(fitted))
        computing = Computing(
            batch_size=batch_size,
            channels_last=described.channels_last if described else False,
            deterministic=described.deterministic if described else False,
            flips=bool(window.flips),
            mixed_precision=window.mixed_precision,
        )
        models.append(Model(pipeline.backend.learner, known.task, window.chip_size, computing, known.order))
    first = read_bundle(bundles[0])
    predictor: Predictor = Ensemble(models, first.task) if len(models) > 1 else models[0]
    imagery = NewImagery(first, tuple(bands) if bands is not None else None, folder / "bundle-0")
    classes = ClassConfig(names=list(first.classes), colors=list(first.colours), null_class=first.classes[0])
    return predictor, imagery, classes
