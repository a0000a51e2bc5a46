"""The version of every stage: part of its spec, and so of its key.

A stage whose results can change from the same settings and inputs gets a higher number: its results, and those that
follow from them, get a new place, and the old ones stay where they are. A test compares the code that stands behind
each stage with what was recorded (`tests/recorded/code.json`) and says which stage has to be looked at;
`make record` records anew. Nothing else of the code is in a key: what cannot change a
result makes nothing anew.
"""

from __future__ import annotations

from pathlib import Path

KEYED = {
    "scenes": 2,
    "stats": 2,
    "chips": 2,
    "models": 3,
    "predictions": 3,
    "evals": 4,
    "bundles": 5,
}
"""Stages of an experiment in YAML, by the name of their folder of results."""

OWN_MODULE = {
    "configure": 1,
    "analyze": 1,
    "chip": 1,
    "train": 2,
    "predict": 1,
    "eval": 1,
    "bundle": 2,
}
"""Stages of a Raster Vision module of the user's own."""

EXPERIMENT = {
    "splits": 1,
    "propose": 1,
    "rung": 3,
    "leaderboard": 5,
    "select": 2,
    "summary": 4,
    "own_module_summary": 2,
    "report": 3,
    "compare": 2,
    "preview": 2,
    "apply_part": 1,
    "assemble": 1,
    "sample": 1,
    "accuracy": 3,
    "havel": 1,
    "havel_chips": 1,
    "neon_trees": 1,
}
"""Rules whose results have one place, without a key: the version is among their params, and they are made anew."""

READINGS = 3
"""What the preflight reads of a scene and remembers."""


def results_without_versions(results: str | Path) -> int:
    """Count the models that were trained before stages had versions: they stay, and nothing is taken from them.

    Args:
        results: Folder of the results.
    """
    specs = Path(results).glob("models/*/spec.yaml")
    return sum(not spec.read_text(encoding="utf-8").startswith("version:") for spec in specs)
