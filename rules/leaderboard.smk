# Compare the trials by their validation metrics.
rule leaderboard:
    input:
        evals=EVALS,
        models=MODELS,
        rungs=tables_of_all_rungs,
        rounds=proposals_of_all_rounds,
        scenes=scenes_of_limits,
    output:
        trials=f"{EXPERIMENT}/trials.csv",
        leaderboard=report(
            f"{EXPERIMENT}/leaderboard.csv",
            caption="captions/leaderboard.rst",
            category="Tables",
        ),
        comparison=report(
            f"{EXPERIMENT}/comparison.csv",
            caption="captions/comparison.rst",
            category="Tables",
        ),
    log:
        f"{LOGS}/experiments/{NAME}/leaderboard.log",
    benchmark:
        f"{BENCHMARKS}/experiments/{NAME}/leaderboard.tsv"
    localrule: True
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        runs=RUNS,
        points=values_of_final_trials,
        limits=limits_of_sweep,
        network=own_network,
        metric=PLAN.experiment.sweep.select.metric,
        version=VERSIONS["leaderboard"],
    message:
        "Comparing the trials"
    script:
        "../scripts/leaderboard.py"
