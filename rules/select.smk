# The winner by the validation metric: only it meets the test scenes.
checkpoint select:
    input:
        trials=rules.leaderboard.output.trials,
        leaderboard=rules.leaderboard.output.leaderboard,
    output:
        winner=f"{EXPERIMENT}/winner.json",
    log:
        f"{LOGS}/experiments/{NAME}/select.log",
    benchmark:
        f"{BENCHMARKS}/experiments/{NAME}/select.tsv"
    localrule: True
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        metric=PLAN.experiment.sweep.select.metric,
        version=VERSIONS["select"],
    message:
        "Selecting the winner by validation"
    script:
        "../scripts/select_winner.py"
