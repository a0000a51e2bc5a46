"""A map compared with reference points: figures, tables, a page."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from swath.checks.findings import judged, text_of
from swath.checks.reference_points import MatchedPoints, match_points
from swath.config.accuracy import Accuracy
from swath.errors import Problem, UserError
from swath.files import write_json
from swath.metrics.area_adjusted import AreaAdjusted, Estimate, area_adjusted
from swath.pages.template import template
from swath.plan.accuracy import check_reference
from swath.products.class_maps import GREY, ClassMaps, ClassTotals, measure_classes, open_maps
from swath.scenes.reference_points import read_reference_points

log = logging.getLogger("swath.accuracy")
TEMPLATE = Path(__file__).with_name("accuracy.html.jinja")
HECTARE = 1e4


@dataclass(frozen=True)
class Comparison:
    """A map compared with reference points.

    Attributes:
        name: Name of the experiment.
        maps: The map.
        totals: Its classes.
        points: The points as they were counted.
        result: What they say.
        reference: The file of the points.
    """

    name: str
    maps: ClassMaps
    totals: Sequence[ClassTotals]
    points: MatchedPoints
    result: AreaAdjusted
    reference: str

    @property
    def hectares(self) -> float:
        """Area of the map."""
        return sum(total.area for total in self.totals) / HECTARE

    @property
    def counts(self) -> Any:
        """Points by class of the map (rows) and of the reference."""
        return self.points.counts.sum(axis=0)


def estimate_accuracy(name: str, paths: Sequence[str], settings: Accuracy, outputs: Mapping[str, Path]) -> None:
    """Compare a map with reference points, and write what they say.

    Args:
        name: Name of the experiment.
        paths: Files of the map.
        settings: The section `accuracy`.
        outputs: Files to write: `accuracy` (JSON), `matrix` and `classes` (CSV), `page` (HTML).

    Raises:
        UserError: For maps and points that nothing can be estimated from.
    """
    check_reference(settings)
    points, maps = read_reference_points(settings), open_maps(paths, settings.classes)
    totals = measure_classes(maps)
    if not any(total.pixels for total in totals):
        raise UserError(
            Problem("map_empty", paths[0], "accuracy.map", "no pixel with data", "classes", "check the map")
        )
    matched = match_points(points, maps, totals, settings)
    result = area_adjusted(matched.counts, matched.strata.areas, matched.whole)
    compared = Comparison(name, maps, totals, matched, result, points.file)
    rows = class_rows(compared)
    pd.DataFrame(rows).to_csv(outputs["classes"], index=False)
    error_matrix(compared).to_csv(outputs["matrix"], index=False)
    write_json(outputs["accuracy"], as_json(compared, rows))
    outputs["page"].write_text(page_of(compared, rows), encoding="utf-8")
    _tell(compared, rows)


def class_rows(compared: Comparison) -> list[dict[str, Any]]:
    """Say of each class: points, accuracies and areas in hectares, with half of their 95 % intervals."""
    counts, result, whole = compared.counts, compared.result, compared.hectares
    rows = []
    for index, total in enumerate(compared.totals):
        users, producers, share = result.users[index], result.producers[index], result.shares[index]
        rows.append(
            {
                "class": total.name,
                "points_on_map": int(counts[index].sum()),
                "points_in_reference": int(counts[:, index].sum()),
                "users_accuracy": _rounded(users.value),
                "users_margin": _rounded(users.margin),
                "producers_accuracy": _rounded(producers.value),
                "producers_margin": _rounded(producers.margin),
                "mapped_hectares": _rounded(total.area / HECTARE),
                "estimated_hectares": _rounded(share.value * whole),
                "estimated_margin": _rounded(share.margin * whole),
            }
        )
    return rows


def _rounded(value: float) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None


def error_matrix(compared: Comparison) -> pd.DataFrame:
    """Write the error matrix, first in points, then in shares of the map's area: a column for each true class."""
    names = [total.name for total in compared.totals]
    parts = {"points": compared.counts, "share of the area": compared.result.matrix.round(8)}
    rows = [[of, name, *line] for of, matrix in parts.items() for name, line in zip(names, matrix, strict=True)]
    return pd.DataFrame(rows, columns=["of", "map", *names], dtype=object)


def as_json(compared: Comparison, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Write all that is known as plain values."""
    strata, overall = compared.points.strata, compared.result.overall
    drawn = compared.points.counts.sum(axis=(1, 2))
    return {
        "experiment": compared.name,
        "maps": list(compared.maps.paths),
        "reference": compared.reference,
        "points": int(drawn.sum()),
        "strata_are_classes": strata.are_classes,
        "strata": [
            {"name": name, "points": int(number), "share": _rounded(area / sum(strata.areas))}
            for name, number, area in zip(strata.names, drawn, strata.areas, strict=True)
        ],
        "overall_accuracy": {"value": _rounded(overall.value), "margin": _rounded(overall.margin)},
        "hectares": _rounded(compared.hectares),
        "classes": list(rows),
        "error_matrix": {
            "classes": [total.name for total in compared.totals],
            "points": compared.counts.tolist(),
            "shares": compared.result.matrix.round(8).tolist(),
        },
        "notes": [{"code": note.code, "found": note.found} for note in compared.points.notes],
    }


def _tell(compared: Comparison, rows: Sequence[Mapping[str, Any]]) -> None:
    """Say on the terminal what was left out, and what was found."""
    if notes := text_of(judged(compared.points.notes, ())):
        log.info("%s\n", notes)
    log.info("overall accuracy %s, from %d points", in_percent(compared.result.overall), compared.points.counts.sum())
    for row in rows:
        mapped, estimated, margin = (
            f"{row[key]:,.1f}" for key in ("mapped_hectares", "estimated_hectares", "estimated_margin")
        )
        log.info("%s: %s ha on the map, %s ± %s ha estimated", row["class"], mapped, estimated, margin)


def in_percent(estimate: Estimate) -> str:
    """Write a share with its interval: ``94.7 ± 1.8 %``; a dash where nothing is known."""
    if not np.isfinite(estimate.value):
        return "–"
    return f"{100 * estimate.value:.1f} ± {100 * estimate.margin:.1f} %"


# --- the page -----------------------------------------------------------------------------------------


def page_of(compared: Comparison, rows: Sequence[Mapping[str, Any]]) -> str:
    """Make a page that needs neither a network nor anything beside it."""
    return template(TEMPLATE).render(
        name=compared.name,
        maps=compared.maps.paths,
        reference=compared.reference,
        overall=in_percent(compared.result.overall),
        number=int(compared.points.counts.sum()),
        rows=rows,
        users=[in_percent(one) for one in compared.result.users],
        producers=[in_percent(one) for one in compared.result.producers],
        bars=bars_of(rows, [compared.maps.colours.get(total.id, GREY) for total in compared.totals]),
        counts=compared.counts.tolist(),
        shares=compared.result.matrix.tolist(),
        notes=compared.points.notes,
        methods=methods_of(compared),
    )


def bars_of(rows: Sequence[Mapping[str, Any]], colours: Sequence[str]) -> list[dict[str, Any]]:
    """Place the chart's marks: areas in percent of its width, from 0 to the largest area with its interval."""
    largest = max(max(row["mapped_hectares"], row["estimated_hectares"] + row["estimated_margin"]) for row in rows)
    scale = 100 / (largest or 1.0)
    return [
        {
            "class": row["class"],
            "colour": colour,
            "mapped": scale * row["mapped_hectares"],
            "estimated": scale * row["estimated_hectares"],
            "low": scale * max(row["estimated_hectares"] - row["estimated_margin"], 0),
            "high": scale * (row["estimated_hectares"] + row["estimated_margin"]),
        }
        for row, colour in zip(rows, colours, strict=True)
    ]


def methods_of(compared: Comparison) -> str:
    """Write a paragraph for a paper's methods."""
    strata, drawn = compared.points.strata, compared.points.counts.sum(axis=(1, 2))
    by_stratum = ", ".join(f"{name} {number}" for name, number in zip(strata.names, drawn, strict=True) if number)
    areas = ", ".join(
        f"{row['class']} {row['estimated_hectares']:,.0f} ± {row['estimated_margin']:,.0f} ha"
        for row in class_rows(compared)
    )
    which, way = "the map's classes", "Olofsson et al. (2014)"
    if not strata.are_classes:
        which, way = (
            "strata that differ from the map's classes",
            "Stehman (2014), as recommended by Olofsson et al. (2014)",
        )
    of_scenes = "" if len(compared.maps.paths) == 1 else f" {len(compared.maps.paths)} scenes of"
    return (
        f"Accuracy and areas of{of_scenes} the map were estimated from {drawn.sum()} reference points, a stratified "
        f"random sample with {which} as strata ({by_stratum}), by the stratified estimators of {way}. "
        f"Overall accuracy is {in_percent(compared.result.overall)}. The area-adjusted estimates are: {areas}. "
        "All intervals are 95 % confidence intervals and describe sampling error alone."
    )
