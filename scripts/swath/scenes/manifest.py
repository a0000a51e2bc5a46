"""Manifests: what the stage `scenes` found out about every scene."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from swath.errors import Problem, UserError, did_you_mean
from swath.files import read_json

Facts = Mapping[str, Any]


def read_manifests(manifests: Iterable[str | Path], ids: Iterable[str] | None = None) -> list[Facts]:
    """Read scenes' facts from manifests, sorted by id; only those of ``ids`` if given."""
    facts = {name: scene for manifest in manifests for name, scene in read_json(manifest)["scenes"].items()}
    return [facts[name] for name in sorted(facts if ids is None else ids)]


def read_splits(manifests: Iterable[str | Path], splits: Mapping[str, Iterable[str]]) -> list[Facts]:
    """Read the facts of some splits' scenes, by split and id.

    Args:
        manifests: The manifests.
        splits: Split → ids. It stands above the manifests' own: in folds, scenes take turns.
    """
    return [{**facts, "split": split} for split, ids in splits.items() for facts in read_manifests(manifests, ids)]


def channel_order(facts: Facts, bands: Sequence[str | int] | None) -> list[int]:
    """Find the wanted bands in an image.

    Args:
        facts: The scene's facts.
        bands: Band names or 1-based numbers; None for all.

    Returns:
        0-based band indices in the wanted order.

    Raises:
        UserError: If the image does not have a band.
    """
    if bands is None:
        return list(range(facts["count"]))
    return [_index(facts, band) for band in bands]


def _index(facts: Facts, band: str | int) -> int:
    names = facts["bands"]
    if isinstance(band, int) and 1 <= band <= facts["count"]:
        return band - 1
    if isinstance(band, str) and band in names:
        return int(names.index(band))
    known = [name for name in names if name]
    found = f"{facts['count']} bands" + (f" named {', '.join(known)}" if known else " without names")
    cure = "change `imagery.bands`"
    if isinstance(band, str):
        cure += "; " + (did_you_mean(band, known) if known else "give numbers, counted from 1")
    raise UserError(Problem(facts["image"], f"imagery.bands: {band}", found, f"a band {band!r}", cure))


def check_imagery(scenes: Iterable[Facts], imagery: Mapping[str, Any]) -> int:
    """Check that every scene has the bands, and that nothing but 8-bit imagery goes without normalisation.

    Returns:
        The number of bands the model sees.

    Raises:
        UserError: With all problems.
    """
    problems: list[Problem] = []
    counts: dict[int, str] = {}
    for facts in scenes:
        try:
            counts.setdefault(len(channel_order(facts, imagery["bands"])), facts["image"])
        except UserError as error:
            problems += error.problems
        if imagery["normalize"] == "none" and facts["dtype"] != "uint8":
            problems.append(
                Problem(
                    facts["image"],
                    "imagery.normalize: none",
                    f"{facts['dtype']} values",
                    "uint8 values",
                    "set `normalize: statistics`, or a range such as {min: 0, max: 10000}",
                )
            )
    if len(counts) > 1:
        found = ", ".join(f"{count} bands in {image}" for count, image in counts.items())
        problems.append(
            Problem("scenes", "bands", found, "equal numbers of bands", "name the bands in `imagery.bands`")
        )
    if problems:
        raise UserError(problems)
    return next(iter(counts))
