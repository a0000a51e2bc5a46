# The winner by the validation metric: only it meets the test scenes.
checkpoint select:
    message:
        "Selecting the winner by validation"
    input:
        trials=rules.leaderboard.output.trials,
        leaderboard=rules.leaderboard.output.leaderboard,
    output:
        winner=f"{EXPERIMENT}/winner.json",
    log:
        f"{LOGS}/experiments/{NAME}/select.log",
    benchmark:
        f"{BENCHMARKS}/experiments/{NAME}/select.tsv"
    params:
        metric=PLAN.experiment.sweep.select.metric,
        code=code_of("select"),
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    container:
        CONTAINER
    script:
        "../scripts/select.py"
