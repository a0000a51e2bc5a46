"""What is still to be done, and what it will take: from earlier jobs, from a probe, or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import mean

from swath.cost.measured import measured_prices
from swath.cost.outlook import Later, Outlook
from swath.cost.prices import NEEDS_GPU, NOTHING, TRAININGS, TYPICAL, Price, Source, Time
from swath.cost.probing import Probed, probe_runs
from swath.cost.schedule import Place, PlannedJob, elapsed
from swath.plan.keys import Run

ORDER = (
    *("havel", "havel_chips", "neon_trees", "splits", "encoder_weights", "scenes", "analyze", "chip", "propose"),
    *("train_rung", "rung", "train", "predict", "eval", "bundle", "leaderboard", "select", "summary", "final_report"),
)
"""Rules as they follow each other; others come behind."""


@dataclass
class Line:
    """What the jobs of a rule will take together.

    Attributes:
        rule: The rule.
        jobs: How many there are.
        time: Added up.
        gpu_hours: Hours × GPUs.
        bytes: What they publish.
        sources: From where that is known.
        is_most: Whether it can be less.
    """

    rule: str
    jobs: int = 0
    time: Time = NOTHING
    gpu_hours: float = 0.0
    bytes: float = 0.0
    sources: set[Source] = field(default_factory=set)
    is_most: bool = False


@dataclass(frozen=True)
class Estimate:
    """What is still to be done.

    Attributes:
        lines: Rule → what its jobs will take.
        elapsed: Seconds until all is done.
        place: Where.
        notes: What has to be said of it.
        gpu_unknown: Whether GPU hours are not known, since the probe has run on a machine without a GPU.
    """

    lines: Mapping[str, Line]
    elapsed: float
    place: Place
    notes: Sequence[str] = ()
    gpu_unknown: bool = False

    @property
    def jobs(self) -> int:
        """How many there are."""
        return sum(line.jobs for line in self.lines.values())

    @property
    def cpu_hours(self) -> float:
        """All jobs' together."""
        return sum(line.time.cpu for line in self.lines.values()) / 3600

    @property
    def gpu_hours(self) -> float:
        """All jobs' together."""
        return sum(line.gpu_hours for line in self.lines.values())

    @property
    def bytes(self) -> float:
        """Of all that is published."""
        return sum(line.bytes for line in self.lines.values())

    @property
    def unknown(self) -> list[str]:
        """Rules of which nothing is known."""
        return [line.rule for line in self.lines.values() if "unknown" in line.sources]


def estimate(jobs: Sequence[PlannedJob], outlook: Outlook, place: Place, probes: bool) -> Estimate:
    """Say what jobs will take, with those that are not known yet.

    Args:
        jobs: What is to be done.
        outlook: The experiment.
        place: Where the jobs run.
        probes: Whether to try out what no earlier job tells.
    """
    return estimates(jobs, outlook, place, probes)[0]


def estimates(jobs: Sequence[PlannedJob], outlook: Outlook, place: Place, probes: bool) -> tuple[Estimate, Estimate]:
    """Say what jobs will take with all that a search can bring, and with the least.

    Args:
        jobs, outlook, place, probes: As of :func:`estimate`.
    """
    outlook.look()
    all_jobs = _with_later(jobs, outlook.later())
    rules = list(dict.fromkeys(job.rule for job in all_jobs))
    prices = dict(measured_prices(outlook.results, outlook.logs, rules))
    probed = Probed()
    runs = _unknown_runs(all_jobs, outlook, prices, place.has_gpus) if probes else []
    if runs:
        probed = probe_runs(outlook, runs, set(prices), place.has_gpus)
    prices = {**{rule: price.on_machine(probed.imports) for rule, price in TYPICAL.items()}, **probed.prices, **prices}
    prices = {kind: price.forked() for kind, price in prices.items()} if place.forks else prices
    foreign = bool(probed.prices) and place.has_gpus and not probed.on_gpu

    def estimate_of(some: Sequence[PlannedJob]) -> Estimate:
        lines, seconds = _lines(some, outlook, prices, place)
        return Estimate(
            lines,
            elapsed(some, seconds, place),
            place,
            [*probed.notes, *_notes(some, outlook, probed, foreign)],
            foreign and any(rule in lines and "probed" in lines[rule].sources for rule in NEEDS_GPU),
        )

    return estimate_of(all_jobs), estimate_of(_with_later(jobs, outlook.later(least=True)))


def _with_later(jobs: Sequence[PlannedJob], later: Later) -> list[PlannedJob]:
    """Add the jobs that are known once a checkpoint has run: what waits for it waits for them, too."""
    known = list(jobs)
    for rules, unknown in later.items():
        checkpoint = next((job for rule in rules for job in reversed(known) if job.rule == rule), None)
        if checkpoint is not None:
            known = _after(known, checkpoint, unknown)
    return known


def _after(
    jobs: Sequence[PlannedJob], checkpoint: PlannedJob, unknown: Sequence[tuple[str, dict[str, str]]]
) -> list[PlannedJob]:
    """Add jobs behind a checkpoint, rule by rule."""
    later: list[PlannedJob] = []
    for number, (rule, wildcards) in enumerate(unknown, max(job.number for job in jobs) + 1):
        after = [checkpoint.number, *(job.number for job in later if ORDER.index(job.rule) < ORDER.index(rule))]
        later.append(PlannedJob(number, rule, wildcards, gpus=int(rule in NEEDS_GPU), after=after))
    numbers = [job.number for job in later]
    waiting = [replace(job, after=[*job.after, *numbers]) if checkpoint.number in job.after else job for job in jobs]
    return [*waiting, *later]


def _unknown_runs(
    jobs: Sequence[PlannedJob], outlook: Outlook, prices: Mapping[str, Price], has_gpus: bool
) -> list[Run]:
    """List the runs whose trainings or predictions cost nobody knows what, or whose chips nobody has counted."""
    found = []
    for job in jobs:
        if job.rule in NEEDS_GPU:
            stage = "models" if job.rule in TRAININGS else "predictions"
            run = outlook.plan.run_with(stage, job.wildcards["key"])
            uncounted = job.rule in TRAININGS and not outlook.is_cut(run)
            if outlook.kind(job, has_gpus) not in prices or uncounted:
                found.append(run)
    return list({run.name: run for run in found}.values())


def _lines(
    jobs: Sequence[PlannedJob], outlook: Outlook, prices: Mapping[str, Price], place: Place
) -> tuple[dict[str, Line], dict[int, float]]:
    """Add up what jobs of each rule take; the second value is what each job takes, in seconds."""
    lines: dict[str, Line] = {}
    seconds: dict[int, float] = {}
    for job in sorted(jobs, key=lambda job: ORDER.index(job.rule) if job.rule in ORDER else len(ORDER)):
        line = lines.setdefault(job.rule, Line(job.rule))
        line.jobs += 1
        seconds[job.number] = 0.0
        kind = outlook.kind(job, place.has_gpus)
        price = prices.get(kind) or _like_others(job.rule, outlook, prices, place)
        if price is None:
            line.sources.add("unknown")
            continue
        work = outlook.work(job)
        taken = price.time_of(work)
        seconds[job.number] = taken.seconds
        line.time = line.time.plus(taken)
        line.bytes += _model_bytes(job, outlook, prices, place) or price.bytes_of(work)
        line.sources.add(price.source)
        line.is_most |= work.is_most
        if place.has_gpus:
            line.gpu_hours += job.gpus * taken.seconds / 3600
    return lines, seconds


def _model_bytes(job: PlannedJob, outlook: Outlook, prices: Mapping[str, Price], place: Place) -> float:
    """Say how large a model's bundle is, which is as large as the model; 0 of other jobs, and where it is not known."""
    if job.rule != "bundle":
        return 0.0
    price = prices.get(outlook.kind_of_run(outlook.plan.run_with("bundles", job.wildcards["key"]), place.has_gpus))
    return price.bytes if price else 0.0


def _like_others(rule: str, outlook: Outlook, prices: Mapping[str, Price], place: Place) -> Price | None:
    """Take the mean of what was probed of other trainings or predictions: there can be too many kinds to probe all."""
    if rule not in NEEDS_GPU:
        return None
    kinds = {
        outlook.kind_of_run(run, place.has_gpus)
        if rule in TRAININGS
        else outlook.kind_of_prediction(run, place.has_gpus)
        for run in outlook.plan.runs
    }
    known = [prices[kind] for kind in kinds if kind in prices and prices[kind].source == "probed"]
    if not known:
        return None
    return replace(
        known[0],
        start=_mean(one.start for one in known),
        unit=_mean(one.unit for one in known),
        validation=_mean(one.validation for one in known),
        epoch=_mean(one.epoch for one in known),
    )


def _mean(times: Iterable[Time]) -> Time:
    seconds, cpu = zip(*times, strict=True)
    return Time(mean(seconds), mean(cpu))


def _notes(jobs: Sequence[PlannedJob], outlook: Outlook, probed: Probed, foreign: bool) -> list[str]:
    notes = []
    if unknown := outlook.unknown:
        notes.append(
            f"the sizes of {len(unknown)} of {len(outlook.plan.scenes)} scenes are not known yet: "
            + ("taken for the mean of the others" if outlook.sizes else "what depends on them counts as nothing")
        )
    if foreign:
        notes.append(
            "probed on this machine, which has no GPU, for jobs that get one: they will be faster, by how much is not "
            "known; GPU hours are not told"
        )
    if any(job.rule in ("apply_part", "assemble") for job in jobs):
        notes.append("the map of new images is not counted")
    return notes
