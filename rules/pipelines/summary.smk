# What won, where everything lies: readable links, a text.
rule summary:
    input:
        winner=rules.select.output.winner,
        leaderboard=rules.leaderboard.output.leaderboard,
        bundles=made_by_all("bundle"),
    output:
        summary=f"{EXPERIMENT}/summary.txt",
    log:
        f"{LOGS}/experiments/{NAME}/summary.log",
    benchmark:
        f"{BENCHMARKS}/experiments/{NAME}/summary.tsv"
    localrule: True
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        runs=RUNS,
        metric=PLAN.experiment.sweep.select.metric,
        version=VERSIONS["own_module_summary"],
    message:
        "Summing up the experiment"
    script:
        "../../scripts/pipeline_summary.py"
