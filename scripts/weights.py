"""Tell which pre-trained weights there are, and which of them fit the experiment's encoders."""

import logging
from pathlib import Path

from swath.job.run_script import job
from swath.networks.catalogue import told

with job(snakemake) as (inputs, _, params):
    logging.getLogger("swath").info("\n%s\n", told(params.encoders, Path(params.folder)))
