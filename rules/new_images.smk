# A model that is there, and new images; or a map that is there, and reference points: nothing is trained.
from swath.smk.hooks import RunContext
from swath.smk.run import application_or_exit, map_or_exit, memory, minutes, mount_or_exit
from swath.versions import EXPERIMENT as VERSIONS

config.pop("yes", None)
APPLICATION = application_or_exit(config, workflow.configfiles)
MAP_PLAN = map_or_exit(APPLICATION, workflow.configfiles, "results")
NAME = APPLICATION.experiment


include: "paths.smk"
include: "apply.smk"
include: "accuracy.smk"
include: "status.smk"
include: "verify.smk"


if MAP_PLAN:

    # the images compared with the model, and nothing else: the run does so before it starts any job
    rule validate:
        log:
            f"{LOGS}/maps/{NAME}/validate.log",
        localrule: True
        message:
            "Checked the new images"
        run:
            pass


COMPARED = f"{ACCURACY}/accuracy.json" if ACCURACY_PLAN and ACCURACY_PLAN.reference else f"{ACCURACY}/sample.csv"
TARGETS = [f"{PARTS}/map.json" if MAP_PLAN else COMPARED]

CONTEXT = RunContext(
    name=NAME,
    folder=EXPERIMENT,
    repository=REPOSITORY,
    image=CONTAINER,
    examples={},
    later={},
    check_map=check_map if MAP_PLAN else None,
    watched=watched_map,
)
