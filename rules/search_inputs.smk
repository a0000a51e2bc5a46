# Which runs there are: all of the sweep; with rungs, those of the trials that have got so far; with a search, those that
# have been proposed by now. `waits` says whether to ask for the decisions (an input's business: Snakemake makes them and
# asks again), or to go by what is there.
from swath.plan.proposed import made_for, proposals_file, proposals_of
from swath.search.room import ended_before, is_larger
from swath.search.rungs import cut_short, metric_of_rungs, promoted, rungs_of

SWEEP = PLAN.experiment.sweep
RUNGS = rungs_of(SWEEP.halving, PLAN.experiment.train.epochs)
ROUNDS = range(1, SWEEP.search.rounds + 1 if SWEEP.search else 2)


REPEATS = SWEEP.most_repeats * len(PLAN.folds)  # of a trial that gets to the end


def name_of_rung(round, number):
    """Rounds and rungs are counted from 1; without a search there is one round, which nobody names."""
    return f"{round}-{number}" if SWEEP.search else str(number)


def table_of_rung(round, number):
    """Where it is said who goes on from a rung."""
    return f"{EXPERIMENT}/rungs/{name_of_rung(round, number)}.csv"


TABLES_OF_RUNGS = [table_of_rung(round, number + 1) for round in ROUNDS for number in range(len(RUNGS))]
PROPOSALS = [proposals_file(NAME, round) for round in ROUNDS if SWEEP.search]


def ends_in(round):
    """The decisions of a round that the budget has cut short, as far as they are there: file → room that it left."""
    found = {}
    if SWEEP.search:
        proposals = proposals_file(NAME, round)
        found[proposals] = ended_before(Path(proposals), made_for(SWEEP.search))
    for number in range(len(RUNGS)):
        table = table_of_rung(round, number + 1)
        found[table] = cut_short(Path(table))
    return {file: room for file, room in found.items() if room}


def is_over_before(round):
    """Whether the budget has ended the search in an earlier round."""
    return any(ends_in(earlier) for earlier in range(1, round))


def decided_by_less():
    """Decisions that a budget has cut short which is larger now."""
    rooms = {file: room for round in ROUNDS for file, room in ends_in(round).items()}
    return [file for file, room in rooms.items() if is_larger(PLAN.experiment.budget, room.limits)]


def last_decision():
    """What is decided last, and in which file; then all runs are known."""
    for round in ROUNDS:
        for file in ends_in(round):
            return {"rung" if file.endswith(".csv") else "propose": file}
    return {"rung": TABLES_OF_RUNGS[-1]} if RUNGS else {"propose": PROPOSALS[-1]} if PROPOSALS else {}


def runs_of_round(round, waits):
    """Name → run of a round's trials; the first fold and seed stand for a trial."""
    if is_over_before(round):
        return {}
    if SWEEP.search and waits:
        checkpoints.propose.get(round=round)
        PLAN.take_up(proposals_of(PLAN.experiment))
    runs = {}
    for run in PLAN.runs:
        if run.trial.round == round:
            runs.setdefault(run.trial.name, run)
    return runs


def trials_at(round, number, waits):
    """Name → run of the trials that get to a rung; to their end, if it is one more than there are rungs."""
    runs = runs_of_round(round, waits)
    if number == 1 or not runs:
        return runs
    before = name_of_rung(round, number - 1)
    table = checkpoints.rung.get(rung=before).output.table if waits else table_of_rung(round, number - 1)
    return {name: runs[name] for name in promoted(Path(table)) or () if name in runs}


def tables_of_rungs(waits):
    """Where it is said who goes on, of all rungs that trials get to."""
    rungs = [(round, number + 1) for round in ROUNDS for number in range(len(RUNGS))]
    return [table_of_rung(round, number) for round, number in rungs if trials_at(round, number, waits)]


def tables_of_all_rungs(wildcards):
    return tables_of_rungs(waits=True)


def proposals_of_rounds(waits):
    """What is proposed in all rounds, the last of which can be one that the budget has ended the search before."""
    last = len(RUNGS) + 1
    reached = [round for round in ROUNDS if SWEEP.search and (round == 1 or trials_at(round - 1, last, waits))]
    return [proposals_file(NAME, round) for round in reached if not is_over_before(round)]


def proposals_of_all_rounds(wildcards):
    return proposals_of_rounds(waits=True)


def parts_of_rung(wildcards):
    """Round and number of a rung."""
    round, _, number = wildcards.rung.rpartition("-")
    return int(round or 1), int(number)


def metrics_at(run, number):
    """What a training says of its epochs, up to those of a rung."""
    return f"{RESULTS}/models/{run.models}/rung-{RUNGS[number - 1]}.csv"


def metrics_of_rung(wildcards):
    round, number = parts_of_rung(wildcards)
    return [metrics_at(run, number) for run in trials_at(round, number, waits=True).values()]


def values_of(runs):
    """Trial → its values, where limits ask for them."""
    return {run.trial.name: run.trial.values if SWEEP.limits.are_set else {} for run in runs}


def values_of_rung(wildcards):
    return values_of(trials_at(*parts_of_rung(wildcards), waits=False).values())


def rung_of_training(wildcards, input):
    """Epochs after which a training ends for now; none for one that goes on to its end."""
    return int(wildcards["epochs"]) if "epochs" in wildcards.keys() else None


def is_first_round(wildcards, input):
    return parts_of_rung(wildcards)[0] == 1


def configs_of_search(wildcards, input):
    return [str(config) for config in workflow.configfiles]


def factor_of_rungs(wildcards):
    return SWEEP.halving.factor


def outcomes_before(round, waits):
    """What the trials of all earlier rounds have come to: their values, and the metrics of all that they were trained."""
    furthest = {}
    for earlier in range(1, round):
        for number in range(1, len(RUNGS) + 2):
            for name, run in trials_at(earlier, number, waits).items():
                finished = number > len(RUNGS)
                metrics = f"{RESULTS}/models/{run.models}/metrics.csv" if finished else metrics_at(run, number)
                gpus = run.trial.settings.train.gpus
                furthest[name] = {"values": run.trial.values, "metrics": metrics, "finished": finished, "gpus": gpus}
    return list(furthest.values())


def metrics_before_round(wildcards):
    return [outcome["metrics"] for outcome in outcomes_before(int(wildcards.round), waits=True)]


def outcomes_before_round(wildcards):
    return outcomes_before(int(wildcards.round), waits=False)


def number_of_round(wildcards):
    return int(wildcards.round)


def search_of_round(wildcards):
    """What is searched, whatever the number of rounds: more of them leave those before as they are."""
    return {**SWEEP.search.model_dump(mode="json"), "rounds": int(wildcards.round)}


def made_for_search(wildcards):
    return made_for(SWEEP.search)


def runs_by_now():
    """The runs that there is or has been something to do for, as far as that is known: repeats of who got to the end."""
    if not RUNGS and not SWEEP.search:
        return PLAN.runs
    begun = {run.name for round in ROUNDS for run in runs_of_round(round, waits=False).values()}
    ended = {run.name for run in final_runs(waits=False)}
    return [run for run in PLAN.runs if run.name in begun | ended]


def final_runs(waits=True):
    """The runs that are trained to their end."""
    if not RUNGS and not SWEEP.search:
        return PLAN.runs
    last = {name for round in ROUNDS for name in trials_at(round, len(RUNGS) + 1, waits)}
    return [run for run in PLAN.runs if run.trial.name in last]


def keys_by_run_by_now():
    return keys_by_run(runs_by_now())
