# A model that is there, and new images: nothing is trained.
from swath.smk.hooks import RunContext
from swath.smk.run import map_or_exit, memory, minutes
from swath.versions import EXPERIMENT as VERSIONS

config.pop("yes", None)
MAP_PLAN = map_or_exit(config, workflow.configfiles, "results")
NAME = MAP_PLAN.name


include: "paths.smk"
include: "apply.smk"
include: "verify.smk"


# the images compared with the model, and nothing else: the run does so before it starts any job
rule validate:
    log:
        f"{LOGS}/maps/{NAME}/validate.log",
    localrule: True
    message:
        "Checked the new images"
    run:
        pass


TARGETS = [f"{PARTS}/map.json"]
CONTEXT = RunContext(
    name=NAME, folder=EXPERIMENT, repository=REPOSITORY, image=CONTAINER, examples={}, later={}, check_map=check_map
)
