# What a search has yet to bring, for estimates and budgets, and whom it has left behind, for what is watched.
from itertools import cycle, islice

from swath.search.rungs import number_promoted

MADE = {
    "train_rung": "models/{key}/rung-{epochs}.csv",
    "train": "models/{key}/model-bundle.zip",
    "predict": "predictions/{key}/{shard}.json",
    "eval": "evals/{key}/{split}.json",
    "bundle": "bundles/{key}/model-bundle.zip",
}
RULES = list(MADE)


def repeats_of(run):
    """The runs of a trial that gets to the end."""
    return [other for other in PLAN.runs if other.trial.name == run.trial.name]


def trainings_to(number, runs):
    """The trainings that bring trials from a rung to the next."""
    begun = str(RUNGS[number - 2] if number > 1 else 0)
    if number < END:
        epochs = str(RUNGS[number - 1])
        return [("train_rung", {"key": run.models, "epochs": epochs, "begun": begun}) for run in runs]
    return [("train", {"key": run.models, "begun": begun}) for run in runs]


def jobs_of_repeats(runs):
    """What is made of trials that are trained to their end: their repeats, and what comes of all these models."""
    models = [repeat for run in runs for repeat in repeats_of(run)]
    repeated = [("train", {"key": repeat.models, "begun": "0"}) for repeat in models if repeat not in runs]
    return repeated + [job for repeat in models for job in jobs_of_model(repeat)]


def jobs_of_final(trials):
    """What is made of the best of those that are trained to their end, in all rounds."""
    return jobs_of_repeats(trials[: number_promoted(len(trials), SWEEP.halving.factor)])


def jobs_of_model(run):
    """What is made of a model that is trained to its end, beside the winner's test maps."""
    maps = [("predict", {"key": run.predictions, "shard": Path(file).stem}) for file in maps_of(run, "validation")]
    evaluated = ("eval", {"key": run.evals["validation"], "split": "validation"})
    return [*maps, evaluated, ("bundle", {"key": run.bundles})]


def jobs_to_end(number, runs):
    """The jobs of trials that get to a rung, the best first, and on to the end, of which ever fewer do."""
    jobs = trainings_to(number, runs)
    if number < END:
        return jobs + jobs_to_end(number + 1, runs[: number_promoted(len(runs), SWEEP.halving.factor)])
    return jobs if HAS_FINAL else jobs + jobs_of_repeats(runs)


def to_end_of(runs, number=1):
    """Those of the trials at a rung that get to the end, the best first."""
    for _ in range(number, END):
        runs = runs[: number_promoted(len(runs), SWEEP.halving.factor)]
    return runs


def is_proposed(round):
    return not SWEEP.search or round <= len(PLAN.proposed)


def trials_of_any(number):
    """Runs that stand for trials which nobody knows yet."""
    first = {run.trial.name: run for run in reversed(PLAN.runs)}
    return list(islice(cycle(reversed(first.values())), number))


def undecided(round):
    """How far a round is decided: the first rung that is not, and trials that get to it, or as many of any."""
    known = list(runs_of_round(round, waits=False).values())
    if is_over_before(round):
        return END + 1, []
    if not is_proposed(round):
        over = ended_before(Path(proposals_file(NAME, round)), made_for(SWEEP.search))
        return (END + 1, []) if over else (1, known + trials_of_any(SWEEP.search.per_round))
    for number in range(2, END + 1):
        if promoted(Path(table_of_rung(round, number - 1))) is None:
            return number, known[: number_promoted(len(known), SWEEP.halving.factor)]
        known = list(trials_at(round, number, waits=False).values())
    return END + 1, known


def jobs_of_round(round):
    """The jobs that decisions will bring in a round: of any trials, as many; none once all is decided."""
    number, runs = undecided(round)
    return jobs_to_end(number, runs) if number <= END else []


def by_rule(jobs):
    return [job for rule in RULES for job in jobs if job[0] == rule]


def is_begun():
    """Whether a rung or a later round is decided."""
    return any(Path(file).is_file() for file in (*TABLES_OF_RUNGS, *PROPOSALS[1:]))


def jobs_of_search():
    """The jobs that decisions will bring, by their rules."""
    jobs = [job for round in ROUNDS for job in jobs_of_round(round)]
    if HAS_FINAL and promoted(Path(TABLE_OF_FINAL)) is None:
        jobs += jobs_of_final([run for round in ROUNDS for run in to_end_of(*reversed(undecided(round)))])
    return by_rule(jobs)


def least_of_search():
    """What of them is left however small the budget is: with the first round a trial that gets to the end."""
    if ended := list(trials_at_end(waits=False).values()):
        is_left = HAS_FINAL and promoted(Path(TABLE_OF_FINAL)) is None
        return by_rule(jobs_of_final(ended[:1])) if is_left else []
    known = list(runs_of_round(1, waits=False).values())
    if not is_proposed(1):
        known += trials_of_any(SWEEP.search.per_round)
        if not RUNGS:
            return by_rule(jobs_to_end(1, known))
    decided = [number for number in range(2, END) if trials_at(1, number, waits=False)]
    begun = trainings_to(1, known) if not is_proposed(1) else []
    final = jobs_of_final(known[:1]) if HAS_FINAL else []
    return by_rule(begun + jobs_to_end(max(decided, default=1) + 1, known[:1]) + final)


def jobs_known_later(least=False):
    jobs = least_of_search() if least else jobs_of_search()
    return {"rung" if RUNGS else "propose": jobs, "select": jobs_of_winner()}


def left_out():
    """Name of a run that was stopped early, by a decision → what it says of its epochs."""
    found = {}
    for round in ROUNDS:
        for number in range(1, END):
            if promoted(Path(table_of_rung(round, number))) is None:
                break
            gone_on = trials_at(round, number + 1, waits=False)
            at = trials_at(round, number, waits=False).items()
            found |= {run.name: metrics_at(run, number) for name, run in at if name not in gone_on}
    if HAS_FINAL and promoted(Path(TABLE_OF_FINAL)):
        on, at = finalists(waits=False), trials_at_end(waits=False).items()
        found |= {run.name: metrics_at(run, END) for name, run in at if name not in on}
    return found
