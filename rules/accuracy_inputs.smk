# What the rules of a map's accuracy read.
from swath.plan.inputs import files_behind
from swath.smk.run import accuracy_or_exit

DESCRIBED_BY = PLAN.experiment if "PLAN" in globals() else APPLICATION
ACCURACY_PLAN = accuracy_or_exit(DESCRIBED_BY, workflow.configfiles, RESULTS, workflow.is_main_process)


def map_to_compare():
    """The map's files; of a map that this run makes, what says that it is done."""
    return [f"{PARTS}/map.json"] if ACCURACY_PLAN.is_made else files_behind(ACCURACY_PLAN.maps)


def accuracy_settings(*leave_out):
    """The section, as far as it was written."""
    return ACCURACY_PLAN.settings.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude=set(leave_out))


if ACCURACY_PLAN:
    mount_or_exit(workflow, REPOSITORY, [RESULTS, *workflow.configfiles, *ACCURACY_PLAN.maps, *ACCURACY_PLAN.reference])
