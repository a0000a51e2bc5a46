# What a search has yet to bring, for estimates and budgets, and whom it has left behind, for what is watched.
from itertools import cycle, islice

from swath.search.rungs import GOES_ON, decisions_on, number_promoted

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


def not_made(jobs):
    """Those of some jobs whose results are not there."""
    return [
        (rule, wildcards) for rule, wildcards in jobs if not Path(RESULTS, MADE[rule].format(**wildcards)).is_file()
    ]


def by_rule(jobs):
    return [job for rule in RULES for job in jobs if job[0] == rule]


def is_begun():
    """Whether a rung or a later round is decided."""
    return any(Path(file).is_file() for file in (*TABLES_OF_RUNGS, *PROPOSALS[1:]))


def jobs_of_search():
    """The jobs that decisions will bring, by their rules; of models that are there already, what is not made of them."""
    jobs = [job for round in ROUNDS for job in jobs_of_round(round)]
    over = [round for round in ROUNDS if undecided(round)[0] > END]
    is_over = len(over) == len(ROUNDS)
    if HAS_FINAL and not (is_over and final_is_decided()):
        ends = [run for round in ROUNDS for run in to_end_of(*reversed(undecided(round)))]
        jobs += not_made(jobs_of_final(ends))
    elif SWEEP.search and not is_over:
        ended = [run for round in over for run in trials_at(round, END, waits=False).values()]
        jobs += not_made(jobs_of_repeats(ended))
    return by_rule(jobs)


def least_of_search():
    """What of them is left however small the budget is: with the first round a trial that gets to the end."""
    proposed = [round for round in ROUNDS if is_proposed(round)]
    if ended := [run for round in proposed for run in trials_at(round, END, waits=False).values()]:
        return by_rule(not_made(jobs_of_final(ended[:1]))) if HAS_FINAL and not final_is_decided() else []
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
    """The first of the rules of which a job is planned → the jobs that are known once it has run."""
    jobs = least_of_search() if least else jobs_of_search()
    return {("rung", "propose"): jobs, ("select",): jobs_of_winner()}


def stopped_at(table, runs, number):
    """Those of some trials that do not go on; one that came later is not in the table."""
    decisions = decisions_on(Path(table))
    stopped = {name: run for name, run in runs.items() if decisions.get(name, GOES_ON) != GOES_ON}
    return {run.name: metrics_at(run, number) for run in stopped.values()}


def left_out():
    """Name of a run that was stopped early, by a decision → what it says of its epochs."""
    found = {}
    for round in ROUNDS:
        for number in range(1, END):
            if promoted(Path(table_of_rung(round, number))) is None:
                break
            found |= stopped_at(table_of_rung(round, number), trials_at(round, number, waits=False), number)
    return {**found, **stopped_at(TABLE_OF_FINAL, trials_at_end(waits=False), END)} if HAS_FINAL else found
