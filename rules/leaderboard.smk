# Compare the trials by their validation metrics.
rule leaderboard:
    message:
        "Comparing the trials"
    input:
        evals=evals_of_experiment,
        timings=timings_of_experiment,
    output:
        trials=f"{EXPERIMENT}/trials.csv",
        leaderboard=f"{EXPERIMENT}/leaderboard.csv",
    log:
        f"{LOGS}/experiments/{NAME}/leaderboard.log",
    benchmark:
        f"{BENCHMARKS}/experiments/{NAME}/leaderboard.tsv"
    params:
        runs=describe_runs(PLAN, RESULTS),
        metric=PLAN.experiment.sweep.select.metric,
        code=code_of("leaderboard"),
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    container:
        CONTAINER
    script:
        "../scripts/leaderboard.py"
