"""Manifests: what the stage `scenes` found out about every scene."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from swath.config.imagery import Imagery, Range
from swath.config.records import of_json
from swath.errors import Problem, UserError, did_you_mean
from swath.files import read_json
from swath.scenes.facts import ImageHeader, SceneFacts, SceneImage


def read_manifests(manifests: Iterable[str | Path], ids: Iterable[str] | None = None) -> list[SceneFacts]:
    """Read scenes' facts from manifests, sorted by id; only those of ``ids`` if given."""
    found = {name: scene for manifest in manifests for name, scene in read_json(manifest)["scenes"].items()}
    return [of_json(SceneFacts, found[name]) for name in sorted(found if ids is None else ids)]


def read_splits(manifests: Iterable[str | Path], splits: Mapping[str, Iterable[str]]) -> list[SceneFacts]:
    """Read the facts of some splits' scenes, by split and id.

    Args:
        manifests: The manifests.
        splits: Split → ids. It stands above the manifests' own: in folds, scenes take turns.
    """
    return [replace(facts, split=split) for split, ids in splits.items() for facts in read_manifests(manifests, ids)]


def channel_order(facts: SceneImage, bands: Sequence[str | int] | None) -> list[int]:
    """Find the wanted bands in an image.

    Args:
        facts: The scene's image.
        bands: Band names or 1-based numbers; None for all but transparency.

    Returns:
        0-based band indices in the wanted order.

    Raises:
        UserError: If the image does not have a band.
    """
    if bands is None:
        return [index for index in range(facts.count) if index not in facts.alpha]
    return [_index(facts, band) for band in bands]


def band_name(facts: ImageHeader, index: int) -> str:
    """Name a band for people: its name if it has one, else its number, from 1."""
    return str(facts.bands[index] or index + 1)


def scaling_text(scaling: tuple[float, float]) -> str:
    """Write a band's scale and offset."""
    return f"scale {scaling[0]:g}, offset {scaling[1]:g}"


def _index(facts: SceneImage, band: str | int) -> int:
    names = facts.bands
    if isinstance(band, int) and 1 <= band <= facts.count:
        return band - 1
    if isinstance(band, str) and band in names:
        return int(names.index(band))
    known = [name for name in names if name]
    found = f"{facts.count} bands" + (f" named {', '.join(known)}" if known else " without names")
    cure = "change `imagery.bands`"
    if isinstance(band, str):
        cure += "; " + (did_you_mean(band, known) if known else "give numbers, counted from 1")
    raise UserError(Problem("bands_missing", facts.image, f"imagery.bands: {band}", found, f"a band {band!r}", cure))


def check_imagery(scenes: Iterable[SceneImage], imagery: Imagery) -> int:
    """Check that every scene has the bands, and that their values can be normalised as the settings say.

    Returns:
        The number of bands the model sees.

    Raises:
        UserError: With all problems.
    """
    problems: list[Problem] = []
    counts: dict[int, str] = {}
    types: dict[bool, SceneImage] = {}
    for facts in scenes:
        try:
            counts.setdefault(len(channel_order(facts, imagery.bands)), facts.image)
        except UserError as error:
            problems += error.problems
        types.setdefault(facts.dtype == "uint8", facts)
        problems += _problems_of_values(facts, imagery.normalize)
    if len(counts) > 1:
        found = ", ".join(f"{count} bands in {image}" for count, image in counts.items())
        problems.append(
            Problem(
                "bands_missing", "scenes", "bands", found, "equal numbers of bands", "name the bands in `imagery.bands`"
            )
        )
    problems += _problems_of_limits(counts, imagery.normalize)
    if len(types) > 1 and imagery.normalize == "statistics":
        found = ", ".join(f"{facts.dtype} in {facts.image}" for facts in types.values())
        cure = "set `imagery.normalize` to min_max or a range, or bring the images to one type"
        problems.append(
            Problem(
                "mixed_pixel_types",
                "scenes",
                "pixel type",
                found,
                "8-bit images alone, which stay as they are, or none",
                cure,
            )
        )
    if problems:
        raise UserError(problems)
    return next(iter(counts))


def _problems_of_values(facts: SceneImage, normalize: str | Range) -> list[Problem]:
    if normalize != "none" or facts.dtype == "uint8":
        return []
    return [
        Problem(
            "needs_normalisation",
            facts.image,
            "imagery.normalize: none",
            f"{facts.dtype} values",
            "uint8 values",
            "set `normalize: statistics`, or a range such as {min: 0, max: 10000}",
        )
    ]


def _problems_of_limits(counts: Mapping[int, str], normalize: str | Range) -> list[Problem]:
    """Find images whose bands are not as many as a range has limits."""
    if not isinstance(normalize, Range):
        return []
    number = len(normalize.limits()[0])
    return [
        Problem(
            "limits_per_band",
            image,
            "imagery.normalize",
            f"{number} limits",
            f"one for all, or {count}, one per band",
            "correct it",
        )
        for count, image in counts.items()
        if number not in (1, count)
    ]
