"""What processes agree on through files: who runs here, who may publish, who may train, what failed jobs have said.

There is no server. Every state is a file, written whole and renamed; the first four lie in ``.snakemake``:

========================== ================================ =================== ================== ====================
file                       what it says                     written by          read by            removed by
========================== ================================ =================== ================== ====================
swath-runs/<host>-<pid>    a run lives, reads and makes     the run, touched at later runs, the    the run at its end; a
                           files (`run_registry`)           every heartbeat     doctor             later one once dead
swath-jobs/<name>          what a run's SLURM jobs are      the run             later runs         the run that cancels
                           called (`run_registry`)                                                 a dead one's jobs
swath-tokens/<hash>        which job may publish some       every job, when it  the same jobs, at  nobody: the next job
                           outputs: fencing token           begins              every rename       writes its own
                           (`fencing`)
swath-messages/<hash>      why a job failed, in words       the job             the run that       the job once it has
                           (`job_messages`)                                     waits for it       done; the next run
models/<key>/checkpoints/  who trains there: a lease, of    the training, at    other trainings,   who takes over
<fingerprint>/owner-<n>    which the highest number counts  every heartbeat     the doctor,
                           (`lease`)                                            the status
<the same>/progress        how far it is                    the training, a few the status,     with the checkpoints
                           (`training_progress`)            times a minute      the run
========================== ================================ =================== ================== ====================

A file that cannot be read, as a power cut leaves them, is not there. A sign of life is a file that changes while
somebody watches (`heartbeat`): clocks of machines are never compared.
"""
