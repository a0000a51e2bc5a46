# The demo's data: Sentinel-2 and OpenStreetMap land use of the Havel, west of Berlin.
rule havel:
    message:
        "Fetching the demo's scenes: Sentinel-2 and OpenStreetMap land use"
    output:
        demo.FILES,
    log:
        f"{LOGS}/havel.log",
    benchmark:
        f"{BENCHMARKS}/havel.tsv"
    params:
        folder=demo.FOLDER,
        splits=demo.SHIPPED_TABLE.read_text(),
        code=code_of("havel"),
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(15),
    container:
        CONTAINER
    script:
        "../scripts/havel.py"
