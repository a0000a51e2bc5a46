# Which runs there are: all of the sweep; with rungs, those of the trials that have got so far; with a search, those that
# have been proposed by now. `waits` says whether to ask for the decisions (an input's business: Snakemake makes them and
# asks again), or to go by what is there.
from swath.plan.proposed import made_for, proposals_file, proposals_of
from swath.search.room import ended_before, is_larger
from swath.search.rungs import FINAL, cut_short, decisions_on, metric_of_rungs, promoted, rungs_of

SWEEP = PLAN.experiment.sweep
RUNGS = rungs_of(SWEEP.halving, PLAN.experiment.train.epochs)
END = len(RUNGS) + 1  # the number of the last rung, where trainings end
ROUNDS = range(1, SWEEP.search.rounds + 1 if SWEEP.search else 2)
REPEATS = SWEEP.most_repeats * len(PLAN.folds)  # of a trial that gets to the end
HAS_FINAL = bool(SWEEP.search and RUNGS) and REPEATS > 1


def name_of_rung(round, number):
    """Rounds and rungs are counted from 1; without a search there is one round, which nobody names."""
    return f"{round}-{number}" if SWEEP.search else str(number)


def table_of_rung(round, number):
    """Where it is said who goes on from a rung."""
    return f"{EXPERIMENT}/rungs/{name_of_rung(round, number)}.csv"


TABLE_OF_FINAL = f"{EXPERIMENT}/rungs/{FINAL}.csv"
TABLES_OF_RUNGS = [table_of_rung(round, number) for round in ROUNDS for number in range(1, END)]
TABLES_OF_RUNGS += [TABLE_OF_FINAL] * HAS_FINAL
PROPOSALS = [proposals_file(NAME, round) for round in ROUNDS if SWEEP.search]


def ends_in(round):
    """The decisions of a round that the budget has cut short, as far as they are there: file → room that it left."""
    found = {}
    if SWEEP.search:
        proposals = proposals_file(NAME, round)
        found[proposals] = ended_before(Path(proposals), made_for(SWEEP.search))
    for number in range(1, END):
        table = table_of_rung(round, number)
        found[table] = cut_short(Path(table))
    return {file: room for file, room in found.items() if room}


def is_over_before(round):
    """Whether the budget has ended the search in an earlier round."""
    return any(ends_in(earlier) for earlier in range(1, round))


def decided_by_less():
    """Decisions that a budget has cut short which is larger now."""
    rooms = {file: room for round in ROUNDS for file, room in ends_in(round).items()}
    if room := HAS_FINAL and cut_short(Path(TABLE_OF_FINAL)):
        rooms[TABLE_OF_FINAL] = room
    return [file for file, room in rooms.items() if is_larger(PLAN.experiment.budget, room.limits)]


def last_decision():
    """What is decided last, and in which file; then all runs are known."""
    if HAS_FINAL:
        return {"rung": TABLE_OF_FINAL}
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
    if number == 1:
        return runs_of_round(round, waits)
    runs = trials_at(round, number - 1, waits)
    if not runs:
        return {}
    before = name_of_rung(round, number - 1)
    table = checkpoints.rung.get(rung=before).output.table if waits else table_of_rung(round, number - 1)
    return {name: runs[name] for name in promoted(Path(table)) or () if name in runs}


def trials_at_end(waits):
    """Name → run of the trials that get to their end, of all rounds."""
    return {name: run for round in ROUNDS for name, run in trials_at(round, END, waits).items()}


def finalists(waits):
    """Names of the trials that are repeated, evaluated and compared."""
    at_end = trials_at_end(waits)
    if not HAS_FINAL:
        return set(at_end)
    table = checkpoints.rung.get(rung=FINAL).output.table if waits else TABLE_OF_FINAL
    return at_end.keys() & (promoted(Path(table)) or ())


def final_is_decided():
    """Whether it is decided who is repeated, of all trials that have got to their end by now."""
    return decisions_on(Path(TABLE_OF_FINAL)).keys() == trials_at_end(waits=False).keys()


def tables_of_round(round, waits):
    """Where it is said who goes on, of the rungs that a round's trials get to."""
    return [table_of_rung(round, number) for number in range(1, END) if trials_at(round, number, waits)]


def proposals_of_round(round, waits):
    """What is proposed in a round, also if that is nothing, because the budget has ended the search before it."""
    is_reached = SWEEP.search and (round == 1 or trials_at(round - 1, END, waits))
    return [proposals_file(NAME, round)] if is_reached and not is_over_before(round) else []


def tables_of_rungs(waits):
    return [table for round in ROUNDS for table in tables_of_round(round, waits)] + [TABLE_OF_FINAL] * HAS_FINAL


def proposals_of_rounds(waits):
    return [file for round in ROUNDS for file in proposals_of_round(round, waits)]


def tables_of_all_rungs(wildcards):
    return tables_of_rungs(waits=True)


def proposals_of_all_rounds(wildcards):
    return proposals_of_rounds(waits=True)


def parts_of_rung(wildcards):
    """Round and number of a rung; the final one is that after the end of the last round."""
    if wildcards.rung == FINAL:
        return len(ROUNDS), END
    round, _, number = wildcards.rung.rpartition("-")
    return int(round or 1), int(number)


def trials_of_rung(wildcards, waits):
    """Name → run of the trials that are decided on."""
    return trials_at_end(waits) if wildcards.rung == FINAL else trials_at(*parts_of_rung(wildcards), waits)


def metrics_at(run, number):
    """What a training says of its epochs, up to those of a rung or, at the end, of all."""
    name = f"rung-{RUNGS[number - 1]}" if number < END else "metrics"
    return f"{RESULTS}/models/{run.models}/{name}.csv"


def metrics_of_rung(wildcards):
    _, number = parts_of_rung(wildcards)
    return [metrics_at(run, number) for run in trials_of_rung(wildcards, waits=True).values()]


def values_of(runs):
    """Trial → its values, where limits ask for them."""
    return {run.trial.name: run.trial.values if SWEEP.limits.are_set else {} for run in runs}


def values_of_rung(wildcards):
    return values_of(trials_of_rung(wildcards, waits=False).values())


def rung_of_training(wildcards, input):
    """Epochs after which a training ends for now; none for one that goes on to its end."""
    return int(wildcards["epochs"]) if "epochs" in wildcards.keys() else None


def runs_by_now():
    """The runs that there is or has been something to do for, as far as that is known, repeats among them."""
    if not RUNGS and not SWEEP.search:
        return PLAN.runs
    begun = {run.name for round in ROUNDS for run in runs_of_round(round, waits=False).values()}
    ended = {run.name for run in final_runs(waits=False)}
    return [run for run in PLAN.runs if run.name in begun | ended]


def final_runs(waits=True):
    """The runs that are evaluated and compared, of which the models are kept."""
    if not RUNGS and not SWEEP.search:
        return PLAN.runs
    last = finalists(waits)
    return [run for run in PLAN.runs if run.trial.name in last]


def keys_by_run_by_now():
    """Those of all runs that can have taken something: also the repeats of who was compared before a new decision."""
    ended = trials_at_end(waits=False) if RUNGS or SWEEP.search else {}
    taken = {run.name for run in runs_by_now()} | {run.name for run in PLAN.runs if run.trial.name in ended}
    return keys_by_run([run for run in PLAN.runs if run.name in taken])
