# Raster Vision's analyzers: statistics of every scene group.
rule analyze:
    input:
        files=files_of("analyze"),
    output:
        manifest=f"{PIPELINES}/analyze/{{key}}/manifest.json",
    log:
        f"{LOGS}/pipelines/analyze/{{key}}.log",
    benchmark:
        f"{BENCHMARKS}/pipelines/analyze/{{key}}.tsv"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=minutes(120),
    params:
        module=module,
        run=run_of("analyze"),
        config=config_of("analyze"),
        folders=places_of("analyze"),
    message:
        "Analyzing the imagery"
    script:
        "../../scripts/pipeline_stage.py"
