"""Tell what there is to know before queueing."""

import logging
from pathlib import Path

from swath.job import job

with job(snakemake) as (_, _, params):
    from swath.doctor.examine import examine

    for line in examine(params.run, params.weights, Path(params.repository)):
        logging.getLogger("swath").info("%s", line)
