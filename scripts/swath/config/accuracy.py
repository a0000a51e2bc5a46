"""`accuracy`: how right a map is, and how much of each class there is, from reference points."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from swath.config.base import Section, as_list, mistake

Share = Annotated[float, Field(ge=0, le=1)]
MARGIN, EXPECTED = 0.03, 0.85
"""What a sample is drawn for where nothing is said."""


class Sample(Section):
    """How many points `snakemake sample` draws."""

    points: PositiveInt | None = None
    """Points in all; as many as `margin` needs, when left out."""

    margin: Annotated[float, Field(gt=0, lt=0.5)] | None = None
    """Half of the 95 % interval that the overall accuracy is to have: `0.03` is ± 3 %; 0.03 when left out."""

    expected: Share | dict[str, Share] | None = None
    """The user's accuracy that is expected, of all classes or by class; 0.85 when left out."""

    least: Annotated[int, Field(ge=2)] = 50
    """Points of each class, however rare: there is no interval of one point. Fewer where `points` do not suffice."""

    seed: NonNegativeInt = 0
    """Another seed draws other points; the same one the same."""

    @model_validator(mode="after")
    def _number_or_margin(self) -> Self:
        beside = [name for name in ("margin", "expected") if getattr(self, name) is not None]
        if self.points is not None and beside:
            raise mistake("settings_conflict", "nothing beside `points`", "leave one of them out", field=beside[0])
        return self


class Accuracy(Section):
    """Accuracy and areas of a map, `snakemake accuracy`, from points that `snakemake sample` draws, or others."""

    map: Annotated[list[str], BeforeValidator(as_list), Field(min_length=1)] | None = None
    """The map, a GeoTIFF of class ids: a path, a pattern, or a list of them, such as the maps of all test scenes; this
    experiment's map of new images when left out."""

    reference: str | None = None
    """Points with their true class: a vector file, or a table (CSV) with columns `x` and `y`, or `lon` and `lat`."""

    layer: str | None = None
    """The layer that holds the points, in a file with several."""

    crs: str | None = None
    """Coordinate reference system of `x` and `y` in a table, such as `EPSG:32636`."""

    class_: str = Field("class", alias="class")
    """The column with the true class: its name or its id."""

    stratum: str | None = None
    """The column with the stratum that a point was drawn in, where strata are not the map's classes. Points of
    `snakemake sample` carry theirs in a column `stratum`, which is read when nothing is said."""

    stratum_area: Annotated[str, Field(min_length=1)] | dict[str, PositiveFloat] = "stratum_area"
    """The area of each point's stratum: a column, or a mapping such as `{wet: 1200, dry: 30500}`; in any unit, for
    shares alone count."""

    classes: Annotated[dict[NonNegativeInt, str], Field(min_length=1)] | None = None
    """Names of the map's ids, such as `{1: forest, 2: water}`, for a map that does not hold them: there, ids are
    names."""

    sample: Sample = Sample()

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = list((self.classes or {}).values())
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise mistake("settings_conflict", "another name for each id", field="classes", found=f"{twice[0]!r} twice")
        return self
