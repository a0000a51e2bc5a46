# Raster Vision's evaluator over validation and test scenes.
rule eval:
    input:
        files=files_of("eval"),
        predictions=made_by("predict", "eval"),
        stats=made_by("analyze", "eval"),
    output:
        validation=f"{PIPELINES}/eval/{{key}}/validation.json",
    log:
        f"{LOGS}/pipelines/eval/{{key}}.log",
    benchmark:
        f"{BENCHMARKS}/pipelines/eval/{{key}}.tsv"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=minutes(120),
    params:
        module=module,
        run=run_of("eval"),
        config=config_of("eval"),
        folders=places_of("eval"),
    message:
        "Evaluating"
    script:
        "../../scripts/pipeline_stage.py"
