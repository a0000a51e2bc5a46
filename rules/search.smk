wildcard_constraints:
    rung=r"(\d+-)?\d+|final",
    round=r"\d+",
    epochs=r"\d+",


# The trials of a search's next round, from what those of all earlier ones have come to.
checkpoint propose:
    input:
        metrics=metrics_before_round,
        decisions=decisions_before_round,
        scenes=scenes_of_limits,
    output:
        proposals=proposals_file(NAME, "{round}"),
    log:
        f"{LOGS}/experiments/{NAME}/propose-{{round}}.log",
    benchmark:
        f"{BENCHMARKS}/experiments/{NAME}/propose-{{round}}.tsv"
    localrule: True
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        round=number_of_round,
        search=search_of_round,
        made_for=made_for_search,
        outcomes=outcomes_before_round,
        metric=metric_of_rungs(PLAN.experiment),
        limits=limits_of_sweep,
        network=own_network,
        room=room_for_round,
        version=VERSIONS["propose"],
    message:
        "Proposing the trials of round {wildcards.round}"
    script:
        "../scripts/propose.py"


# Successive halving: all trials are trained for the epochs of a rung, and its table says who goes on to the next. They
# go on from their own checkpoints; whoever reaches the last rung is trained to the end by the rule `train`.
use rule train as train_rung with:
    output:
        metrics=f"{RESULTS}/models/{{key}}/rung-{{epochs}}.csv",
    log:
        f"{LOGS}/train_rung/{{key}}-{{epochs}}.log",
    benchmark:
        f"{BENCHMARKS}/train_rung/{{key}}-{{epochs}}.tsv"
    message:
        "Training {params.name}, for the first {wildcards.epochs} epochs"


checkpoint rung:
    input:
        metrics=metrics_of_rung,
        decisions=decisions_before_rung,
        scenes=scenes_of_limits,
    output:
        table=f"{EXPERIMENT}/rungs/{{rung}}.csv",
    log:
        f"{LOGS}/experiments/{NAME}/rung-{{rung}}.log",
    benchmark:
        f"{BENCHMARKS}/experiments/{NAME}/rung-{{rung}}.tsv"
    localrule: True
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        points=values_of_rung,
        gpus=gpus_of_rung,
        metric=metric_of_rungs(PLAN.experiment),
        factor=factor_of_rungs,
        limits=limits_of_sweep,
        network=own_network,
        room=room_for_trials,
        is_first=is_first_round,
        configs=configs_of_search,
        version=VERSIONS["rung"],
    message:
        "Deciding who goes on from rung {wildcards.rung}"
    script:
        "../scripts/rung.py"
