# The functions that give rules their params. What a result depends on is in the key that names its folder, and what
# else is read are inputs: the second argument keeps Snakemake from running a job again for a param.
import shlex

from swath.networks.definition import definition_files
from swath.scenes.states import Files
from swath.smk.command_line import overrides

# --- what the key says ----------------------------------------------------------------------------


def spec_of(stage):
    def spec(wildcards, input=None):
        return PLAN.specs[stage][wildcards.key]

    return spec


def settings_of(stage, *sections):
    """The task and sections of the settings, as plain values."""

    def settings(wildcards, input=None):
        experiment = PLAN.run_with(stage, wildcards.key).trial.settings
        values = {section: getattr(experiment, section).model_dump(mode="json") for section in sections}
        return {"task": experiment.task, **values}

    return settings


def classes_of(stage):
    """Class names by id."""

    def classes(wildcards, input=None):
        return PLAN.specs["scenes"][PLAN.run_with(stage, wildcards.key).scenes]["classes"]

    return classes


def splits_of_model(wildcards, input=None):
    """Training and validation scenes, by id."""
    fold = PLAN.run_with("models", wildcards.key).fold
    return {split: [scene.id for scene in PLAN.scenes_of(split, fold)] for split in LEARNED}


def definition_of_model(wildcards):
    """The files of a network of the user's own."""
    return definition_files(PLAN.specs["models"][wildcards.key]["model"]["definition"])


def ids_of(stage):
    def ids(wildcards, input):
        return [scene.id for scene in scenes_behind(stage, wildcards)]

    return ids


def rows_of(stage):
    def rows(wildcards, input):
        return [scene.row() for scene in scenes_behind(stage, wildcards)]

    return rows


# --- what it does not say: other content, or an older file, under the same name -------------------

FILES = Files(leave_out=data_sets.made_files())  # what a rule makes is an input like any other


def state_of_shard(wildcards):
    """What a shard's files hold, and those beside and behind them, whatever their dates."""
    state = FILES.state(scenes_behind("scenes", wildcards))
    FILES.remember()
    return state


def start_of_model(wildcards):
    """The files that the first weights are, whatever links say."""
    return files_behind(weights_of_model(wildcards))


def state_of_own_files(wildcards):
    """What the user's own weights and network hold."""
    model = PLAN.specs["models"][wildcards.key]["model"]
    own = [path for path in weights_of_model(wildcards) if path == model["weights"]]
    state = [FILES.checksum(path) for path in [*own, *definition_of_model(wildcards)]]
    FILES.remember()
    return state


# --- what changes no result ------------------------------------------------------------------------


def name_of(stage):
    def name(wildcards, input):
        return PLAN.run_with(stage, wildcards.key).name

    return name


def colours(wildcards, input):
    return colours_by_id(PLAN.experiment)


def making_of_report(wildcards, input):
    """How the experiment was made: config, command, and what its jobs are called where they were measured."""
    configs = [str(config) for config in workflow.configfiles]
    said = overrides(workflow.config_settings.config)
    command = ["snakemake", "--cores", "all", *(["--configfile", *configs] if configs else [])]
    return {
        "folder": EXPERIMENT,
        "configs": configs,
        "command": shlex.join([*command, *(["--config", *said] if said else [])]),
        "chip_size": PLAN.experiment.chips.size,
        "keys": keys_by_rule(runs_by_now()),
        "logs": LOGS,
        "manifests": manifests_of_experiment(wildcards),
        "rungs": tables_of_rungs(waits=False),
        "rounds": proposals_of_rounds(waits=False),
        "rung_metric": metric_of_rungs(PLAN.experiment),
    }


def train_of_model(wildcards):
    return PLAN.run_with("models", wildcards.key).trial.settings.train


def runtime_settings_of_model(wildcards, input):
    return train_of_model(wildcards).model_dump(include=set(RUNTIME_ONLY))


def threads_of_model(wildcards):
    """Cores to ask for: what computes, and what loads chips."""
    train = train_of_model(wildcards)
    return train.gpus * (train.threads + train.num_workers)


def gpus_of_model(wildcards):
    return train_of_model(wildcards).gpus


def memory_of_training(wildcards, input, attempt):
    """MB: what every process needs, decoded chips, and the chips' files."""
    train = train_of_model(wildcards)
    return int((3000 * train.gpus + 3000 + min(1000 * train.cache_gb, 10 * size_mb(input))) * min(attempt, MOST_TIMES))


def keep_checkpoints_of_bundle(wildcards, input):
    return PLAN.run_with("bundles", wildcards.key).trial.settings.train.keep_checkpoints


def kernels_of(run):
    """How a model computes, which follows from its key."""
    return run.trial.settings.train.model_dump(include={"channels_last", "deterministic"})


def kernels_of_bundle(wildcards, input):
    return kernels_of(PLAN.run_with("bundles", wildcards.key))


def computing_of_predictions(wildcards, input):
    """How the model computes, and the batch size, which changes no result."""
    run = PLAN.run_with("predictions", wildcards.key)
    return {**kernels_of(run), "batch_size": run.trial.settings.predict.batch_size}


# --- what is looked at and told beside the jobs ---------------------------------------------------


def request():
    """What the preflight checks; a function, so that parsing does not wait for it."""
    return request_of(PLAN, workflow.configfiles)


def request_of_rule(wildcards):
    return to_json(request())


CONTEXT = RunContext(
    name=NAME,
    folder=EXPERIMENT,
    repository=REPOSITORY,
    image=CONTAINER,
    examples=EXAMPLES,
    later={"select": ["predict"], "rung": ["train", "predict"]},
    name_of_run=name_of_job,
    weights=WEIGHTS_OF_ALL,
    request=request,
    validation=VALIDATION,
    known_after=last_decision(),
    unknown_stages=dict.fromkeys(("propose", "rung"), ["rung", "train", "predict", "eval", "bundle"]),
    read_while_planning=READ_WHILE_PLANNING,
    overtaken=decided_by_less,
    confirmed=CONFIRMED,
    made_later=made_later,
)
