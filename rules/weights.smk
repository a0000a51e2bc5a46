# Pre-trained weights: fetched once, where there is a network, and kept for every training.
rule encoder_weights:
    output:
        weights=f"{WEIGHTS}/{{encoder}}.safetensors",
        record=f"{WEIGHTS}/{{encoder}}.json",
    log:
        f"{LOGS}/weights/{{encoder}}.log",
    benchmark:
        f"{BENCHMARKS}/weights/{{encoder}}.tsv"
    wildcard_constraints:
        encoder="[A-Za-z0-9_.-]+",
    localrule: True
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=minutes(30),
    params:
        encoder="{encoder}",
    message:
        "Fetching pre-trained weights: {wildcards.encoder}"
    script:
        "../scripts/encoder_weights.py"


# all that the experiment starts from, and what else there is: `snakemake --cores 1 weights` on a node with network
rule weights:
    input:
        WEIGHTS_WANTED,
    log:
        f"{LOGS}/experiments/{NAME}/weights.log",
    localrule: True
    params:
        encoders=sorted({trial.settings.model.encoder for trial in PLAN.trials}),
        folder=WEIGHTS,
    message:
        "Pre-trained weights"
    script:
        "../scripts/weights.py"
