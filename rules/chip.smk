# Cut the training or validation chips of a shard of scenes.
rule chip:
    input:
        scenes=manifests_of("chips"),
        stats=stats_of("chips"),
    output:
        chips=f"{RESULTS}/chips/{{key}}/{{split}}-{{shard}}.zip",
    log:
        f"{LOGS}/chip/{{key}}/{{split}}-{{shard}}.log",
    benchmark:
        f"{BENCHMARKS}/chip/{{key}}/{{split}}-{{shard}}.tsv"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=minutes(60),
    params:
        spec=spec_of("chips"),
        settings=settings_of("chips", "imagery", "chips", "labels"),
        classes=classes_of("chips"),
        ids=ids_of("chips"),
    message:
        "Cutting {wildcards.split} chips: shard {wildcards.shard}"
    script:
        "../scripts/chip.py"
