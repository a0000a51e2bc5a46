# Compare every result in the folder with the checksum that was written down when it was made.
rule verify:
    log:
        f"{LOGS}/experiments/{NAME}/verify.log",
    localrule: True
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(600),
    message:
        "Comparing all results with their checksums"
    script:
        "../scripts/verify.py"
