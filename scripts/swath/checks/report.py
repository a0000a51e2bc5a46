"""The report: one HTML page that needs neither a network nor JavaScript."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from swath.checks.context import Survey
from swath.checks.findings import Finding, grouped, tally
from swath.checks.labels import class_pixels
from swath.checks.readings import Reading, Sample
from swath.files import publish
from swath.pages.locator import Footprint, locate
from swath.pages.template import template

TEMPLATE = Path(__file__).with_name("validation.html.jinja")


def write_page(path: Path, survey: Survey, findings: Sequence[Finding]) -> None:
    """Write the report: what was found, where the scenes lie and what they are, the classes' balance by split.

    Args:
        path: The HTML page.
        survey: The experiment and its scenes.
        findings: Sorted.
    """
    page = template(TEMPLATE).render(
        name=survey.request.experiment,
        tally=tally(findings),
        stops=any(finding.stops for finding in findings),
        groups=grouped(findings),
        map=locate([Footprint(one.id, one.part, header.footprint) for one, header in survey.with_header()]),
        scenes=[_scene(reading) for reading in survey.readings],
        pending=survey.pending,
        balances=[_balance(survey, key) for key in survey.request.labels],
        colours=survey.request.colours,
    )
    with publish(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _scene(reading: Reading) -> dict[str, str | int]:
    """Describe a scene in a row of the table."""
    header, sample = reading.header, reading.sample
    row: dict[str, str | int] = {
        "id": reading.id,
        "split": reading.part,
        "image": reading.image,
        "labels": _labels(reading),
    }
    if header is None:
        return {**row, "size": "unreadable"}
    return {
        **row,
        "size": f"{header.width:,} × {header.height:,}",
        "bands": header.count,
        "dtype": header.dtype,
        "crs": _name_of_crs(header.crs),
        "resolution": f"{header.metres:.3g} m",
        "nodata": f"{sample.nodata:.1%}" if sample else "",
        "values": _values(sample) if sample else "unreadable",
    }


def _values(sample: Sample) -> str:
    bands = [band for band in sample.bands if band]
    if not bands:
        return "none"
    return f"{min(band.min for band in bands):.5g} … {max(band.max for band in bands):.5g}"


def _labels(reading: Reading) -> str:
    labels = next((labels for labels in reading.labels.values() if labels), None)
    if not labels:
        return "–"
    return f"{labels.features:,}" if labels.features else "raster"


def _name_of_crs(wkt: str) -> str:
    """Take a CRS's name out of its WKT: what stands first between quotation marks."""
    return wkt.split('"')[1] if '"' in wkt else wkt[:40]


def _balance(survey: Survey, key: str) -> dict[str, dict[str, float]]:
    """Return split → class → share of the labelled pixels."""
    counts = {split: class_pixels(survey.of(split), key) for split in {reading.split for reading in survey.readings}}
    return {
        split: {name: counts[split][name] / max(counts[split].total(), 1) for name in survey.classes}
        for split in ("train", "validation", "test")
        if split in counts
    }
