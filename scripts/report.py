"""Write the report of an experiment: all of it, or what is there so far."""

from contextlib import ExitStack
from pathlib import Path

from swath.config.records import of_json
from swath.files import publish
from swath.job.run_script import job
from swath.plan.finished import FinishedRun

with job(snakemake) as (_, output, params):
    from swath.report.findings import Findings
    from swath.report.page import Making, write_report
    from swath.scenes.manifest import read_manifests

    making = Making(**params.making)
    findings = Findings(
        Path(making.folder),
        params.task,
        params.metric,
        params.classes,
        params.colours,
        [of_json(FinishedRun, run) for run in params.runs],
        {facts.id: facts for facts in read_manifests(path for path in making.manifests if Path(path).is_file())},
    )
    with ExitStack() as stack:
        so_far = {name: stack.enter_context(publish(path)) for name, path in params.so_far.items()}
        write_report(findings, making, vars(output) or so_far)
