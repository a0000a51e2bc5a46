# What an experiment is to make.
from pathlib import Path
from types import SimpleNamespace

from swath.search.limits import Network

FIRST = SimpleNamespace(key=PLAN.runs[0].models)  # stands for wildcards where any training will do
EXAMPLES = {"train": vars(FIRST), "predict": {}, "leaderboard": {}}  # of jobs of rules
EXAMPLES |= {"train_rung": {**vars(FIRST), "epochs": RUNGS[0]}} if RUNGS else {}
READ_WHILE_PLANNING = [f"{EXPERIMENT}/winner.json", *TABLES_OF_RUNGS, *PROPOSALS]
WEIGHTS_OF_ALL = sorted(
    {file for spec in PLAN.specs["models"].values() for file in first_weights(spec["model"], RESULTS, WEIGHTS)}
)
WEIGHTS_WANTED = [file for file in WEIGHTS_OF_ALL if file.startswith(f"{WEIGHTS}/")]


def evals_of(runs):
    return [f"{RESULTS}/evals/{run.evals['validation']}/validation.json" for run in runs]


def bundles_of(runs):
    return [f"{RESULTS}/bundles/{run.bundles}/model-bundle.zip" for run in runs]


def models_of(runs):
    files = ("model-bundle.zip", "metrics.csv", "timing.csv", "pipeline-config.json")
    return [f"{RESULTS}/models/{run.models}/{file}" for run in runs for file in files]


def validation_maps_of(runs):
    return [manifest for run in runs for manifest in maps_of(run, "validation")]


def of_final_runs(files_of):
    """Files of the runs that are compared."""

    def files(wildcards):
        return files_of(final_runs())

    return files


EVALS, BUNDLES, MODELS = of_final_runs(evals_of), of_final_runs(bundles_of), of_final_runs(models_of)
VALIDATION_MAPS = of_final_runs(validation_maps_of)


def test_of_winner(wildcards):
    """The winner's test maps and metrics: which one it is, is known once the checkpoint `select` has run."""
    winner = read_json(checkpoints.select.get().output.winner)["run"]
    run = next((run for run in PLAN.runs if run.name == winner), None)
    if run is None or not PLAN.experiment.evaluate.test:  # none: of other trials, before it is selected anew
        return []
    metrics = [f"{RESULTS}/evals/{run.evals['test']}/test.json"] if "test" in run.evals else []
    return maps_of(run, "test") + metrics


def made_later():
    """What is going to be made, once it is known, of runs that are not yet known: of each of them."""
    runs, files = PLAN.runs, []
    if RUNGS:
        files = [file for files_of in (models_of, validation_maps_of, evals_of, bundles_of) for file in files_of(runs)]
        files += [f"{RESULTS}/models/{run.models}/rung-{epochs}.csv" for run in runs for epochs in RUNGS[1:]]
    if not PLAN.experiment.evaluate.test:
        return files
    files += [manifest for run in runs for manifest in maps_of(run, "test")]
    return files + [f"{RESULTS}/evals/{run.evals['test']}/test.json" for run in runs if "test" in run.evals]


def described_runs(wildcards):
    """The runs that are compared, as far as they are known; before that is decided, the first of those that could be."""
    runs = final_runs(waits=False)
    if HAS_FINAL and not runs:
        runs = list(trials_at_end(waits=False).values())
    return [to_json(run) for run in describe_runs(runs, RESULTS)]


def values_of_final_trials(wildcards):
    return values_of(final_runs(waits=False))


def limits_of_sweep(wildcards):
    return SWEEP.limits.model_dump()


def own_network(wildcards):
    """What the size of a network follows from, of the config's own values; nothing where no limits ask for it."""
    experiment = PLAN.experiment
    if not SWEEP.limits.are_of_networks:
        return {}
    model = experiment.model.model_dump(mode="json")
    bands, size = experiment.imagery.bands, experiment.chips.size
    return to_json(Network(experiment.task, model, bands, size, len(CLASSES)))


def scenes_of_limits(wildcards):
    """Where it is said how many bands images have, on which the size of a network depends."""
    return manifests_of_experiment(wildcards) if SWEEP.limits.are_of_networks else []


def jobs_of_winner():
    """The jobs of the winner's test maps and metrics, which are known once there is one: of any run, as many."""
    run = PLAN.runs[0]
    if not PLAN.experiment.evaluate.test:
        return []
    maps = [("predict", {"key": run.predictions, "shard": Path(file).stem}) for file in maps_of(run, "test")]
    return maps + [("eval", {"key": key, "split": "test"}) for split, key in run.evals.items() if split == "test"]


RUNS = described_runs
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
TARGETS = [
    tables_of_all_rungs,
    proposals_of_all_rounds,
    MODELS,
    VALIDATION_MAPS,
    EVALS,
    BUNDLES,
    test_of_winner,
    TABLES,
    SUMMED_UP,
    REPORT,
]

STAGES_OF_RUNS = {
    "train": "models",
    "train_rung": "models",
    "predict": "predictions",
    "eval": "evals",
    "bundle": "bundles",
}


def name_of_job(rule, wildcards):
    """The run that a job belongs to, None where it is for all of them."""
    return PLAN.run_with(STAGES_OF_RUNS[rule], wildcards["key"]).name if rule in STAGES_OF_RUNS else None
