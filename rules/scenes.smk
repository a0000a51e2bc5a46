# Read headers and labels of a shard of scenes; harmonise and check the labels.
rule scenes:
    input:
        files=files_of_shard,
    output:
        manifest=f"{RESULTS}/scenes/{{key}}/{{split}}-{{shard}}.json",
    log:
        f"{LOGS}/scenes/{{key}}/{{split}}-{{shard}}.log",
    benchmark:
        f"{BENCHMARKS}/scenes/{{key}}/{{split}}-{{shard}}.tsv"
    threads: 1
    resources:
        mem_mb=memory(1000, per_input=0.5),
        runtime=minutes(10, per_input=0.01),
    params:
        spec=spec_of("scenes"),
        rows=rows_of("scenes"),
        state=state_of_shard,
    message:
        "Reading {wildcards.split} scenes: shard {wildcards.shard}"
    script:
        "../scripts/scenes.py"


# Which scenes train, validate and test, for people to see.
rule splits:
    output:
        splits=f"{EXPERIMENT}/splits.csv",
    log:
        f"{LOGS}/experiments/{NAME}/splits.log",
    benchmark:
        f"{BENCHMARKS}/experiments/{NAME}/splits.tsv"
    localrule: True
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        rows=split_table(PLAN.scenes),
        version=VERSIONS["splits"],
    message:
        "Writing down the splits"
    script:
        "../scripts/splits.py"
