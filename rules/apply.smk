# A map of new images: parts of rows are predicted, and put together.
include: "apply_inputs.smk"


if MAP_PLAN:

    # Predict a part: rows of one image, or several images.
    rule apply_part:
        input:
            models=bundles_of_map,
        output:
            manifest=f"{PARTS_MADE}/{{part}}.json",
        log:
            f"{LOGS}/maps/{NAME}/{{part}}.log",
        benchmark:
            f"{BENCHMARKS}/maps/{NAME}/{{part}}.tsv"
        threads: 1
        resources:
            gpu=1,
            mem_mb=memory(5000),
            runtime=minutes(240),
        params:
            part=part_of_map,
            images=images_of_part,
            state=state_of_part,
            allow=list(MAP_PLAN.allow),
            settings=MAP_PLAN.settings_of_parts,
            version=VERSIONS["apply_part"],
        message:
            "Predicting part {wildcards.part} of the map"
        script:
            "../scripts/apply_part.py"

    # Put the parts together: rasters, polygons, areas, a picture, a catalog.
    rule assemble:
        input:
            models=bundles_of_map,
            parts=parts_to_join,
        output:
            manifest=f"{PARTS}/map.json",
        log:
            f"{LOGS}/maps/{NAME}/assemble.log",
        benchmark:
            f"{BENCHMARKS}/maps/{NAME}/assemble.tsv"
        threads: 1
        resources:
            mem_mb=memory(6000),
            runtime=minutes(120),
        params:
            name=NAME,
            images=[image.row() for image in MAP_PLAN.images],
            state=state_of_map,
            settings=to_json(MAP_PLAN.settings),
            folder=MAP,
            version=VERSIONS["assemble"],
        message:
            "Putting the map together"
        script:
            "../scripts/assemble.py"

    # the map of new images that the config describes: `snakemake --cores all apply`
    rule apply:
        input:
            rules.assemble.output.manifest,
        log:
            f"{LOGS}/maps/{NAME}/apply.log",
        localrule: True
        message:
            "The map is done"
        run:
            pass
