# What of an experiment is watched: for `snakemake status`, and for the lines in the log of a run.
from swath.status.watched import Watched, WatchedRun


def job_of(rule, **wildcards):
    """A job, by what it makes."""
    return tuple(str(file).format(**wildcards) for file in rule.output)


def watched_run(run, stopped):
    train = run.trial.settings.train
    return WatchedRun(
        name=run.name,
        model=f"{RESULTS}/models/{run.models}",
        log=f"{LOGS}/train/{run.models}.log",
        training=job_of(rules.train, key=run.models),
        later={
            "predicting": [(manifest,) for manifest in maps_of(run, "validation")],
            "evaluating": [job_of(rules.eval, key=run.evals["validation"], split="validation")],
            "bundling": [job_of(rules.bundle, key=run.bundles)],
        },
        epochs=train.epochs,
        monitor=train.monitor,
        left_out=stopped.get(run.name, ""),
    )


def watched_stages(runs):
    """Stage → its jobs, each once; what is made of the winner is known once there is one."""
    models = [SimpleNamespace(key=run.models) for run in PLAN.runs]
    stages = {
        "scenes": [(manifest,) for manifest in manifests_of_experiment(None)],
        "statistics": [(stats,) for model in models for stats in stats_of("models")(model)],
        "chips": [(chips,) for model in models for chips in chips_of_model(model)],
        "trainings": [run.training for run in runs],
        "maps": [job for run in runs for job in run.later["predicting"]],
        "evaluations": [job for run in runs for job in run.later["evaluating"]],
        "bundles": [job for run in runs for job in run.later["bundling"]],
        "report": [tuple(REPORT)],
    }
    return {stage: list(dict.fromkeys(jobs)) for stage, jobs in stages.items() if jobs}


def watched_experiment():
    stopped = left_out()
    runs = [watched_run(run, stopped) for run in runs_by_now()]
    go_on = [run for run in runs if not run.left_out]
    return Watched(NAME, runs, {**watched_stages(go_on), **(watched_map().stages if MAP_PLAN else {})})


def runs_of_plan():
    return describe_runs(runs_by_now(), RESULTS)


CONTEXT = replace(CONTEXT, watched=watched_experiment, trainings=runs_of_plan)
