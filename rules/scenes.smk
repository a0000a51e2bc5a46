# Read headers and labels of a shard of scenes; harmonise and check the labels.
rule scenes:
    message:
        "Reading scenes: shard {wildcards.shard}"
    input:
        files=files_of_shard,
    output:
        manifest=f"{RESULTS}/scenes/{{key}}/{{shard}}.json",
    log:
        f"{LOGS}/scenes/{{key}}/{{shard}}.log",
    benchmark:
        f"{BENCHMARKS}/scenes/{{key}}/{{shard}}.tsv"
    params:
        spec=spec_of("scenes"),
        rows=rows_of_shard,
        folder=f"{RESULTS}/scenes/{{key}}/{{shard}}",
        code=code_of("scenes"),
    threads: 1
    resources:
        mem_mb=memory(1000, per_input=0.5),
        runtime=minutes(10, per_input=0.01),
    container:
        CONTAINER
    script:
        "../scripts/scenes.py"
