# Several experiments that are finished, in one report: nothing is trained.
from swath.plan.compared import KEPT, name_of_comparison
from swath.smk.hooks import RunContext
from swath.smk.run import compared_or_exit, memory, minutes
from swath.versions import EXPERIMENT as VERSIONS

EXPERIMENTS = compared_or_exit(config["experiments"], "results", workflow.configfiles)
NAME = name_of_comparison(EXPERIMENTS)


include: "paths.smk"


rule compare:
    input:
        [f"{RESULTS}/experiments/{name}/{KEPT}" for name in EXPERIMENTS],
    output:
        page=f"{RESULTS}/comparisons/{NAME}.html",
    log:
        f"{LOGS}/comparisons/{NAME}.log",
    benchmark:
        f"{BENCHMARKS}/comparisons/{NAME}.tsv"
    localrule: True
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
    params:
        folders=[f"{RESULTS}/experiments/{name}" for name in EXPERIMENTS],
        version=VERSIONS["compare"],
    message:
        f"Comparing experiments: {RESULTS}/comparisons/{NAME}.html"
    script:
        "../scripts/compare.py"


TARGETS = [rules.compare.output.page]

CONTEXT = RunContext(name=NAME, folder=EXPERIMENT, repository=REPOSITORY, image=CONTAINER, examples={}, later={})
