"""Reports of made experiments."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from swath.report.findings import Findings
from swath.report.page import Making, write_report

MOST_BYTES = 20_000_000
"""What can be mailed."""


def making(folder: Path, **changes: Any) -> Making:
    config = folder / "config.yaml"
    config.write_text("experiment: made  # <i>config&\n")
    keys = {"chip": ["k1", "k1"], "train": ["k1", "k2"]}
    options = {
        "folder": str(folder),
        "configs": [str(config)],
        "command": "snakemake",
        "chip_size": 32,
        "keys": keys,
        "manifests": [],
    }
    return Making(**{**options, "logs": str(folder / "logs"), **changes})


def report_of(findings: Findings, **changes: Any) -> Path:
    """Write a report into the experiment's folder."""
    folder = findings.folder
    names = {"page": "report.html", "pdf": "report.pdf", "suspicious": "suspicious.gpkg"}
    outputs = {kind: folder / name for kind, name in {**names, "experiment": "experiment.json"}.items()}
    write_report(findings, making(folder, **changes), outputs)
    return outputs["page"]


def map_json(page: Path) -> dict[str, Any]:
    (found,) = re.findall(r'<script type="application/json" id="map-data">(.*?)</script>', page.read_text(), re.DOTALL)
    content: dict[str, Any] = json.loads(found)
    return content
