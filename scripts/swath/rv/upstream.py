"""Where Raster Vision 0.31.1 does not go with today's libraries, or is slow. Each patch says when it can go."""

from __future__ import annotations

from functools import partialmethod
from importlib.metadata import version

import numpy as np

PATCHED_VERSION = "0.31.1"


def apply() -> None:
    """Apply the patches, once; for another version of Raster Vision, none."""
    if version("rastervision-core") != PATCHED_VERSION:
        return
    _restore_int0()
    _save_bundles_without_onnx()
    _read_windows_plainly()


def _restore_int0() -> None:
    """Numpy 2 dropped ``int0``, which BuildingVectorOutput uses. Can go when Raster Vision stops using it."""
    if not hasattr(np, "int0"):
        np.int0 = np.intp  # type: ignore[attr-defined]


def _save_bundles_without_onnx() -> None:
    """Raster Vision's train ends with an ONNX export that torch's new exporter refuses without onnxscript.

    No setting turns it off; can go when one does. Half of a bundle's size goes with it.
    """
    from rastervision.pytorch_learner.learner import Learner

    if not isinstance(Learner.__dict__["save_model_bundle"], partialmethod):
        Learner.save_model_bundle = partialmethod(Learner.save_model_bundle, export_onnx=False)


def _read_windows_plainly() -> None:
    """Raster Vision builds a virtual raster, and another for the mask, for every window it reads.

    Windows inside the image do without. Can go when Raster Vision reads only windows over the edge as boundless.
    """
    from rastervision.core.data.raster_source import rasterio_source

    from swath.rv.windows import read_window

    rasterio_source.read_window = read_window
