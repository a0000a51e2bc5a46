# What the model is going to see, as a page: scenes with labels, chips after normalisation and augmentation.
rule preview:
    input:
        chips=chips_of_model(FIRST),
        scenes=manifests_of_experiment,
        stats=stats_of("models")(FIRST),
    output:
        page=f"{EXPERIMENT}/preview.html",
    log:
        f"{LOGS}/experiments/{NAME}/preview.log",
    benchmark:
        f"{BENCHMARKS}/experiments/{NAME}/preview.tsv"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=minutes(20),
    params:
        name=NAME,
        spec=PLAN.specs["models"][FIRST.key],
        settings=settings_of("models", "imagery", "chips", "labels")(FIRST),
        classes=classes_of("models")(FIRST),
        splits=splits_of_model(FIRST),
        version=VERSIONS["preview"],
        colours=colours,
    message:
        "Drawing a preview"
    script:
        "../scripts/preview.py"
