# ImageNet weights of encoders: fetched once, where there is a network, and kept for every training.
# (no `code` among the params: better the weights one has than a new download where there is no network)
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
        "Fetching ImageNet weights: {wildcards.encoder}"
    script:
        "../scripts/encoder_weights.py"


# all that the experiment starts from: `snakemake --cores 1 weights` on a node with network, before the others
rule weights:
    input:
        WEIGHTS_WANTED,
    localrule: True
    message:
        "ImageNet weights are all there"
