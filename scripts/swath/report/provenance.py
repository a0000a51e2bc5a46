"""What an experiment was made from, and what it made: files with the checksums that its jobs have written down."""

from __future__ import annotations

from pathlib import Path

import yaml

from swath.checksums import read_records
from swath.files import sha256
from swath.report.findings import Findings

MOST_FILES = 3000
"""Lines that a page names; the others stand in the manifests."""


def checksums_of_inputs(findings: Findings) -> dict[str, str]:
    """Return file → checksum of what scenes were read from, images, labels and areas, and of own first weights."""
    files = {
        file: checksum
        for facts in findings.scenes.values()
        for kind in facts.inputs.values()
        for file, checksum in kind.items()
    }
    return dict(sorted(files.items())) | _own_weights(findings)


def _own_weights(findings: Findings) -> dict[str, str]:
    """Return the file of the best run's first weights, where `model.weights` names one that is still there."""
    spec = Path(findings.best.model, "spec.yaml") if findings.best else None
    if spec is None or not spec.is_file():
        return {}
    weights = yaml.safe_load(spec.read_text(encoding="utf-8"))["model"].get("weights")
    return {weights: sha256(weights)} if isinstance(weights, str) and Path(weights).is_file() else {}


def checksums_of_models(findings: Findings) -> dict[str, str]:
    """Return file → checksum of the bundles of all finished runs, the best run's first."""
    written = {
        path: str(known["sha256"])
        for stage in ("bundles", "models")
        for record in read_records(stage)
        for path, known in record.files.items()
        if "sha256" in known
    }
    best = [findings.best] if findings.best else []
    bundles = [
        f"{folder}/model-bundle.zip" for run in [*best, *findings.finished] for folder in (run.bundle, run.model)
    ]
    return {bundle: written[bundle] for bundle in dict.fromkeys(bundles) if bundle in written}
