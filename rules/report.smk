# What an experiment found, to look at and to mail: one page with linked maps, a PDF, figures, labels to look at again.
rule final_report:
    input:
        trainings=MODELS,
        evals=EVALS,
        winner=rules.select.output.winner,
        tables=TABLES,
        picture=rules.summary.output.picture,
        maps=VALIDATION_MAPS,
        test=test_of_winner,
        scenes=manifests_of_experiment,
    output:
        page=report(
            f"{EXPERIMENT}/report.html",
            caption="captions/report.rst",
            category="Experiment",
        ),
        pdf=f"{EXPERIMENT}/report.pdf",
        suspicious=report(
            f"{EXPERIMENT}/suspicious.gpkg",
            caption="captions/suspicious.rst",
            category="Experiment",
        ),
        experiment=f"{EXPERIMENT}/experiment.json",
    log:
        f"{LOGS}/experiments/{NAME}/final_report.log",
    benchmark:
        f"{BENCHMARKS}/experiments/{NAME}/final_report.tsv"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=minutes(60),
    params:
        task=PLAN.experiment.task,
        metric=PLAN.experiment.sweep.select.metric,
        classes=CLASSES,
        runs=RUNS,
        version=VERSIONS["report"],
        colours=colours,
        making=making_of_report,
        so_far={},
    message:
        "Writing the report"
    script:
        "../scripts/report.py"


# The same of what is there so far, whenever it is asked for; nothing else is made for it.
rule report:
    log:
        f"{LOGS}/experiments/{NAME}/report.log",
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=minutes(60),
    params:
        task=PLAN.experiment.task,
        metric=PLAN.experiment.sweep.select.metric,
        classes=CLASSES,
        runs=RUNS,
        colours=colours,
        making=making_of_report,
        so_far=REPORT_SO_FAR,
    message:
        "Writing a report of what is there so far"
    script:
        "../scripts/report.py"
