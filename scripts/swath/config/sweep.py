"""`sweep`: the trials of an experiment."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from swath.config.base import Section, mistake
from swath.config.conditions import check_conditions
from swath.config.ranges import Settings


class RandomSearch(Section):
    """Trials drawn at random."""

    samples: PositiveInt
    """How many trials."""

    seed: NonNegativeInt = 0
    """The same seed draws the same trials."""

    settings: Settings
    """Dotted setting → where its values are drawn from; a list of such ranges, where they have conditions (`when`)."""

    @model_validator(mode="after")
    def _conditions_can_hold(self) -> Self:
        check_conditions(self.settings)
        return self


class Search(Section):
    """Trials that are proposed round by round, each from what the rounds before have found."""

    rounds: PositiveInt
    """How many rounds; a round waits for the one before."""

    per_round: PositiveInt
    """How many trials a round has: as many as can be trained at once."""

    sampler: Literal["tpe", "qmc", "random"] = "tpe"
    """What proposes them: `tpe` looks where the best have been (a tree-structured Parzen estimator; its first round is
    `qmc`), `qmc` spreads them evenly (Sobol's sequence), `random` draws them."""

    seed: NonNegativeInt = 0
    """The same seed and the same results give the same proposals."""

    settings: Settings
    """Dotted setting → where its values are looked for; a list of such ranges, where they have conditions (`when`)."""

    @model_validator(mode="after")
    def _conditions_can_hold(self) -> Self:
        check_conditions(self.settings)
        return self


class Halving(Section):
    """Successive halving: all trials are trained for a few epochs, the best of them go on, and so forth."""

    factor: Annotated[int, Field(ge=2)] = 3
    """One trial in so many goes on; and those that do are trained for so many times the epochs."""

    first: PositiveInt
    """Epochs of the first rung. The last one is `train.epochs`, for which schedules are laid out from the start: a
    model that gets there is the one that an uninterrupted training makes."""


class Repeats(Section):
    """Repeats with `halving`: of the trials that reach the last rung; of a `search`, of the best of these."""

    final: PositiveInt
    """How often each of them is trained, with seeds counting up from `train.seed`."""


class Limits(Section):
    """What a trial may need. One that needs more is never the winner, and a search proposes others."""

    parameters: PositiveInt | None = None
    """Most numbers that a network may learn. A search proposes no larger one, and none goes on from a rung."""

    model_mb: PositiveFloat | None = None
    """Most megabytes that a model may have, in 32-bit numbers; its bundle is a little smaller. As with `parameters`."""

    gpu_hours: PositiveFloat | None = None
    """Most hours × GPUs that a training may take, in the mean of a trial's folds and repeats; known once it is done."""

    @property
    def are_set(self) -> bool:
        """Whether there are any."""
        return self.are_of_networks or self.gpu_hours is not None

    @property
    def are_of_networks(self) -> bool:
        """Whether there are any that a network's size decides, before it is trained."""
        return self.parameters is not None or self.model_mb is not None


class Select(Section):
    """How the winner is found."""

    metric: str = "macro_f1"
    """The validation metric that decides: macro_f1, accuracy, balanced_accuracy, kappa, mean_iou, or `f1.`, `iou.`,
    `precision.` or `recall.` and a class name; for object detection mAP50 (its default), mAP, macro_f1, or `f1.`,
    `precision.` or `recall.` and a class name. The largest wins."""


class Sweep(Section):
    """The trials: the grid's points, the listed ones and the random ones, each with `repeats` seeds."""

    grid: dict[str, Annotated[list[Any], Field(min_length=1)]] = {}
    """Dotted setting → values; every combination is a trial."""

    trials: list[Annotated[dict[str, Any], Field(min_length=1)]] = []
    """Trials one by one, each with its dotted settings."""

    random: RandomSearch | None = None
    """Trials drawn at random from ranges."""

    search: Search | None = None
    """Trials proposed round by round. What else is listed above, or the config's own values, is in the first round."""

    halving: Halving | None = None
    """Stop what does badly early on: successive halving."""

    repeats: PositiveInt | Repeats = 1
    """How often each trial is trained, with seeds counting up from `train.seed`; with `halving`, `{final: 3}` repeats
    those that reach the last rung, and of a `search` the best of these."""

    limits: Limits = Limits()
    """What a trial may need."""

    select: Select = Select()
    """How the winner is found."""

    @property
    def most_repeats(self) -> int:
        """How often a trial is trained that is not stopped early."""
        return self.repeats.final if isinstance(self.repeats, Repeats) else self.repeats

    @property
    def swept(self) -> set[str]:
        """The dotted settings that differ between trials."""
        drawn = {*(self.random.settings if self.random else ()), *(self.search.settings if self.search else ())}
        return {*self.grid, *drawn, *(setting for trial in self.trials for setting in trial)}

    @model_validator(mode="after")
    def _rungs_are_the_same_for_all(self) -> Self:
        if self.halving and "train.epochs" in self.swept:
            expected = "trials of as many epochs: `train.epochs` cannot be swept with `halving`"
            raise mistake("settings_conflict", expected, "leave one of them out", field="halving")
        return self

    @model_validator(mode="after")
    def _finalists_alone_are_repeated(self) -> Self:
        final = isinstance(self.repeats, Repeats)
        if self.halving and not final and self.repeats != 1:
            cure = f"write `repeats: {{final: {self.repeats}}}`"
            expected = "1, or `final` with `halving`: trials that are stopped early are not repeated"
            raise mistake("settings_conflict", expected, cure, field="repeats")
        if final and not self.halving:
            raise mistake("settings_conflict", "a number without `halving`", field="repeats")
        return self
