# Where things lie, from the working directory.
RESULTS = "results"
LOGS = f"{RESULTS}/logs"
BENCHMARKS = f"{RESULTS}/benchmarks"
PIPELINES = f"{RESULTS}/pipelines"  # of Raster Vision modules of the user's own
EXPERIMENT = f"{RESULTS}/experiments/{NAME}"
PARTS = f"{RESULTS}/maps/{NAME}"  # of the map of new images
MAP = f"{EXPERIMENT}/map"
ACCURACY = f"{EXPERIMENT}/accuracy"
VALIDATION = f"{EXPERIMENT}/validation.html"


wildcard_constraints:
    key="[0-9a-f]{12}",
