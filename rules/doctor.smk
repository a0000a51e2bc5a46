# What there is to know before queueing: versions, container, SLURM and what it offers, a real job on a GPU, disks, locks.
# The run itself looks around, before it starts any job: jobs know neither sbatch nor how they are submitted.
rule doctor:
    log:
        f"{LOGS}/experiments/{NAME}/doctor.log",
    localrule: True
    message:
        "jobs can be queued"
    run:
        pass
