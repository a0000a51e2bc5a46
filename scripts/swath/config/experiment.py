"""The whole config file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from pydantic import model_validator

from swath.config.accuracy import Accuracy
from swath.config.apply import Apply
from swath.config.base import FileSafeName, Section, mistake
from swath.config.budget import Budget
from swath.config.checks import Checks
from swath.config.chips import Chips
from swath.config.classes import Classes
from swath.config.evaluate import Evaluate
from swath.config.imagery import Imagery
from swath.config.labels import Labels
from swath.config.library_names import EXTERNAL
from swath.config.model import Model
from swath.config.predict import Predict
from swath.config.scenes import Scenes
from swath.config.sweep import Sweep
from swath.config.tasks import (
    BELONGS_TO,
    LOSSES,
    METRICS,
    METRICS_BY_CLASS,
    MONITORS,
    MONITORS_BY_CLASS,
    NETWORKS,
    SEGMENTATION,
    Task,
    with_task_defaults,
)
from swath.config.train import Train, loss_weights
from swath.errors import did_you_mean

DEEPEST = 5
"""How often an encoder halves its input, at most."""
RESNETS = ("resnet", "resnext", "timm-skres")
"""How the names of segmentation-models-pytorch's ResNets begin, without `se_`."""
NEEDS_DIVISIBLE_WINDOWS = ("unet", "unetplusplus", "manet", "linknet")


def divisor_of_windows(architecture: str, depth: int) -> int:
    """Return what the sides of windows must be divisible by.

    Args:
        architecture: Of the network.
        depth: How often its encoder halves its input; what is deeper than encoders are, the preflight tells.
    """
    return int(2 ** min(depth, DEEPEST)) if architecture in NEEDS_DIVISIBLE_WINDOWS else 1


class Experiment(Section):
    """An experiment: everything its results depend on."""

    experiment: FileSafeName
    """The experiment's name; its results appear in `results/experiments/<name>/`."""

    task: Task = "semantic_segmentation"
    """What the model learns: `semantic_segmentation` (a class for every pixel), `object_detection` (boxes around
    things) or `chip_classification` (a class for every cell of a grid)."""

    classes: Classes
    """Class → colour (a name or `#rrggbb`). The null class, for pixels without label or data, is added by itself."""

    scenes: Scenes
    imagery: Imagery = Imagery()
    labels: Labels
    chips: Chips = Chips()
    model: Model = Model()
    train: Train = Train()
    predict: Predict = Predict()
    evaluate: Evaluate = Evaluate()
    sweep: Sweep = Sweep()
    checks: Checks = Checks()
    budget: Budget = Budget()

    apply: Apply | None = None
    """A map of new imagery, which `snakemake apply` makes."""

    accuracy: Accuracy | None = None
    """How right a map is, and how much there is of each class: `snakemake accuracy`, from reference points, which
    `snakemake sample` draws."""

    @model_validator(mode="before")
    @classmethod
    def _fit_the_task(cls, config: Any) -> Any:
        return with_task_defaults(config) if isinstance(config, dict) else config

    @model_validator(mode="after")
    def _settings_belong_to_the_task(self) -> Self:
        for setting, tasks in BELONGS_TO.items():
            section, key = setting.split(".")
            if self.task not in tasks and key in getattr(self, section).model_fields_set:
                expected = f"nothing: it is not for {self.task}, only for {' and '.join(tasks)}"
                raise mistake("not_for_task", expected, "leave it out", field=(section, key))
        network = self.model.architecture
        task = NETWORKS.get(network, SEGMENTATION)
        if task != self.task and network != EXTERNAL:
            expected = f"a network for {self.task}; {network} is for {task}"
            raise mistake("not_for_task", expected, field=("model", "architecture"), found=repr(network))
        for loss in loss_weights(self.train.loss) if self.task in LOSSES else ():
            if loss not in LOSSES[self.task]:
                expected = f"{' or '.join(LOSSES[self.task])}, for {self.task}"
                raise mistake("not_for_task", expected, field=("train", "loss"))
        return self

    @model_validator(mode="after")
    def _classes_are_known(self) -> Self:
        used: dict[tuple[str, ...], str] = {}
        used |= {("labels", "mapping", value): name for value, name in self.labels.mapping.items() if name}
        used |= {("labels", "colours", colour): name for colour, name in self.labels.colours.items() if name}
        if isinstance(self.train.class_weights, dict):
            used |= {("train", "class_weights", name): name for name in self.train.class_weights}
        if self.labels.default_class:
            used["labels", "default_class"] = self.labels.default_class
        if self.labels.unlabelled != "ignore":
            used["labels", "unlabelled"] = self.labels.unlabelled
        selected, monitored = ("sweep", "select", "metric"), ("train", "monitor")
        metric, monitor = self.sweep.select.metric, self.train.monitor
        used |= class_of_metric(metric, selected, METRICS[self.task], METRICS_BY_CLASS[self.task])
        used |= class_of_metric(monitor, monitored, MONITORS[self.task], MONITORS_BY_CLASS[self.task])
        for field, name in used.items():
            if name not in self.classes:
                cure = did_you_mean(name, self.classes)
                raise mistake("unknown_class", "one of `classes`", cure, field=field, found=f"unknown class {name!r}")
        return self

    @model_validator(mode="after")
    def _only_what_is_learned_is_frozen(self) -> Self:
        for name in ("freeze_encoder", "freeze_stages"):
            if getattr(self.train, name) and self.model.weights == "none":
                expected = "0 with `model.weights: none`, whose encoder knows nothing yet"
                raise mistake("settings_conflict", expected, field=("train", name))
        return self

    @model_validator(mode="after")
    def _rungs_lie_below_the_last_epoch(self) -> Self:
        halving = self.sweep.halving
        if halving and halving.first * halving.factor > self.train.epochs:
            most = self.train.epochs // halving.factor
            expected = f"a `factor`-th of `train.epochs` ({self.train.epochs}) at most: otherwise nothing is saved"
            cure = f"try {most}" if most else "train for more epochs, or leave `halving` out"
            raise mistake("settings_conflict", expected, cure, field=("sweep", "halving", "first"))
        return self

    @model_validator(mode="after")
    def _encoders_have_stages_and_layers(self) -> Self:
        if self.model.architecture == EXTERNAL:
            return self  # known when it is built
        of_timm = self.model.encoder.startswith("tu-")
        if self.train.freeze_stages and not (of_timm or self.model.encoder.removeprefix("se_").startswith(RESNETS)):
            expected = "0 but with a ResNet, or with an encoder of timm (`tu-…`), whose stages are known"
            raise mistake("settings_conflict", expected, field=("train", "freeze_stages"))
        if self.train.layer_decay != 1 and not (of_timm and self.model.architecture in ("dpt", "classifier")):
            expected = "1 but with an encoder of timm (`tu-…`) in `architecture: dpt`, or for chip classification"
            cure = "take `train.encoder_rate` instead"
            raise mistake("settings_conflict", expected, cure, field=("train", "layer_decay"))
        return self

    @model_validator(mode="after")
    def _windows_fit_the_network(self) -> Self:
        if self.model.architecture in NEEDS_DIVISIBLE_WINDOWS:
            depth = self.model.arguments.get("encoder_depth", DEEPEST)
            if not isinstance(depth, int) or isinstance(depth, bool) or depth < 1:
                field = ("model", "arguments", "encoder_depth")
                raise mistake("wrong_value", "a whole number above 0", field=field, found=repr(depth))
            factor = divisor_of_windows(self.model.architecture, depth)
            window = self.predict.chip_size or self.chips.size
            sizes = {("chips", "size"): self.chips.size, ("predict", "chip_size"): window}
            for place, size in sizes.items():
                if size % factor:
                    nearest = max(round(size / factor), 1) * factor
                    expected = f"a size divisible by {factor}, for {self.model.architecture}"
                    raise mistake("window_not_divisible", expected, f"try {nearest}", field=place, found=str(size))
        return self

    @model_validator(mode="after")
    def _windows_meet(self) -> Self:
        size = self.predict.chip_size or self.chips.size
        if self.predict.stride and self.predict.stride > size:
            expected = f"no more than the window ({size}): pixels would be left out"
            raise mistake("windows_apart", expected, field=("predict", "stride"))
        stride, crop = self.predict.stride or max(size // 2, 1), self.predict.crop
        if crop != "auto" and self.task == SEGMENTATION and size - 2 * crop < stride:
            expected = f"no more than {(size - stride) // 2}, half of what windows overlap: pixels would be left out"
            raise mistake("windows_apart", expected, field=("predict", "crop"))
        return self

    @model_validator(mode="after")
    def _scores_are_averaged(self) -> Self:
        predict = self.predict
        asked = {"scores": predict.scores, "uncertainty": predict.uncertainty != "none"}
        for setting in (name for name, is_asked in asked.items() if is_asked and not predict.smooth):
            expected = "none without `smooth`: windows vote for a class then, and their scores are lost"
            raise mistake("settings_conflict", expected, "set `predict.smooth: true`", field=("predict", setting))
        return self


def class_of_metric(
    metric: str, field: tuple[str, ...], known: Sequence[str], by_class: Sequence[str]
) -> dict[tuple[str, ...], str]:
    """Say which class a metric such as `f1.water` is of: the setting → its name; nothing for one of all classes.

    Args:
        metric: The metric.
        field: The setting that names it.
        known: The metrics of all classes that can be named.
        by_class: Those of a class.

    Raises:
        PydanticCustomError: If there is no such metric.
    """
    kind, _, name = metric.partition(".")
    if name and kind in by_class:
        return {field: name}
    if metric not in known:
        names = [*known, *(f"{kind}.<class>" for kind in by_class)]
        expected = f"{', '.join(names[:-1])} or {names[-1]}"
        raise mistake("unknown_metric", expected, did_you_mean(metric, names), field=field, found=repr(metric))
    return {}
