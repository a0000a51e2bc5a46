# Evaluate a split's predictions.
rule eval:
    input:
        predictions=predictions_of_eval,
        config=model_of("evals", "pipeline-config.json"),
        scenes=manifests_of("evals"),
        stats=stats_of("evals"),
    output:
        metrics=f"{RESULTS}/evals/{{key}}/{{split}}.json",
        raster_vision=f"{RESULTS}/evals/{{key}}/raster-vision/{{split}}_scenes/eval.json",
        config=f"{RESULTS}/evals/{{key}}/{{split}}-pipeline-config.json",
    log:
        f"{LOGS}/eval/{{key}}-{{split}}.log",
    benchmark:
        f"{BENCHMARKS}/eval/{{key}}-{{split}}.tsv"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=minutes(60),
    params:
        spec=spec_of("evals"),
        settings=settings_of("evals", "imagery", "chips", "labels"),
        classes=classes_of("evals"),
        ids=ids_of("evals"),
        name=name_of("evals"),
    message:
        "Evaluating: {params.name}, {wildcards.split}"
    script:
        "../scripts/eval.py"
