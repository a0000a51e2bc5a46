# The data of the demo and of the examples: a set is made when a scene table names its files.
localrules:
    havel,
    havel_chips,
    neon_trees,


# Sentinel-2 and OpenStreetMap land use of the Havel, west of Berlin: land cover
rule havel:
    output:
        data_sets.HAVEL.files,
    log:
        f"{LOGS}/havel.log",
    benchmark:
        f"{BENCHMARKS}/havel.tsv"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(15),
    params:
        splits=data_sets.HAVEL.shipped_table.read_text(),
        version=VERSIONS["havel"],
    message:
        "Fetching the demo's scenes: Sentinel-2 and OpenStreetMap land use"
    script:
        "../scripts/havel.py"


# the same scenes in cells that one class covers: chip classification
rule havel_chips:
    input:
        data_sets.HAVEL.files,
    output:
        data_sets.HAVEL_CHIPS.files,
    log:
        f"{LOGS}/havel_chips.log",
    benchmark:
        f"{BENCHMARKS}/havel_chips.tsv"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(15),
    params:
        splits=data_sets.HAVEL_CHIPS.shipped_table.read_text(),
        version=VERSIONS["havel_chips"],
    message:
        "Making cells of the demo's scenes: one class each"
    script:
        "../scripts/havel_chips.py"


# aerial images of three forests in the United States, a box around every tree: object detection
rule neon_trees:
    output:
        data_sets.NEON_TREES.files,
    log:
        f"{LOGS}/neon_trees.log",
    benchmark:
        f"{BENCHMARKS}/neon_trees.tsv"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(15),
    params:
        splits=data_sets.NEON_TREES.shipped_table.read_text(),
        version=VERSIONS["neon_trees"],
    message:
        "Fetching the trees: NEON's aerial images and boxes drawn by hand"
    script:
        "../scripts/neon_trees.py"
