# What an experiment takes: an estimate before, a limit, and a table after.
from dataclasses import replace
from pathlib import Path

from swath.cost.outlook import Outlook
from swath.smk.costs import Costs


# what is still to be done, and what it will take: the run itself says it, once data that a rule makes is there
rule estimate:
    input:
        made_files,
    log:
        f"{LOGS}/experiments/{NAME}/estimate.log",
    localrule: True
    message:
        "looked for what is still to be done"
    run:
        pass


CONTEXT = replace(
    CONTEXT,
    costs=Costs(
        outlook=Outlook(
            plan=PLAN,
            results=Path(RESULTS),
            logs=Path(LOGS),
            scenes_behind=scenes_behind,
            chips_of=chips_of_model,
            later=jobs_known_later,
        ),
        keys=keys_by_run_by_now,
        folders=[Path(f"{LOGS}/experiments/{NAME}"), Path(f"{LOGS}/maps/{NAME}")],
        budget=PLAN.experiment.budget,
        configs=workflow.configfiles,
        table=Path(f"{EXPERIMENT}/cost.csv"),
        threads=threads_of_model,
        is_begun=is_begun,
    ),
)
