"""Check the experiment: images, labels, splits and settings."""

import logging
from pathlib import Path

from swath.checks.preflight import preflight
from swath.job.run_script import job

with job(snakemake) as (_, _, params):
    passed = preflight(params.request, Path(params.report))
    logging.getLogger("swath").info("%s", "\n\n".join(["", passed.details, passed.summary, ""]))
