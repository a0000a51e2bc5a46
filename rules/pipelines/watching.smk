# What of an experiment with a module of the user's own is watched, once `configure` has said which stages it has.
from swath.status.watched import Watched, WatchedRun


def known_runs():
    """The runs with their folders; none before `configure` has run."""
    file = f"{CONFIGURED}/table.json"
    return describe_pipeline_runs(PLAN, read_table(file), RESULTS) if Path(file).is_file() else []


def watched_run(run):
    results = {"predicting": Path(run.maps).parent, "evaluating": next(iter(run.evals.values()), None)}
    files = {"predicting": OUTPUTS["predict"], "evaluating": OUTPUTS["eval"], "bundling": OUTPUTS["bundle"]}
    folders = {**results, "bundling": run.bundle}
    return WatchedRun(
        name=run.name,
        model=run.model,
        log=run.log,
        training=tuple(str(file).format(key=Path(run.model).name) for file in rules.train.output),
        later={word: [(f"{folders[word]}/{files[word]}",)] for word in folders if folders[word]},
    )


def watched_pipelines():
    unknown = "Which stages there are is known once `configure` has run: until then nothing can be told of them."
    runs = [watched_run(run) for run in known_runs()]
    return Watched(NAME, runs, {}, "" if runs else unknown)


CONTEXT = replace(CONTEXT, watched=watched_pipelines, trainings=known_runs)
