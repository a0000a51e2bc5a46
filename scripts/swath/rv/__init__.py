"""The only place that imports Raster Vision: specs become its configs, its stages are run on them."""

import os

os.environ["RASTERVISION_USE_DDP"] = "NO"  # never by accident, because two GPUs are visible
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # compute nodes have no internet

from swath.rv import upstream

upstream.apply()
