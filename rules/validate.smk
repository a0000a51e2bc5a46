# The preflight. It also runs by itself before everything else (`onstart`); no rule waits for this one, because
# experiments share results, and what stops one of them is nothing to the others.
rule validate:
    input:
        made_files,
    log:
        f"{LOGS}/experiments/{NAME}/validate.log",
    localrule: True
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
    params:
        request=request_of_rule,
        report=VALIDATION,
    message:
        "Checking images, labels, splits and settings"
    script:
        "../scripts/validate.py"
