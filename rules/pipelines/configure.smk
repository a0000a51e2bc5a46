# Call get_config for every trial: what it returns says which stages there are, and which of them trials share.
checkpoint configure:
    input:
        module=PLAN.experiment.pipeline,
        modules=PLAN.modules,
    output:
        **{f"trial_{number}": f"{CONFIGURED}/{number}.json" for number in range(len(PLAN.trials))},
        table=f"{CONFIGURED}/table.json",
    log:
        f"{LOGS}/configure/{PLAN.key}.log",
    benchmark:
        f"{BENCHMARKS}/configure/{PLAN.key}.tsv"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=minutes(60),
    params:
        takes_root=ROOT_URI in PLAN.signature.arguments,
        trials={trial.name: trial.arguments for trial in PLAN.trials},
        runs={name: (trial.name, seed) for name, (trial, seed) in PLAN.runs.items()},
        metric=PLAN.experiment.sweep.select.metric,
    message:
        "Asking {PLAN.experiment.pipeline} for the config of every trial"
    script:
        "../../scripts/configure.py"
