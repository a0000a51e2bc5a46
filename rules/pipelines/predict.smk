# Predict validation and test scenes: Raster Vision does both in one go.
rule predict:
    input:
        files=files_of("predict"),
        stats=made_by("analyze", "predict"),
        model=made_by("train", "predict"),
    output:
        manifest=f"{PIPELINES}/predict/{{key}}/manifest.json",
    log:
        f"{LOGS}/pipelines/predict/{{key}}.log",
    benchmark:
        f"{BENCHMARKS}/pipelines/predict/{{key}}.tsv"
    threads: 1
    resources:
        gpu=1,
        mem_mb=memory(5000, per_input=2),
        runtime=minutes(120),
    params:
        module=module,
        run=run_of("predict"),
        config=config_of("predict"),
        folders=places_of("predict"),
    message:
        "Predicting validation and test scenes"
    script:
        "../../scripts/pipeline_stage.py"
