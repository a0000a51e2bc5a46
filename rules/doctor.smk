# What there is to know before queueing: versions, container, SLURM and what it offers, a real job on a GPU, disks, locks.
rule doctor:
    log:
        f"{LOGS}/experiments/{NAME}/doctor.log",
    localrule: True
    container:
        None
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=minutes(20),
    params:
        run=run_for_doctor,
        weights=WEIGHTS_OF_ALL,
        repository=str(REPOSITORY),
    message:
        "Looking at this machine and the cluster"
    script:
        "../scripts/doctor.py"
