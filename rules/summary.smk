# What won, where everything lies: readable links, a picture, a text.
rule summary:
    input:
        winner=rules.select.output.winner,
        leaderboard=rules.leaderboard.output.leaderboard,
        comparison=rules.leaderboard.output.comparison,
        splits=rules.splits.output.splits,
        bundles=BUNDLES,
        test=test_of_winner,
        scenes=manifests_of_experiment,
        rungs=tables_of_all_rungs,
        rounds=proposals_of_all_rounds,
    output:
        summary=f"{EXPERIMENT}/summary.txt",
        picture=report(
            f"{EXPERIMENT}/prediction.png",
            caption="captions/picture.rst",
            category="Experiment",
        ),
    log:
        f"{LOGS}/experiments/{NAME}/summary.log",
    benchmark:
        f"{BENCHMARKS}/experiments/{NAME}/summary.tsv"
    localrule: True
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
    params:
        runs=RUNS,
        task=PLAN.experiment.task,
        metric=PLAN.experiment.sweep.select.metric,
        version=VERSIONS["summary"],
        colours=colours,
    message:
        "Summing up the experiment"
    script:
        "../scripts/summary.py"
