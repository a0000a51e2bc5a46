# Bundle a model with its prediction window: what Raster Vision's `predict` takes.
rule bundle:
    input:
        model=model_of("bundles", "model-bundle.zip"),
        config=model_of("bundles", "pipeline-config.json"),
        stats=stats_of("bundles"),
        scenes=manifests_of("bundles"),
    output:
        bundle=f"{RESULTS}/bundles/{{key}}/model-bundle.zip",
    log:
        f"{LOGS}/bundle/{{key}}.log",
    benchmark:
        f"{BENCHMARKS}/bundle/{{key}}.tsv"
    threads: 1
    resources:
        mem_mb=memory(3000, per_input=2),
        runtime=minutes(20),
    params:
        spec=spec_of("bundles"),
        settings=settings_of("bundles", "imagery", "labels"),
        classes=classes_of("bundles"),
        ids=ids_of("bundles"),
        kernels=kernels_of_bundle,
        name=name_of("bundles"),
        keep_checkpoints=keep_checkpoints_of_bundle,
    message:
        "Bundling {params.name}"
    script:
        "../scripts/bundle.py"
