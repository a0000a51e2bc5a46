# The way out: Raster Vision's stages of a module of the user's own. `configure` calls its get_config for every trial;
# only then is it known what a stage depends on: the stages' keys are hashes of what get_config returned.
include: "pipelines/common.smk"
include: "pipelines/configure.smk"
include: "pipelines/analyze.smk"
include: "pipelines/chip.smk"
include: "pipelines/train.smk"
include: "pipelines/predict.smk"
include: "pipelines/eval.smk"
include: "pipelines/bundle.smk"
include: "leaderboard.smk"
include: "select.smk"
include: "pipelines/summary.smk"
include: "doctor.smk"
