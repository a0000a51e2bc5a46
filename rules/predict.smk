# Predict a shard of a split's scenes, as maps.
rule predict:
    input:
        model=model_of("predictions", "model-bundle.zip"),
        config=model_of("predictions", "pipeline-config.json"),
        scenes=manifests_of("predictions"),
        stats=stats_of("predictions"),
    output:
        manifest=f"{RESULTS}/predictions/{{key}}/{{shard}}.json",
    log:
        f"{LOGS}/predict/{{key}}/{{shard}}.log",
    benchmark:
        f"{BENCHMARKS}/predict/{{key}}/{{shard}}.tsv"
    threads: 1
    resources:
        gpu=1,
        mem_mb=memory(5000, per_input=2),
        runtime=minutes(60),
    params:
        spec=spec_of("predictions"),
        settings=settings_of("predictions", "imagery", "labels"),
        classes=classes_of("predictions"),
        ids=ids_of("predictions"),
        colours=colours,
        computing=computing_of_predictions,
        name=name_of("predictions"),
    message:
        "Predicting: {params.name}, shard {wildcards.shard}"
    script:
        "../scripts/predict.py"
