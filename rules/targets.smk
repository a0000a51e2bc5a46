# What an experiment is to make.
from pathlib import Path
from types import SimpleNamespace

FIRST = SimpleNamespace(key=PLAN.runs[0].models)  # stands for wildcards where any training will do
EVALS = [f"{RESULTS}/evals/{run.evals['validation']}/validation.json" for run in PLAN.runs]
BUNDLES = [f"{RESULTS}/bundles/{run.bundles}/model-bundle.zip" for run in PLAN.runs]
MODELS = [
    f"{RESULTS}/models/{run.models}/{file}"
    for run in PLAN.runs
    for file in ("model-bundle.zip", "metrics.csv", "timing.csv", "pipeline-config.json")
]
WEIGHTS_OF_ALL = sorted(
    {file for spec in PLAN.specs["models"].values() for file in first_weights(spec["model"], RESULTS, WEIGHTS)}
)
WEIGHTS_WANTED = [file for file in WEIGHTS_OF_ALL if file.startswith(f"{WEIGHTS}/")]


def validation_maps(wildcards):
    return [manifest for run in PLAN.runs for manifest in maps_of(run, "validation")]


def test_of_winner(wildcards):
    """The winner's test maps and metrics: which one it is, is known once the checkpoint `select` has run."""
    winner = read_json(checkpoints.select.get().output.winner)["run"]
    run = next(run for run in PLAN.runs if run.name == winner)
    if not PLAN.experiment.evaluate.test:
        return []
    metrics = [f"{RESULTS}/evals/{run.evals['test']}/test.json"] if "test" in run.evals else []
    return maps_of(run, "test") + metrics


def tests_of_all():
    """The test maps and metrics of all runs: those of one of them are going to be made."""
    if not PLAN.experiment.evaluate.test:
        return []
    maps = [manifest for run in PLAN.runs for manifest in maps_of(run, "test")]
    return maps + [f"{RESULTS}/evals/{run.evals['test']}/test.json" for run in PLAN.runs if "test" in run.evals]


def jobs_of_winner():
    """The jobs of the winner's test maps and metrics, which are known once there is one: of any run, as many."""
    run = PLAN.runs[0]
    if not PLAN.experiment.evaluate.test:
        return []
    maps = [("predict", {"key": run.predictions, "shard": Path(file).stem}) for file in maps_of(run, "test")]
    return maps + [("eval", {"key": run.evals["test"], "split": "test"})] * ("test" in run.evals)


DESCRIBED = describe_runs(PLAN, RESULTS)
RUNS = [to_json(run) for run in DESCRIBED]
TABLES = [f"{EXPERIMENT}/{table}.csv" for table in ("leaderboard", "comparison", "trials", "splits")]
SUMMED_UP = [f"{EXPERIMENT}/summary.txt", f"{EXPERIMENT}/prediction.png"]
REPORT_SO_FAR = {
    "page": f"{EXPERIMENT}/report-so-far.html",
    "pdf": f"{EXPERIMENT}/report-so-far.pdf",
    "suspicious": f"{EXPERIMENT}/suspicious-so-far.gpkg",
    "experiment": f"{EXPERIMENT}/experiment-so-far.json",
}
REPORT = [f"{EXPERIMENT}/{file}" for file in ("report.html", "report.pdf", "suspicious.gpkg", "experiment.json")]
CLASSES = PLAN.specs["scenes"][PLAN.runs[0].scenes]["classes"]
TARGETS = [MODELS, validation_maps, EVALS, BUNDLES, test_of_winner, TABLES, SUMMED_UP, REPORT]
