# The demo's data: Sentinel-2 and OpenStreetMap land use of the Havel, west of Berlin.
rule havel:
    output:
        demo.FILES,
    log:
        f"{LOGS}/havel.log",
    benchmark:
        f"{BENCHMARKS}/havel.tsv"
    localrule: True
    container:
        CONTAINER
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(15),
    params:
        splits=demo.SHIPPED_TABLE.read_text(),
        code=code_of("havel"),
    message:
        "Fetching the demo's scenes: Sentinel-2 and OpenStreetMap land use"
    script:
        "../scripts/havel.py"
