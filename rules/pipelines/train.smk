# Train one run in Swath's loop. Checkpoints lie in pipelines/train/<key>/checkpoints, which Snakemake does not know.
rule train:
    input:
        files=files_of("train"),
        stats=made_by("analyze", "train"),
        chips=made_by("chip", "train"),
    output:
        bundle=f"{PIPELINES}/train/{{key}}/model-bundle.zip",
        metrics=f"{PIPELINES}/train/{{key}}/metrics.csv",
        timing=f"{PIPELINES}/train/{{key}}/timing.csv",
        config=f"{PIPELINES}/train/{{key}}/pipeline-config.json",
    log:
        f"{LOGS}/pipelines/train/{{key}}.log",
    benchmark:
        f"{BENCHMARKS}/pipelines/train/{{key}}.tsv"
    priority: 1
    threads: threads_of_training
    resources:
        gpu=1,
        mem_mb=memory(8000, per_input=5),
        runtime=240,  # what does not fit in goes on in the next job
    params:
        module=module,
        run=run_of("train"),
        config=config_of("train"),
        folders=places_of("train"),
        name=name_of_training,
        time_limit=time_limit_in(workflow),
    message:
        "Training {params.name}"
    script:
        "../../scripts/pipeline_train.py"
