# A model that is there, and new images: nothing is trained.
from swath.scenes.states import Files
from swath.smk.hooks import RunContext
from swath.smk.run import map_or_exit, memory, minutes, mount_or_exit
from swath.versions import EXPERIMENT as VERSIONS

config.pop("yes", None)
MAP_PLAN = map_or_exit(config, workflow.configfiles, "results")
NAME = MAP_PLAN.name


include: "paths.smk"
include: "apply.smk"
include: "verify.smk"


mount_or_exit(workflow, REPOSITORY, [RESULTS, *workflow.configfiles, *files_of_map()])
TARGETS = [f"{PARTS}/map.json"]
CONTEXT = RunContext(
    name=NAME, folder=EXPERIMENT, repository=REPOSITORY, image=CONTAINER, examples={}, later={}, check_map=check_map
)
