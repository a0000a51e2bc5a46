"""Call a user's get_config for every trial; say what the stages' results depend on."""

from swath.job.run_script import job

with job(snakemake) as (inputs, output, params):
    from swath.own_module.configure import configure

    configure(
        inputs.module,
        list(inputs.modules),
        params.takes_root,
        params.trials,
        params.runs,
        params.metric,
        [path for name, path in vars(output).items() if name != "table"],
        output.table,
    )
