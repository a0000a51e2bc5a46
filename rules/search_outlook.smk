# What a search has yet to bring, for estimates, and whom it has left behind, for what is watched.
from itertools import cycle, islice

from swath.search.rungs import number_promoted

END = len(RUNGS) + 1  # the number of the last rung, where trainings end


def trainings_to(number, runs):
    """The trainings that bring trials from a rung to the next; at the end those of all repeats."""
    begun = str(RUNGS[number - 2] if number > 1 else 0)
    if number < END:
        epochs = str(RUNGS[number - 1])
        return [("train_rung", {"key": run.models, "epochs": epochs, "begun": begun}) for run in runs]
    return [
        ("train", {"key": run.models, "begun": begun if repeat == 0 else "0"})
        for run in runs
        for repeat in range(REPEATS)
    ]


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
    return jobs + [job for run in runs for _ in range(REPEATS) for job in jobs_of_model(run)]


def is_proposed(round):
    return not SWEEP.search or round <= len(PLAN.proposed)


def jobs_of_round(round):
    """The jobs that decisions will bring in a round: of any trials, as many; none once all is decided."""
    known = list(runs_of_round(round, waits=False).values())
    if not is_proposed(round):
        return jobs_to_end(1, [*known, *islice(cycle(PLAN.runs), SWEEP.search.per_round)])
    for number in range(2, END + 1):
        at = list(trials_at(round, number, waits=False).values())
        if not at:
            return jobs_to_end(number, known[: number_promoted(len(known), SWEEP.halving.factor)])
        known = at
    return []


def jobs_of_search():
    """The jobs that decisions will bring, by their rules."""
    order = ("train_rung", "train", "predict", "eval", "bundle")
    jobs = [job for round in ROUNDS for job in jobs_of_round(round)]
    return sorted(jobs, key=lambda job: order.index(job[0]))


def jobs_known_later():
    return {"rung" if RUNGS else "propose": jobs_of_search(), "select": jobs_of_winner()}


def left_out():
    """Name of a run that was stopped early, by a decision → what it says of its epochs."""
    found = {}
    for round in ROUNDS:
        for number in range(1, END):
            gone_on = trials_at(round, number + 1, waits=False)
            at = trials_at(round, number, waits=False).items() if gone_on else ()
            found |= {run.name: metrics_at(run, number) for name, run in at if name not in gone_on}
    return found
