"""Compare finished experiments."""

from swath.job.run_script import job

with job(snakemake) as (_, output, params):
    from swath.report.several import write_comparison_of

    write_comparison_of(params.folders, output.page)
