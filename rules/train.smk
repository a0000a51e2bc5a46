# Train one trial with one seed. Checkpoints lie in models/<key>/checkpoints, which Snakemake does not
# know and therefore never deletes: a training that was killed goes on from there.
rule train:
    input:
        chips=chips_of_model,
        scenes=manifests_of("models"),
        stats=stats_of("models"),
        weights=weights_of_model,
        definition=definition_of_model,
    output:
        bundle=f"{RESULTS}/models/{{key}}/model-bundle.zip",
        metrics=f"{RESULTS}/models/{{key}}/metrics.csv",
        timing=f"{RESULTS}/models/{{key}}/timing.csv",
        config=f"{RESULTS}/models/{{key}}/pipeline-config.json",
    log:
        f"{LOGS}/train/{{key}}.log",
    benchmark:
        f"{BENCHMARKS}/train/{{key}}.tsv"
    priority: 1
    threads: threads_of_model
    resources:
        nodes=1,  # where all of its GPUs are
        gpu=gpus_of_model,
        mem_mb=memory_of_training,
        runtime=240,  # what does not fit in goes on in the next job
    params:
        spec=spec_of("models"),
        settings=settings_of("models", "imagery", "chips", "labels"),
        classes=classes_of("models"),
        splits=splits_of_model,
        rung=rung_of_training,
        start=start_of_model,
        state=state_of_own_files,
        colours=colours,
        runtime_only=runtime_settings_of_model,
        time_limit=time_limit_in(workflow),
        name=name_of("models"),
    message:
        "Training {params.name}"
    script:
        "../scripts/train.py"
