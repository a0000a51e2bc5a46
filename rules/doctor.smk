# What there is to know before queueing: versions, container, SLURM and what it offers, a real job on a GPU, disks, locks.
# It runs on this machine, outside the container, which has no sbatch.
rule doctor:
    log:
        f"{LOGS}/experiments/{NAME}/doctor.log",
    localrule: True
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
    run:
        examine_or_exit(params.run, params.weights, params.repository, log[0])
