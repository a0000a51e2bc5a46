# What a search has yet to bring, for estimates and budgets, and whom it has left behind, for what is watched.
from itertools import cycle, islice

from swath.search.rungs import number_promoted, standings_of
from swath.smk.costs import forks_here, room_left

END = len(RUNGS) + 1  # the number of the last rung, where trainings end
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
    """The trainings that bring trials from a rung to the next; at the end those of all repeats."""
    begun = str(RUNGS[number - 2] if number > 1 else 0)
    if number < END:
        epochs = str(RUNGS[number - 1])
        return [("train_rung", {"key": run.models, "epochs": epochs, "begun": begun}) for run in runs]
    return [
        ("train", {"key": repeat.models, "begun": begun if repeat is run else "0"})
        for run in runs
        for repeat in repeats_of(run)
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
    return jobs + [job for run in runs for repeat in repeats_of(run) for job in jobs_of_model(repeat)]


def is_proposed(round):
    return not SWEEP.search or round <= len(PLAN.proposed)


def trials_of_any(number):
    """Runs that stand for trials which nobody knows yet."""
    first = {run.trial.name: run for run in reversed(PLAN.runs)}
    return list(islice(cycle(reversed(first.values())), number))


def jobs_of_round(round):
    """The jobs that decisions will bring in a round: of any trials, as many; none once all is decided."""
    known = list(runs_of_round(round, waits=False).values())
    if is_over_before(round):
        return []
    if not is_proposed(round):
        over = ended_before(Path(proposals_file(NAME, round)), made_for(SWEEP.search))
        return [] if over else jobs_to_end(1, known + trials_of_any(SWEEP.search.per_round))
    for number in range(2, END + 1):
        if promoted(Path(table_of_rung(round, number - 1))) is None:
            return jobs_to_end(number, known[: number_promoted(len(known), SWEEP.halving.factor)])
        known = list(trials_at(round, number, waits=False).values())
    return []


def by_rule(jobs):
    return [job for rule in RULES for job in jobs if job[0] == rule]


def is_begun():
    """Whether a rung or a later round is decided."""
    return any(Path(file).is_file() for file in (*TABLES_OF_RUNGS, *PROPOSALS[1:]))


def jobs_of_search():
    """The jobs that decisions will bring, by their rules."""
    return by_rule([job for round in ROUNDS for job in jobs_of_round(round)])


def least_of_search():
    """What of them is left however small the budget is: with the first round a trial that gets to the end."""
    if any(trials_at(round, END, waits=False) for round in ROUNDS if is_proposed(round)):
        return []
    known = list(runs_of_round(1, waits=False).values())
    if not is_proposed(1):
        known += trials_of_any(SWEEP.search.per_round)
        if not RUNGS:
            return by_rule(jobs_to_end(1, known))
    decided = [number for number in range(2, END) if trials_at(1, number, waits=False)]
    begun = trainings_to(1, known) if not is_proposed(1) else []
    return by_rule(begun + jobs_to_end(max(decided, default=1) + 1, known[:1]))


def jobs_known_later(least=False):
    jobs = least_of_search() if least else jobs_of_search()
    return {"rung" if RUNGS else "propose": jobs, "select": jobs_of_winner()}


# --- what a budget leaves room for ----------------------------------------------------------------


def not_made(jobs):
    """Those of some jobs whose results are not there."""
    return [
        (rule, wildcards) for rule, wildcards in jobs if not Path(RESULTS, MADE[rule].format(**wildcards)).is_file()
    ]


def jobs_left(round):
    """What is yet to be done of trials that earlier rounds have brought to the end, and of the winner."""
    runs = [run for run in final_runs(waits=False) if run.trial.round < round]
    return (
        not_made(job for run in runs for job in [("train", {"key": run.models}), *jobs_of_model(run)])
        + jobs_of_winner()
    )


def room_for_round(wildcards, input):
    """Whether the budget leaves room for a round; the first one has been asked for when the run began."""
    round = int(wildcards.round)
    if round == 1:
        return None

    def jobs_of(number):
        return jobs_to_end(1, trials_of_any(SWEEP.search.per_round)) if number else []

    return room_left(CONTEXT.costs, forks_here(workflow), jobs_left(round), jobs_of, 1)


def room_for_trials(wildcards, input):
    """For how many of those that are to go on from a rung the budget leaves room."""
    round, number = parts_of_rung(wildcards)
    runs = trials_at(round, number, waits=False)
    histories = {name: Path(metrics_at(run, number)) for name, run in runs.items()}
    if not all(history.is_file() for history in histories.values()):
        return None
    best = [runs[standing.trial] for standing in standings_of(histories, metric_of_rungs(PLAN.experiment))]
    most = number_promoted(len(best), SWEEP.halving.factor)

    def jobs_of(count):
        return not_made(jobs_to_end(number + 1, best[:count]))

    return room_left(CONTEXT.costs, forks_here(workflow), jobs_left(round), jobs_of, most)


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
    return found
