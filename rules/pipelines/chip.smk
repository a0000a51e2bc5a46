# The chips of training and validation scenes.
rule chip:
    input:
        files=files_of("chip"),
        stats=made_by("analyze", "chip"),
    output:
        chips=f"{PIPELINES}/chip/{{key}}/chips.zip",
    log:
        f"{LOGS}/pipelines/chip/{{key}}.log",
    benchmark:
        f"{BENCHMARKS}/pipelines/chip/{{key}}.tsv"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=minutes(240),
    params:
        module=module,
        run=run_of("chip"),
        config=config_of("chip"),
        folders=places_of("chip"),
    message:
        "Cutting chips"
    script:
        "../../scripts/pipeline_stage.py"
