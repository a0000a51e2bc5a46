"""How an experiment was made, in words for a paper: a paragraph, versions, citations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from swath.report.findings import Findings

CITATIONS = (
    "Raster Vision: Azavea/Element 84. Raster Vision, an open source library and framework for deep learning on "
    "satellite and aerial imagery. https://doi.org/10.5281/zenodo.8018177",
    "Snakemake: Mölder, F., Jablonski, K. P., Letcher, B., et al. (2021). Sustainable data analysis with Snakemake. "
    "F1000Research 10, 33. https://doi.org/10.12688/f1000research.29032.1",
    "PyTorch: Paszke, A., Gross, S., Massa, F., et al. (2019). PyTorch: an imperative style, high-performance deep "
    "learning library. Advances in Neural Information Processing Systems 32.",
)
TASKS = {
    "semantic_segmentation": "semantic segmentation",
    "object_detection": "object detection",
    "chip_classification": "chip classification",
}


def libraries(findings: Findings) -> dict[str, str]:
    """Return name → version of what the best run was trained with; empty where that is not known."""
    path = Path(findings.best.model, "libraries.yaml") if findings.best else None
    if path is None or not path.is_file():
        return {}
    content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    last: Mapping[str, Any] = content[-1] if isinstance(content, list) else content
    return {str(name): str(version) for name, version in last.items()}


def paragraph(findings: Findings, chip_size: int) -> str:
    """Write a methods paragraph; empty where no model is trained yet.

    Args:
        findings: The experiment's results.
        chip_size: Of the training chips, pixels.
    """
    spec = Path(findings.best.model, "spec.yaml") if findings.best else None
    if spec is None or not spec.is_file():
        return ""
    settings = yaml.safe_load(spec.read_text(encoding="utf-8"))
    model, train = settings["model"], settings["train"]
    splits = Counter(facts.split for facts in findings.scenes.values())
    scenes = ", ".join(f"{count} {split}" for split, count in splits.items())
    encoder = f" with the encoder {model['encoder']}" if model.get("encoder") else ""
    weights = model.get("weights") or "none"
    first = "random first weights" if weights == "none" else f"first weights {weights}"
    trials = len({run.trial for run in findings.runs})
    repeats = len({run.seed for run in findings.runs})
    versions = libraries(findings)
    software = ", ".join(f"{name} {versions[name]}" for name in ("rastervision-core", "torch") if name in versions)
    epochs = f"The epoch with the best validation {train['monitor']} was kept. " if train.get("keep") == "best" else ""
    return (
        f"Models for {TASKS[findings.task]} of {len(findings.classes) - 1} classes were trained on {scenes} scenes, on "
        f"chips of {chip_size} × {chip_size} pixels. The network is {model['architecture']}{encoder} and {first}; it "
        f"was trained for {train['epochs']} epochs with {train['optimizer']}, a highest learning rate of "
        f"{train['learning_rate']:g} (schedule {train['schedule']}) and {train['batch_size']} chips per step. {epochs}"
        f"{trials} trials with {repeats} repeats each were compared by {findings.metric} on validation scenes; "
        f"only the winner met the test scenes. Made with Swath{f' on {software}' if software else ''}."
    )
