# Read headers and labels of a shard of scenes; harmonise and check the labels.
rule scenes:
    input:
        files=files_of_shard,
    output:
        manifest=f"{RESULTS}/scenes/{{key}}/{{shard}}.json",
    log:
        f"{LOGS}/scenes/{{key}}/{{shard}}.log",
    benchmark:
        f"{BENCHMARKS}/scenes/{{key}}/{{shard}}.tsv"
    container:
        CONTAINER
    threads: 1
    resources:
        mem_mb=memory(1000, per_input=0.5),
        runtime=minutes(10, per_input=0.01),
    params:
        spec=spec_of("scenes"),
        rows=rows_of_shard,
        code=code_of("scenes"),
    message:
        "Reading scenes: shard {wildcards.shard}"
    script:
        "../scripts/scenes.py"
