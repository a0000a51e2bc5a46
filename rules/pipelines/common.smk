# The plan of an experiment with a module of the user's own, and what its rules read.
from dataclasses import replace
from pathlib import Path

from swath.own_module.plan import describe_pipeline_runs, plan_pipeline_or_exit
from swath.own_module.signature import ROOT_URI
from swath.own_module.table import OUTPUTS, folders_of, read_table, run_with, targets
from swath.config.records import to_json
from swath.smk.hooks import RunContext
from swath.smk.run import memory, minutes, mount_or_exit, time_limit_in
from swath.versions import EXPERIMENT as VERSIONS

CONFIRMED = bool(config.pop("yes", False))  # of the rule clean_up
PLAN = plan_pipeline_or_exit(config, workflow.configfiles)
NAME = PLAN.experiment.experiment


include: "../paths.smk"


CONFIGURED = f"{PIPELINES}/configure/{PLAN.key}"
ARGUMENTS = [value for trial in PLAN.trials for value in trial.arguments.values() if isinstance(value, str)]
PLACES = [RESULTS, PLAN.experiment.pipeline, *workflow.configfiles, *ARGUMENTS]  # an argument can be a path
mount_or_exit(workflow, REPOSITORY, PLACES)

# --- what is known once `configure` has run -------------------------------------------------------


def table():
    return read_table(checkpoints.configure.get().output.table)


def files_of(stage):
    """The files on this machine that a stage reads: images, labels, definitions of networks."""

    def files(wildcards):
        read = table().files[stage][wildcards.key]
        mount_or_exit(workflow, REPOSITORY, read)
        return read

    return files


def made_by(earlier, stage):
    """What an earlier stage of the same run makes, if it has that stage."""

    def made(wildcards):
        folders = folders_of(run_with(table(), stage, wildcards.key), RESULTS)
        return [f"{folders[earlier]}/{OUTPUTS[earlier]}"] if earlier in folders else []

    return made


def runs_of_experiment(wildcards):
    return [to_json(run) for run in describe_pipeline_runs(PLAN, table(), RESULTS)]


def made_by_all(stage):
    def made(wildcards):
        runs = table().runs.values()
        return sorted({f"{folders_of(run, RESULTS)[stage]}/{OUTPUTS[stage]}" for run in runs})

    return made


def all_results(wildcards):
    return targets(table(), RESULTS)


def no_limits(wildcards):
    """What a module's trials need is not known: the config refuses limits."""
    return {}


def no_files(wildcards):
    return []


limits_of_sweep = own_network = values_of_final_trials = no_limits
scenes_of_limits = tables_of_all_rungs = proposals_of_all_rounds = no_files
RUNS = runs_of_experiment
EVALS, MODELS = made_by_all("eval"), made_by_all("train")
TARGETS = [all_results, *(f"{EXPERIMENT}/{file}" for file in ("leaderboard.csv", "trials.csv", "summary.txt"))]


# --- params: what a stage depends on is its key. The second argument keeps Snakemake from running it again for these


def run_of(stage):
    def run(wildcards, input):
        return to_json(run_with(table(), stage, wildcards.key))

    return run


def config_of(stage):
    def path(wildcards, input):
        return f"{CONFIGURED}/{run_with(table(), stage, wildcards.key).config}.json"

    return path


def places_of(stage):
    def places(wildcards, input):
        return folders_of(run_with(table(), stage, wildcards.key), RESULTS)

    return places


def module(wildcards, input):
    return PLAN.experiment.pipeline


def name_of_training(wildcards, input):
    return next(name for name, run in table().runs.items() if run.keys["train"] == wildcards.key)


def threads_of_training(wildcards):
    """Cores to ask for; the doctor asks before any training is known."""
    return 2 + (run_with(table(), "train", wildcards.key).workers if wildcards.key else 0)


# --- what is looked at and told beside the jobs ---------------------------------------------------
# no preflight: what the module will read is not known before `configure`, and which weights it needs, only it knows


def all_of_pipelines():
    """What stages make is known once a job has asked the module: until then runs of modules take turns."""
    return [PIPELINES]


CONTEXT = RunContext(
    name=NAME,
    folder=EXPERIMENT,
    repository=REPOSITORY,
    image=CONTAINER,
    examples={"train": {"key": ""}, "predict": {}, "configure": {}},
    later={"configure": ["train", "predict"]},
    read_while_planning=[f"{CONFIGURED}/table.json", f"{EXPERIMENT}/winner.json"],
    confirmed=CONFIRMED,
    made_later=all_of_pipelines,
    known_after={"configure": f"{CONFIGURED}/table.json"},
)
