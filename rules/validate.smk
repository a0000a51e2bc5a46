# The preflight. It also runs by itself before everything else (`onstart`); no rule waits for this one, because
# experiments share results, and what stops one of them is nothing to the others.
VALIDATION = f"{EXPERIMENT}/validation.html"


def made_files(wildcards):
    """The scenes' files that a rule makes."""
    return [
        path
        for scene in PLAN.scenes
        for cell in (scene.image, scene.labels, scene.aoi)
        for path in local_paths_of(cell)
        if path in demo.FILES
    ]


def request(wildcards):
    """What is to be checked; a function, so that parsing does not wait for it."""
    return request_of(PLAN, workflow.configfiles)


def check_first():
    """Check before anything is computed; fetching data and weights needs no check."""
    wanted = {job.rule.name for job in workflow.dag.needrun_jobs()}
    if wanted - {"all", "havel", "weights", "encoder_weights"}:
        check_or_exit(request(None), VALIDATION)


rule validate:
    input:
        made_files,
    log:
        f"{LOGS}/experiments/{NAME}/validate.log",
    localrule: True
    container:
        CONTAINER
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
    params:
        request=request,
        report=VALIDATION,
    message:
        "Checking images, labels, splits and settings"
    script:
        "../scripts/validate.py"
