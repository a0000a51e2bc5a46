# What won, where everything lies: readable links, a picture, a text.
rule summary:
    message:
        "Summing up the experiment"
    input:
        winner=rules.select.output.winner,
        leaderboard=rules.leaderboard.output.leaderboard,
        bundles=bundles_of_experiment,
        test=test_of_winner,
        scenes=manifests_of_experiment,
    output:
        summary=f"{EXPERIMENT}/summary.txt",
        picture=f"{EXPERIMENT}/prediction.png",
    log:
        f"{LOGS}/experiments/{NAME}/summary.log",
    benchmark:
        f"{BENCHMARKS}/experiments/{NAME}/summary.tsv"
    params:
        runs=describe_runs(PLAN, RESULTS),
        metric=PLAN.experiment.sweep.select.metric,
        folder=EXPERIMENT,
        code=code_of("summary"),
        colours=colours,
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
    container:
        CONTAINER
    script:
        "../scripts/summary.py"
