# What Raster Vision's `predict` takes.
rule bundle:
    input:
        model=made_by("train", "bundle"),
        stats=made_by("analyze", "bundle"),
    output:
        bundle=f"{PIPELINES}/bundle/{{key}}/model-bundle.zip",
    log:
        f"{LOGS}/pipelines/bundle/{{key}}.log",
    benchmark:
        f"{BENCHMARKS}/pipelines/bundle/{{key}}.tsv"
    threads: 1
    resources:
        mem_mb=memory(3000, per_input=2),
        runtime=minutes(20),
    params:
        module=module,
        run=run_of("bundle"),
        config=config_of("bundle"),
        folders=places_of("bundle"),
    message:
        "Bundling"
    script:
        "../../scripts/pipeline_stage.py"
