"""How an experiment was made, in words for a paper: a paragraph, versions, citations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from swath.report.charts import swept_settings
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
    encoder = f" with the encoder {model['encoder']}" if model.get("encoder") else ""
    weights = model.get("weights") or "none"
    first = "random first weights" if weights == "none" else f"first weights {weights}"
    versions = libraries(findings)
    software = ", ".join(f"{name} {versions[name]}" for name in ("rastervision-core", "torch") if name in versions)
    swept = swept_settings(findings)
    winners = f" ({', '.join(swept)}: the winner's; other values were tried)" if swept else ""
    kept = f"The epoch with the best validation {train['monitor']} was kept. " if train.get("keep") == "best" else ""
    classes = _counted(len(findings.classes) - 1, "class", "classes")
    rate = f"a highest learning rate of {train['learning_rate']:g} (schedule {train['schedule']})"
    return (
        f"Models for {TASKS[findings.task]} of {classes} were trained on {_scenes(findings)}. Training chips have "
        f"{chip_size} × {chip_size} pixels. The network is {model['architecture']}{encoder} and {first}; it was "
        f"trained for {train['epochs']} epochs with {train['optimizer']}, {rate} and {train['batch_size']} chips per "
        f"step{winners}. {kept}{_compared(findings)} Made with Swath{f' on {software}' if software else ''}."
    )


def _counted(number: int, one: str, more: str = "") -> str:
    return f"{number} {one if number == 1 else more or one + 's'}"


def _scenes(findings: Findings) -> str:
    """Say what was learned from, compared on, and tested on."""
    splits = Counter(facts.split for facts in findings.scenes.values())
    folds = {run.fold for run in findings.runs if run.fold is not None}
    train = _counted(splits["train"], "scene")
    validation = f"in {len(folds)} folds of them" if folds else f"on {_counted(splits['validation'], 'other scene')}"
    tested = f"; {_counted(splits['test'], 'further scene')} served as test" if splits["test"] else ""
    return f"{train} and compared {validation}{tested}"


def _compared(findings: Findings) -> str:
    trials, repeats = ({getattr(run, name) for run in findings.runs} for name in ("trial", "seed"))
    test = (
        "; only the winner met the test scenes" if any(one.split == "test" for one in findings.scenes.values()) else ""
    )
    if len(trials) == 1:
        return f"The model was trained {_counted(len(repeats), 'time')}{test}."
    each = f", each trained {_counted(len(repeats), 'time')}," if len(repeats) > 1 else ""
    return f"{len(trials)} trials{each} were compared by {findings.metric} on validation scenes{test}."
