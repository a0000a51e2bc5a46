"""What a report has to know of a run: its name, its swept values, where its results lie. Read at every parse."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import JsonValue


@dataclass(frozen=True)
class FinishedRun:
    """A trial with one seed, in one fold where scenes take turns.

    Attributes:
        name: The trial's name, the fold if there is one, the seed.
        trial: The trial's name.
        values: Dotted setting → value, as swept.
        fold: The fold that validates; None without folds.
        seed: The training seed.
        model, bundle, maps: Folders of results.
        evals: Split (validation, test) → folder of its metrics, where it is evaluated.
        log: What its training has to say.
        gpus: How many its training uses, where there are some.
    """

    name: str
    trial: str
    values: dict[str, JsonValue]
    fold: int | None
    seed: int
    model: str
    bundle: str
    maps: str
    evals: dict[str, str]
    log: str
    gpus: int = 1


@dataclass(frozen=True)
class Winner:
    """What the validation metric has decided.

    Attributes:
        trial: The trial with the best mean.
        run: Of its folds and repeats, the run with the best score.
        metric: The metric that decided.
        mean, std: Over the trial's folds and repeats; a single one has no standard deviation.
        score: The run's.
    """

    trial: str
    run: str
    metric: str
    mean: float
    std: float | None
    score: float
