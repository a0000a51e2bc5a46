"""`scenes`: which images, labels and splits there are."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, NonNegativeInt, PositiveFloat, model_validator

from swath.config.base import Section, mistake

Share = Annotated[float, Field(ge=0, le=1)]


class Split(Section):
    """Deals out the scenes that have no split yet, by shares or in folds; docs/splits.md says how."""

    train: Annotated[float, Field(gt=0, le=1)] | None = None
    """Share of the scenes for training; what `validation` and `test` leave over when left out."""

    validation: Share = 0.15
    """Share for validation. With `folds` there is none: each fold takes its turn."""

    test: Share = 0.15
    """Share for testing. With `folds` it is held out before the rest is dealt out."""

    folds: Annotated[int, Field(ge=2)] | None = None
    """Cross-validation: every trial is trained so many times, each time with another fold for validation and the
    others for training."""

    block: PositiveFloat | None = None
    """Side of a square on the ground, in metres: scenes whose centres lie in one square, and scenes that overlap,
    stay together in one split or fold."""

    seed: NonNegativeInt = 0
    """Another seed, another draw."""

    @model_validator(mode="after")
    def _shares_add_up(self) -> Self:
        if self.folds is not None:
            for share in ("train", "validation"):
                if share in self.model_fields_set:
                    expected = "no share, since the `folds` take turns"
                    raise mistake("settings_conflict", expected, "leave it out", field=share)
            if self.test == 1:
                raise mistake("out_of_range", "less than 1", "leave scenes to the folds, too", field="test")
            return self
        held_out = self.validation + self.test
        if self.train is not None and abs(self.train + held_out - 1) > 1e-6:
            shares = f"train {self.train:g} + validation {self.validation:g} + test {self.test:g}"
            cure = "leave `train` out to give it the rest"
            found = f"{shares} = {self.train + held_out:g}"
            raise mistake("shares_do_not_add_up", "shares that add up to 1", cure, found=found)
        if held_out >= 1:
            expected = "shares of `validation` and `test` that leave something for training"
            raise mistake("shares_do_not_add_up", expected, "make them smaller")
        return self

    def shares(self) -> dict[str, float]:
        """Name the parts and their shares, which add up to 1: splits, or test and the folds' numbers."""
        if self.folds is None:
            return {"test": self.test, "validation": self.validation, "train": 1 - self.validation - self.test}
        return {"test": self.test} | {str(fold): (1 - self.test) / self.folds for fold in range(self.folds)}


class Scenes(Section):
    """Either a table with one row per scene, or path patterns."""

    table: str | None = None
    """CSV (commas, semicolons or tabs; UTF-8 or UTF-16) or GeoParquet file with the columns scene, image, labels, split
    and, optionally, aoi, in any capitalisation. A scene has any name that a file can have, but for `;`.
    Paths in it start at the table's folder. An entry can hold several paths with `;` between them, and wildcards: see
    `imagery.files`. Test scenes can do without labels: they are predicted, not evaluated. With `split` here, the column
    split may have empty entries or be absent."""

    image: str | None = None
    """Instead of a table: the images' paths with `{split}` and `{scene}` as placeholders, such as
    `data/{split}/img{scene}.tif`. `{split}` finds folders named train (or training), val (or
    validation, valid) and test (or testing), in any capitalisation.
    With `split` here, patterns may do without `{split}`."""

    labels: str | None = None
    """The labels' paths with the same placeholders; or one path without them: a file with the labels of many scenes,
    of which each takes what touches it. Beside a table, for rows without labels of their own."""

    aoi: str | None = None
    """Optional: the areas of interest's paths with the same placeholders; or one path without them, the area of all
    scenes."""

    split: Split | None = None
    """How scenes without a split get one."""

    @model_validator(mode="after")
    def _table_or_patterns(self) -> Self:
        if (self.table is None) == (self.image is None):
            expected = "either `table`, or the patterns `image` and `labels`"
            raise mistake("settings_conflict" if self.table else "setting_needed", expected, f"give {expected}")
        if self.table is not None and self.aoi:
            expected = "nothing beside `table`, whose column aoi it is"
            raise mistake("settings_conflict", expected, "leave it out", field="aoi")
        if self.image is not None and self.labels is None:
            expected = "a pattern, beside `image`"
            raise mistake("setting_needed", expected, "add `labels:`", field="labels")
        by_folder = self.split is None or "{split}" in (self.image or "")
        patterns = {name: getattr(self, name) or "" for name in ("image", "labels", "aoi") if self.image}
        for name, pattern in patterns.items():
            if name != "image" and "{" not in pattern:
                continue  # one file for all scenes
            if by_folder and ("{scene}" not in pattern or "{split}" not in pattern):
                raise mistake("placeholder_missing", "both placeholders, {split} and {scene}", field=name)
            if not by_folder and ("{scene}" not in pattern or "{split}" in pattern):
                expected = "the placeholder {scene}, and no {split} as `image` has none"
                raise mistake("placeholder_missing", expected, field=name)
        return self
