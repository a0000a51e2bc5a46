# Band statistics of the training scenes.
rule analyze:
    message:
        "Computing band statistics of the training scenes"
    input:
        scenes=manifests_of("stats"),
    output:
        stats=f"{RESULTS}/stats/{{key}}/stats/train_scenes/stats.json",
    log:
        f"{LOGS}/analyze/{{key}}.log",
    benchmark:
        f"{BENCHMARKS}/analyze/{{key}}.tsv"
    params:
        spec=spec_of("stats"),
        ids=ids_of("stats"),
        code=code_of("analyze"),
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=minutes(60),
    container:
        CONTAINER
    script:
        "../scripts/analyze.py"
