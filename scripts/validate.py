"""Check the experiment: images, labels, splits and settings."""

import logging
from pathlib import Path

from swath.checks.context import CheckRequest
from swath.checks.preflight import preflight
from swath.config.records import of_json
from swath.job.run_script import job

with job(snakemake) as (_, _, params):
    passed = preflight(of_json(CheckRequest, params.request), Path(params.report))
    logging.getLogger("swath").info("%s", "\n\n".join(filter(None, [passed.details, passed.summary])))
