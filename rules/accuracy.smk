# How right a map is, and how much of each class there is: points to be labelled, and what they say once they are.
include: "accuracy_inputs.smk"


if ACCURACY_PLAN:

    # Draw points. Beside the table lies sample.gpkg, which Snakemake is not told of: it would remove what was labelled.
    rule sample:
        input:
            map=map_to_compare(),
        output:
            table=f"{ACCURACY}/sample.csv",
        log:
            f"{LOGS}/experiments/{NAME}/sample.log",
        benchmark:
            f"{BENCHMARKS}/experiments/{NAME}/sample.tsv"
        localrule: True
        threads: 1
        resources:
            mem_mb=memory(4000),
            runtime=minutes(60),
        params:
            maps=list(ACCURACY_PLAN.maps),
            settings=accuracy_settings("map", "reference", "layer", "crs", "stratum", "stratum_area"),
            version=VERSIONS["sample"],
        message:
            "Drawing points to be labelled"
        script:
            "../scripts/sample.py"

    # Compare the map with points that are labelled.
    rule accuracy:
        input:
            map=map_to_compare(),
            reference=ACCURACY_PLAN.reference,
        output:
            accuracy=f"{ACCURACY}/accuracy.json",
            matrix=f"{ACCURACY}/error_matrix.csv",
            classes=f"{ACCURACY}/classes.csv",
            page=f"{ACCURACY}/accuracy.html",
        log:
            f"{LOGS}/experiments/{NAME}/accuracy.log",
        benchmark:
            f"{BENCHMARKS}/experiments/{NAME}/accuracy.tsv"
        localrule: True
        threads: 1
        resources:
            mem_mb=memory(4000),
            runtime=minutes(60),
        params:
            name=NAME,
            maps=list(ACCURACY_PLAN.maps),
            settings=accuracy_settings("map", "sample"),
            version=VERSIONS["accuracy"],
        message:
            "Comparing the map with reference points"
        script:
            "../scripts/accuracy.py"
