# Band statistics of the training scenes.
rule analyze:
    input:
        scenes=manifests_of("stats"),
    output:
        stats=f"{RESULTS}/stats/{{key}}/stats/train_scenes/stats.json",
    log:
        f"{LOGS}/analyze/{{key}}.log",
    benchmark:
        f"{BENCHMARKS}/analyze/{{key}}.tsv"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=minutes(60),
    params:
        spec=spec_of("stats"),
        ids=ids_of("stats"),
    message:
        "Computing band statistics of the training scenes"
    script:
        "../scripts/analyze.py"
