"""`apply`: a trained model over images that nobody has labelled."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, NonNegativeFloat, NonNegativeInt, model_validator

from swath.config.accuracy import Accuracy
from swath.config.base import FileSafeName, Section, as_list, mistake
from swath.config.checks import Checks
from swath.config.predict import Predict

DEFAULT_NAME = "map"
"""Name of a map that nobody has named."""


class TrainedModel(Section):
    """A model of an experiment in this folder."""

    experiment: FileSafeName | None = None
    """The experiment; this one when left out, in the config of a training."""

    trial: str | None = None
    """The trial, such as `learning_rate=0.001`; the winner when left out."""

    seed: NonNegativeInt | None = None
    """Which repeat of the trial; the only one, or the one with the smallest seed, when left out."""

    repeats: Literal["all"] | None = None
    """`all`: all repeats (and folds) of the trial, or of the winner's, whose scores are averaged."""

    @model_validator(mode="after")
    def _one_or_all(self) -> Self:
        if self.repeats and self.seed is not None:
            raise mistake("settings_conflict", "nothing beside `repeats: all`", "leave it out", field="seed")
        if self.seed is not None and self.trial is None:
            raise mistake("setting_needed", "a trial, beside `seed`", "add `trial:`", field="trial")
        return self


class Polygons(Section):
    """What becomes of the map's polygons."""

    classes: Annotated[list[str], Field(min_length=1)] | None = None
    """The classes that get polygons; all but background when left out."""

    min_area: NonNegativeFloat = 0.0
    """Smaller polygons are left out; square metres."""

    simplify: NonNegativeFloat = 0.0
    """Fewer corners: those go that cut off less than about a square with this side, in metres. Borders that two
    polygons share stay shared."""


def _different(values: list[str]) -> list[str]:
    if len(set(values)) < len(values):
        twice = next(value for value in values if values.count(value) > 1)
        raise mistake("settings_conflict", "every bundle once", found=f"{twice!r} twice")
    return values


class Apply(Section):
    """A map of new imagery, `snakemake apply`."""

    model: TrainedModel | str | Annotated[list[str], Field(min_length=1), AfterValidator(_different)] = TrainedModel()
    """Which model: `{experiment: kampala}` (its winner), `{experiment: kampala, trial: …}`, a bundle (`….zip`),
    Swath's or Raster Vision's own; or several bundles, whose scores are averaged. In the config of a training the
    default is its winner."""

    images: Annotated[list[str], BeforeValidator(as_list), Field(min_length=1)]
    """The images: paths and patterns (`new/**/*.tif`), a table (CSV or GeoParquet) with a column `image`, or a STAC
    item, collection, catalog or item collection on disk (`.json`); a list of them, too."""

    files: Literal["mosaic", "bands"] | None = None
    """How several files of one image, `;` between them, belong together; as in `imagery.files`."""

    nodata: Annotated[float | Literal["nan"] | None, Field()] = None
    """The value of pixels without data, instead of what the files say."""

    bands: Annotated[list[str | int], Field(min_length=1)] | None = None
    """The bands of the new images, by name or 1-based number, in the model's order; those that the model was trained
    with when left out."""

    mosaic: bool = True
    """One map of all images, or (`false`) a map for each. Where images overlap, the first one that has data there is
    seen: in the order given, those of a pattern sorted by name."""

    aoi: str | None = None
    """Area of interest, polygons: only there is anything predicted."""

    polygons: Polygons = Polygons()

    predict: Predict = Predict()
    """How the model is run over images, where it is to differ from how the experiment did it; see `predict`."""


class Application(Section):
    """A config that trains nothing: a model is applied to new images, or a map is compared with reference points."""

    experiment: FileSafeName = DEFAULT_NAME
    """The map's name; it appears in `results/experiments/<name>/map/`."""

    apply: Apply | None = None

    accuracy: Accuracy | None = None

    checks: Checks = Checks()

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if self.apply is None and self.accuracy is None:
            raise mistake("setting_needed", "a map to make, or one to compare", "fill in the section", field="apply")
        return self
