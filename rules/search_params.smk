# What the rules of a search read and are told.
def is_first_round(wildcards, input):
    return wildcards.rung != FINAL and parts_of_rung(wildcards)[0] == 1


def configs_of_search(wildcards, input):
    return [str(config) for config in workflow.configfiles]


def gpus_of_rung(wildcards):
    """Trial → how many GPUs it was trained on, where it is known what a training takes, and that decides."""
    decides = wildcards.rung == FINAL and SWEEP.limits.gpu_hours is not None
    runs = trials_of_rung(wildcards, waits=False) if decides else {}
    return {name: run.trial.settings.train.gpus for name, run in runs.items()}


def factor_of_rungs(wildcards):
    return SWEEP.halving.factor


def outcomes_before(round, waits):
    """What the trials of all earlier rounds have come to: their values, and the metrics of all that they were trained."""
    furthest = {}
    for earlier in range(1, round):
        for number in range(1, END + 1):
            for name, run in trials_at(earlier, number, waits).items():
                known = {"metrics": metrics_at(run, number), "finished": number == END}
                furthest[name] = {"values": run.trial.values, **known, "gpus": run.trial.settings.train.gpus}
    return list(furthest.values())


# Whatever asks which trials there are, or which go on, reads the files that say so as well: one of them that is going to
# be made anew is taken by Snakemake for what it was, and asked again only where it is an input.


def decisions_of(rounds):
    """What is decided in some rounds."""
    return [file for round in rounds for file in proposals_of_round(round, True) + tables_of_round(round, True)]


def decisions_before_round(wildcards):
    return decisions_of(range(1, int(wildcards.round)))


def decisions_before_rung(wildcards):
    if wildcards.rung == FINAL:
        return decisions_of(ROUNDS)
    round, number = parts_of_rung(wildcards)
    return proposals_of_round(round, True) + [table_of_rung(round, earlier) for earlier in range(1, number)]


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
