# The functions that give rules their params: what a result depends on, and what changes none.
from swath.networks.definition import definition_files

# --- what a result depends on ---------------------------------------------------------------------


def spec_of(stage):
    def spec(wildcards):
        return PLAN.specs[stage][wildcards.key]

    return spec


def settings_of(stage, *sections):
    """The task and sections of the settings, as plain values."""

    def settings(wildcards):
        experiment = PLAN.run_with(stage, wildcards.key).trial.settings
        values = {section: getattr(experiment, section).model_dump(mode="json") for section in sections}
        return {"task": experiment.task, **values}

    return settings


def classes_of(stage):
    """Class names by id."""

    def classes(wildcards):
        return PLAN.specs["scenes"][PLAN.run_with(stage, wildcards.key).scenes]["classes"]

    return classes


def splits_of_model(wildcards):
    """Training and validation scenes, by id."""
    fold = PLAN.run_with("models", wildcards.key).fold
    return {split: [scene.id for scene in PLAN.scenes_of(split, fold)] for split in LEARNED}


def definition_of_model(wildcards):
    """The files of a network of the user's own."""
    return definition_files(PLAN.specs["models"][wildcards.key]["model"]["definition"])


def start_of_model(wildcards):
    """The files that the first weights are, whatever links say."""
    return files_behind(weights_of_model(wildcards))


# --- what changes no result: the second argument keeps Snakemake from running again for it --------


def name_of(stage):
    def name(wildcards, input):
        return PLAN.run_with(stage, wildcards.key).name

    return name


def colours(wildcards, input):
    return colours_by_id(PLAN.experiment)


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
    return int((3000 * train.gpus + 3000 + min(1000 * train.cache_gb, 10 * input.size_mb)) * min(attempt, MOST_TIMES))


def batch_size_of_predictions(wildcards, input):
    return PLAN.run_with("predictions", wildcards.key).trial.settings.predict.batch_size


# --- what the preflight looks at ------------------------------------------------------------------


def request(wildcards):
    """The experiment's scenes and settings; a function, so that parsing does not wait for it."""
    return to_json(request_of(PLAN, workflow.configfiles))


def check_first():
    """Check before anything is computed; fetching data and weights needs no check."""
    demo_rules = {"havel", "havel_chips", "neon_trees"}
    if rules_to_run(workflow) - {"all", "doctor", "splits", "weights", "encoder_weights", *demo_rules}:
        check_or_exit(request_of(PLAN, workflow.configfiles), VALIDATION)


# --- what the doctor is told ----------------------------------------------------------------------


def run_for_doctor():
    return describe_run(workflow, {"train": vars(FIRST), "predict": {}, "leaderboard": {}}, CONTAINER)


def requests_not_planned_yet():
    """What rules ask for whose jobs are known once the winner is."""
    return {"predict": run_for_doctor()["resources"]["predict"]} if "select" in rules_to_run(workflow) else {}
